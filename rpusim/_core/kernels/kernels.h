/* The table of kernels: what the Cython side calls. One source (kernels_impl.h) is compiled once per instruction set;
 * `rpu_select` picks the table that the processor can run. */
#ifndef RPU_KERNELS_H
#define RPU_KERNELS_H

#include <stdint.h>

#include "stream.h"
#include "wires.h"

/* Several instruction sets from one build, without flags of the build system: GCC and Clang on x86-64 and arm64. */
#if defined(__GNUC__) || defined(__clang__)
#if defined(__x86_64__)
#define RPU_X86_SETS
#elif defined(__aarch64__) && (!defined(__clang__) || defined(__ARM_FEATURE_AES) || __clang_major__ >= 16)
#define RPU_ARM_SETS    /* the headers of Clang before 16 hide the instructions from a part of a file */
#endif
#define RPU_TARGET_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define RPU_TARGET_BEGIN(sets) \
    RPU_TARGET_PRAGMA(clang attribute push(__attribute__((target(sets))), apply_to = function))
#define RPU_TARGET_END RPU_TARGET_PRAGMA(clang attribute pop)
#else
#define RPU_TARGET_BEGIN(sets) RPU_TARGET_PRAGMA(GCC push_options) RPU_TARGET_PRAGMA(GCC target(sets))
#define RPU_TARGET_END RPU_TARGET_PRAGMA(GCC pop_options)
#endif
#endif

/* What the four numbers are that all models have. */
enum { RPU_QUAD_STEP_UP, RPU_QUAD_STEP_DOWN, RPU_QUAD_W_MAX, RPU_QUAD_W_MIN };

/* The devices of one array. What all models have (step_up, step_down, w_max, w_min) is four numbers side by side, since a pulse
 * on a few devices reads all of them, one after another in memory, in one cache line; so are what some models have for both
 * directions. Each is an array like w, or one row for all rows (stride 0). */
typedef struct {
    float *w;                                     /* (rows, columns) */
    float *visible;                               /* (rows, columns): w and write noise, drawn anew by each pulse; or NULL */
    const float *quad, *pair, *reference;         /* (rows, columns, 4), (rows, columns, 2), (rows, columns) */
    int64_t quad_stride, pair_stride, reference_stride;     /* of rows, in numbers: columns times 4, 2 or 1; or 0 */
    int64_t rows, columns;
    int32_t bounded, referenced;                  /* whether there are bounds; whether they are those of w + reference */
    const float *constant;                        /* numbers that all devices share */
    int32_t silent;                               /* no cycle-to-cycle noise of any kind: none is drawn */
    float write_noise;                            /* standard deviation of visible - w */
    float noise_mult, noise_add;                  /* cycle-to-cycle noise relative to the step itself / to step_up|down */
    int64_t *count_up, *count_down;               /* pulses per device, or NULL */
    enum { RPU_KEEPS_NOTHING, RPU_KEEPS_COLUMNS, RPU_KEEPS_ROWS } keeps;  /* what vectors may ask for, see rpu_trains.keep */
} rpu_devices;

typedef struct { int64_t up, down; } rpu_pulse_count;

#define RPU_GROUP 16                              /* lines in one word of a mask */
#define RPU_GROUPS(columns) (((columns) + RPU_GROUP - 1) / RPU_GROUP)
#define RPU_SEGMENT 16384                         /* columns that one list can name: 4 times a column has 16 bits */
#define RPU_SEGMENTS(columns) (((columns) + RPU_SEGMENT - 1) / RPU_SEGMENT)
#define RPU_ROW_SCRATCH(columns) (2 * (columns) + 2 * RPU_LIST_LANES)
#define RPU_SUM_SCRATCH(columns) (RPU_GROUP * RPU_GROUPS(columns) + (RPU_ROW_SCRATCH(columns) + 1) / 2)
#define RPU_BLOCK 64                              /* devices of a list that are handled at once; multiple of RPU_LIST_LANES */
#define RPU_LIST_LANES 8                          /* lists go in steps of this, and are filled up to it by their last column */
#define RPU_WIDE 32                               /* columns of a strip (panel.h) */
#define RPU_STRIPS(columns) (((columns) + RPU_WIDE - 1) / RPU_WIDE)
#define RPU_PANEL_ARRAYS 8                        /* numbers per column of a panel, before the noise */
#define RPU_PANEL_NOISE(columns) (4096 + RPU_GROUP * RPU_GROUPS(columns))
#define RPU_PANEL(columns) (RPU_PANEL_ARRAYS * RPU_WIDE * RPU_STRIPS(columns) + RPU_PANEL_NOISE(columns))

