/* The table of kernels: what the Cython side calls. One source (kernels_impl.h) is compiled once per instruction set;
 * `rpu_select` picks the table that the processor can run. */
#ifndef RPU_KERNELS_H
#define RPU_KERNELS_H

#include <stdint.h>

/* Several instruction sets from one build, without flags of the build system: GCC and Clang on x86-64. */
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define RPU_X86_SETS
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

/* Device models. To add one: a line here, two step functions in devices.h, a dataclass in rpusim/devices. */
#define RPU_MODELS(X) X(constant_step) X(linear_step) X(soft_bounds)

enum rpu_model {
#define RPU_ENUM(name) rpu_##name,
    RPU_MODELS(RPU_ENUM)
#undef RPU_ENUM
    RPU_N_MODELS
};

#define RPU_MAX_PARAMETERS 8

/* The devices of one array. A parameter is an array like w, or one number for all devices (mask 0). */
typedef struct {
    float *w;                                     /* (rows, columns) */
    const float *parameter[RPU_MAX_PARAMETERS];   /* step_up, step_down, w_max, w_min, then the model's own */
    int32_t mask[RPU_MAX_PARAMETERS];             /* -1: one value per device, 0: one value for all */
    int64_t columns;
    float noise_mult, noise_add;                  /* cycle-to-cycle noise relative to the step itself / to step_up|down */
    int64_t *count_up, *count_down;               /* pulses per device, or NULL */
} rpu_cells;

/* The pulse trains of one vector pair, drawn once and shared by all rows. Slot k fires the columns
 * columns[start[2k] .. start[2k+1]) whose x is positive and columns[start[2k+1] .. start[2k+2]) whose x is negative. */
typedef struct {
    int32_t bl, words;          /* train length in slots; 32-bit words per line */
    int32_t *start;             /* (2 bl + 1) */
    int32_t *columns;
    uint32_t *row_bits;         /* (rows, words): slots in which a row fires */
    uint8_t *row_negative;      /* (rows): d < 0 */
    uint64_t *noise_base;       /* (rows + 1): pulses of all rows before; the position of a row's noise in the stream */
} rpu_trains;

typedef struct { int64_t up, down; } rpu_pulse_count;

/* Converters of one direction of reading. */
typedef struct {
    float dac_scale, dac_step, dac_levels;   /* 1/step, step and largest level; scale 0: no quantisation */
    float dac_bound;                         /* clip; infinity: none */
    float dac_noise;
    float adc_scale, adc_step, adc_levels;
    float adc_bound, adc_noise;
    int32_t dac_stochastic, adc_stochastic;
} rpu_converters;

typedef struct {
    const char *name;

    void (*normals)(uint64_t key, int kind, uint64_t operation, uint32_t line, uint32_t chunk, int64_t chunks, float *out);
    void (*uniforms)(uint64_t key, int kind, uint64_t operation, uint32_t line, uint32_t chunk, int64_t chunks, float *out);

    /* Bits of stochastic trains: lines with probabilities threshold / 2^32, `words` 32-slot words per line. */
    void (*train_bits)(uint64_t key, int kind, uint64_t operation, const int32_t *line, const uint64_t *threshold,
                       int64_t lines, int32_t bl, int32_t words, uint32_t *bits);

    /* Stochastic updates: rows [row0, row1) through all vectors, in order. */
    rpu_pulse_count (*update_rows[RPU_N_MODELS])(const rpu_cells *cells, const rpu_trains *trains, int64_t vectors,
                                                 int64_t row0, int64_t row1, int reverse, uint64_t key, uint64_t operation);
    /* counts[j] pulses on the devices of one row: up where positive, down where negative. `scratch` holds 2 * columns. */
    rpu_pulse_count (*pulse_row[RPU_N_MODELS])(const rpu_cells *cells, int64_t row, const int32_t *counts,
                                               int32_t *scratch, uint64_t key, uint64_t operation);
    /* w[i, :] -= lr d[b, i] x[b, :] for all b in order, rows [row0, row1). */
    void (*rank_one_rows)(float *w, int64_t rows, int64_t columns, const float *x, const float *d, int64_t vectors,
                          float lr, int64_t row0, int64_t row1);

    /* v = DAC(scale x) of one vector. */
    void (*dac)(const rpu_converters *c, const float *x, int64_t n, float scale, uint64_t key, int kind_offset,
                uint64_t operation, uint32_t retry, float *v);
    /* out = factor ADC(y) of one vector; returns whether anything clipped. */
    int (*adc)(const rpu_converters *c, const float *y, int64_t n, float factor, uint64_t key, int kind_offset,
               uint64_t operation, uint32_t retry, float *out);
    float (*abs_max)(const float *x, int64_t n);
    int (*all_finite)(const float *x, int64_t n);
} rpu_kernels;

extern const char *const rpu_model_names[RPU_N_MODELS];

/* The best table this processor runs, or the one named (NULL if it cannot run, or does not exist). */
const rpu_kernels *rpu_select(const char *name);
/* The names of the tables this processor runs, best first; NULL at the end. */
const char *const *rpu_available(void);

#endif