/* Which columns of a strip fire in a slot, a bit each, and how many of all columns do before each eighth. */
typedef struct {
    uint32_t fire;
    uint16_t before[RPU_WIDE / RPU_LIST_LANES];
} rpu_strip;

/* The pulse trains of one vector pair, drawn once and shared by all rows. The columns that fire in a slot are one list per
 * segment, in ascending order. Rows that never fire do not appear. */
typedef struct {
    int32_t bl, words;          /* train length in slots; 32-bit words per row of row_bits */
    int32_t only;               /* columns that fire, where all lists are one, whose pulses are not summed; or 0 */
    rpu_pulse_count pulses;     /* that will fire on all rows, for a positive learning rate */
    int32_t *fired;             /* (bl, segments): how many columns fire */
    int32_t *start;             /* (bl, segments): first entry of the list, a multiple of RPU_LIST_LANES */
    uint16_t *columns;          /* 4 times the column within its segment: bytes to its state, numbers to its quad */
    uint8_t *signs;             /* bit q % RPU_LIST_LANES of q / RPU_LIST_LANES: x < 0 at entry q of `columns` */
    int32_t *row;               /* (firing rows + 1): 2 row + (d < 0), ascending, and INT32_MAX */
    uint32_t *row_bits;         /* (firing rows, words): slots in which the row fires */
    uint64_t *noise_base;       /* (firing rows + 1): pulses of all rows before; the position of its noise in the stream.
                                 * Those of rows whose pulses are summed do not count: such a row has the number of the next */
    rpu_strip *strips;          /* (bl, strips): the same as lists, or NULL */
    uint32_t *up;               /* (2, strips): a bit per column where x < 0: it goes up where d > 0; and where it does not */
    uint32_t *column_bits;      /* (words, columns in whole groups): slots in which a column fires, for sums; or NULL */
    uint32_t *column_signs;     /* (columns in whole groups): top bit where x < 0; with column_bits */
    int64_t keep;               /* a column or row that is wanted as it is after this vector; or -1 */
    float *kept;                /* where to: (rows) or (columns) */
} rpu_trains;

/* Noise of the pulses of one vector, drawn as it is used; see noise.h. */
typedef struct {
    rpu_stream stream;
    uint32_t chunk;             /* the next one to draw */
    int32_t position;           /* of the next draw in the buffer; RPU_NOISE_END: none is left */
    int32_t advance;            /* -1; 0: no noise, the buffer holds zeros for ever */
    int32_t rest[5];            /* of a cache line: the buffer starts on the next */
    float buffer[RPU_BLOCK + 2 * RPU_CHUNK];    /* what is left when it is refilled; a chunk; room to read and write on */
} rpu_noise;

#define RPU_DUE_WORDS(vectors) (((vectors) + 63) / 64)

/* What one thread needs to take vectors through rows, each part in cache lines of its own (pulses.h lays it out). */
typedef struct {
    rpu_noise *noises;          /* one per vector, or two where devices->visible is not NULL */
    int32_t *event;             /* (vectors): the next row of each that fires */
    uint64_t *due;              /* (rows, 2, RPU_DUE_WORDS(vectors)): who fires there, and who of them flips; for several */
    int32_t *counts;            /* (RPU_SUM_SCRATCH(columns)), where rows may be summed */
    float *panel;               /* (RPU_PANEL(columns)), where trains have strips */
} rpu_work;

/* Converters and analog path of one direction of reading. Pointers are to one number per output, or NULL. */
typedef struct {
    float dac_scale, dac_step, dac_levels;   /* 1/step, step and largest level; scale 0: no quantisation */
    float dac_bound;                         /* clip; infinity: none */
    float dac_noise;
    float dac_asymmetry;                     /* negative inputs are weaker by this fraction */
    float adc_scale, adc_step, adc_levels;
    float adc_bound, adc_noise;
    float adc_asymmetry;                     /* negative outputs are smaller by this fraction */
    int32_t dac_stochastic, adc_stochastic;
    int32_t slice_bits;                      /* of one pass of a bit-serial input; 0: the whole input at once */
    int32_t one_sided;                       /* only outputs above the bound count as clipped */
    const float *nonlinearity;               /* y / (1 + |nonlinearity y|) */
    float slope;                             /* factor before the non-linearity */
    const float *noise_of, *gain, *offset;   /* of each ADC: noise_of takes the place of adc_noise, which is then 1 */
    const float *transitions;                /* (2 adc_levels), in steps, ascending: where one level gives way to the next */
    float ir_drop, ir_factor;                /* strength; inputs / (conductance of a wire segment / largest of a device) */
    const float *voltage_offset;
    float offset_w_min, series, series_max;  /* voltage offset and series resistance */
} rpu_converters;

/* What a device model is, and its kernels; devices.h has them all. */
typedef struct {
    const char *name;
    const char *pair;       /* parameters beyond steps and bounds: NAME_up and NAME_down, "" if none; */
    int32_t referenced;     /* and whether there is a `reference` */
    int32_t constants;      /* how many numbers all devices share, or RPU_TABLE */
    int32_t sums, strips;   /* whether the pulses of a device may be summed; whether it makes use of strips */
    /* Stochastic updates: rows [row0, row1) through all vectors, in order; `goes_on` where the work space is as the call for
     * the rows right before has left it. */
    void (*update_rows)(const rpu_devices *devices, const rpu_trains *trains, int64_t vectors, int64_t row0, int64_t row1,
                        int goes_on, const rpu_work *work, int reverse, uint64_t key, uint64_t operation);
    /* counts[j] pulses on the devices of one row: up where positive, down where negative. `scratch` holds
     * RPU_ROW_SCRATCH(columns). */
    rpu_pulse_count (*pulse_row)(const rpu_devices *devices, int64_t row, const int32_t *counts, uint16_t *scratch,
                                 uint64_t key, uint64_t operation);
} rpu_model;

#define RPU_TABLE -1        /* n - 1, then twice n + 1 numbers */

typedef struct {
    const char *name;
    void (*words)(uint64_t key, int kind, uint64_t operation, uint32_t line, uint32_t position, uint32_t *out);     /* 4 */
    void (*normals)(uint64_t key, int kind, uint64_t operation, uint32_t line, uint32_t chunk, int64_t chunks, float *out);
    void (*uniforms)(uint64_t key, int kind, uint64_t operation, uint32_t line, uint32_t chunk, int64_t chunks, float *out);

    /* Probabilities min(1, scale |v|) as 32-bit fractions, in two parts: high (0 to 65536) / 2^16 + low / 2^32;
     * and, 16 lines per word, where v < 0 and where the probability is not 0. */
    void (*thresholds)(const float *v, int64_t n, float scale, uint32_t *high, uint32_t *low, uint16_t *negative,
                       uint16_t *possible);
    /* One slot for n lines: bit l % 16 of fired[l / 16] where line l fires. */
    void (*train_slot)(uint64_t key, int kind, uint64_t operation, const uint32_t *high, const uint32_t *low,
                       const uint16_t *possible, int64_t n, uint16_t *fired);
    /* bl slots for some lines: bits (lines, words). high and low are indexed by line. */
    void (*train_bits)(uint64_t key, int kind, uint64_t operation, const uint32_t *high, const uint32_t *low,
                       const int32_t *line, int64_t lines, int32_t bl, int32_t words, uint32_t *bits);

    const rpu_model *models;            /* RPU_N_MODELS of devices.h */
    int32_t n_models;
    /* w[i, :] -= lr d[b, i] x[b, :] for all b in order, rows [row0, row1). */
    void (*rank_one_rows)(float *w, int64_t rows, int64_t columns, const float *x, const float *d, int64_t vectors,
                          float lr, int64_t row0, int64_t row1);

    /* v = DAC(scale x) of one vector; returns how many inputs clipped. */
    int64_t (*dac)(const rpu_converters *c, const float *x, int64_t n, double scale, uint64_t key, int kind_offset,
                   uint64_t operation, uint32_t line, float *v);
    /* One digit of a bit-serial input. */
    void (*plane)(const rpu_converters *c, const float *v, int64_t n, int k, uint64_t key, int kind_offset,
                  uint64_t operation, uint32_t line, float *out);
    /* The analog path between product and ADC, in place. */
    void (*analog)(const rpu_converters *c, float *y, int64_t n, const float *current, const float *sloped,
                   const float *variance, int32_t variances, float input_sum, uint64_t key, int kind_offset,
                   uint64_t operation, uint32_t line);
    /* out = factor ADC(y) of one vector, or added to out; returns how many outputs clipped. */
    int64_t (*adc)(const rpu_converters *c, const float *y, int64_t n, float factor, int accumulate, uint64_t key,
                   int kind_offset, uint64_t operation, uint32_t line, float *out);
    float (*abs_max)(const float *x, int64_t n);
    int (*all_finite)(const float *x, int64_t n);
    double (*sum_squares)(const float *x, int64_t n);
    void (*size_products)(const float *w, int64_t rows, int64_t columns, int squares, const float *x, int64_t vectors,
                          int transposed, float factor, float *y);

    /* y = 1 / (1 + e^-x) and z = y (1 - y) d; y = tanh(x) and z = (1 - y^2) d. */
    void (*sigmoid)(const float *x, int64_t n, float *y);
    void (*sigmoid_gradient)(const float *y, const float *d, int64_t n, float *z);
    void (*tanh)(const float *x, int64_t n, float *y);
    void (*tanh_gradient)(const float *y, const float *d, int64_t n, float *z);
    /* gradient = softmax(y) - onehot(label) of one sample; returns log(sum of e^y) - y[label]. */
    double (*cross_entropy)(const float *y, int64_t n, int64_t label, float *gradient);
    /* One step of n devices: a (4, n) becomes the gates i, f, o, g; c = f before + i g, squashed = tanh(c), h = o squashed. */
    void (*lstm)(const float *before, int64_t n, float *a, float *c, float *squashed, float *h);
    /* Back through it: the gradients of a (4, n) and of `before` from those of h and c. */
    void (*lstm_gradient)(const float *gates, const float *before, const float *squashed, int64_t n, const float *dh,
                          const float *dc, float *delta, float *dc_before);

    /* Takes over the conductances g (rows, columns), siemens, and factors all lines; `work`: RPU_WIRES_WORK. */
    void (*wires_factor)(const rpu_wires *net, const double *g, double *work);
    /* Solves for one vector; returns whether it has converged. */
    int (*wires_solve)(const rpu_wires *net, rpu_wires_task *task);
} rpu_kernels;

/* The best table this processor runs, or the one named (NULL if it cannot run, or does not exist). */
const rpu_kernels *rpu_select(const char *name);
/* The names of the tables this processor runs, best first; NULL at the end. */
const char *const *rpu_available(void);

#endif
