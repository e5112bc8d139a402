/* From one pair of vectors to the pulse trains of all lines.
 *
 * Decided, and why:
 * - A plan (length and scales) is made per vector before anything is drawn, so that the memory of a part is known.
 * - Independent trains are drawn by the kernels (16 lines at once). Trains with shared random numbers are compared here: they
 *   take one draw per slot instead of one per slot and line, so there is nothing for a kernel to gain on. */
#include "pulses.h"

#include <math.h>
#include <string.h>

#include "portable.h"

/* The smallest power of two that is at least v > 0. */
static double power_of_two(double v)
{
    int exponent;
    const double fraction = frexp(v, &exponent);
    return ldexp(1.0, fraction == 0.5 ? exponent - 1 : exponent);
}

/* Gokmen and Vlasov 2016, with update management as in Gokmen, Onen and Haensch 2017 and AIHWKit:
 * k = lr max|x| max|d| / g pulses are wanted for the largest product. Scales that are powers of two (Joshi et al. 2020) take
 * the place of the maxima, and of the balance of the two: columns divide by theirs, and rows take what is left of the rate. */
rpu_pulse_plan rpu_plan_pulses(const rpu_pulse_scheme *s, double lr, double granularity, double x_max, double d_max)
{
    rpu_pulse_plan plan = {0, s->shared_random_numbers, 0, 0, 0.0, 0.0};
    double bl = s->desired_bl, both;
    if (x_max == 0.0 || d_max == 0.0 || lr == 0.0)
        return plan;
    d_max *= s->um_grad_scale;
    if (s->power_of_two_scales) {
        x_max = power_of_two(x_max);
        d_max = power_of_two(d_max);
    }
    const double k = lr * x_max * d_max / granularity;
    if (s->update_bl_management)
        bl = fmin(ceil(k), bl);
    else if (!s->fixed_bl && granularity * bl < lr)
        bl = ceil(lr / granularity);
    if (bl < 1.0)               /* k underflowed to 0 */
        return plan;
    both = sqrt(lr / (granularity * bl));
    if (!s->fixed_bl && !s->update_bl_management && granularity * s->desired_bl < lr)
        both = 1.0;
    plan.bl = bl < INT32_MAX ? (int32_t)bl : INT32_MAX;     /* which callers refuse */
    if (s->power_of_two_scales) {
        plan.scale_x = 1.0 / x_max;
        plan.scale_d = k / bl / d_max;
        return plan;
    }
    plan.scale_x = plan.scale_d = both;
    if (s->update_management) {
        if (k > s->desired_bl)
            d_max *= s->desired_bl / k;
        plan.scale_x *= sqrt(d_max / x_max);
        plan.scale_d *= sqrt(x_max / d_max);
    }
    return plan;
}

static size_t aligned(size_t bytes) { return (bytes + 63) & ~(size_t)63; }
static int32_t words_of(int32_t bl) { return (bl + 31) / 32; }

/* Memory in order; with base NULL it is measured. */
typedef struct { char *base; size_t bytes; } memory_of;

static void *take(memory_of *m, size_t bytes)
{
    void *const here = m->base ? m->base + m->bytes : NULL;
    m->bytes += aligned(bytes);
    return here;
}

/* What stays until the vector has been applied. */
static size_t lay_out(int64_t rows, int64_t columns, rpu_pulse_plan plan, void *base, rpu_trains *t)
{
    const int32_t bl = plan.bl;
    const size_t words = (size_t)words_of(bl), n = (size_t)bl, r = (size_t)rows, listed = (size_t)columns;
    const size_t parts = n * (size_t)RPU_SEGMENTS(columns);
    memory_of m = {base, 0};
    t->fired = take(&m, sizeof *t->fired * parts);
    t->start = take(&m, sizeof *t->start * parts);
    t->columns = take(&m, sizeof *t->columns * (n * listed + parts * RPU_LIST_LANES));
    t->signs = take(&m, sizeof *t->signs * (n * listed / RPU_LIST_LANES + parts + 3));    /* three more are read */
    t->row = take(&m, sizeof *t->row * (r + 1));
    t->row_bits = take(&m, sizeof *t->row_bits * r * words);
    t->noise_base = take(&m, sizeof *t->noise_base * (r + 1));
    t->strips = NULL;
    t->up = NULL;
    if (plan.strips) {
        t->strips = take(&m, sizeof *t->strips * n * (size_t)RPU_STRIPS(columns));
        t->up = take(&m, sizeof *t->up * 2 * (size_t)RPU_STRIPS(columns));
    }
    t->column_bits = t->column_signs = NULL;
    if (plan.sum) {
        const size_t all = RPU_GROUP * (size_t)RPU_GROUPS(columns);
        t->column_bits = take(&m, sizeof *t->column_bits * all * words);
        t->column_signs = take(&m, sizeof *t->column_signs * all);
    }
    return m.bytes;
}

/* What is needed only while the trains are drawn. Kernels handle whole groups of lines, so `high` and `low` are padded. */
typedef struct {
    uint32_t *high, *low, *bits;
    uint32_t *numbers;                      /* (bl): shared random numbers */
    int32_t *line;
    uint16_t *possible, *negative, *mask;   /* (groups): lines that may fire, lines below 0, lines that fire */
    int32_t *fired, *negative_fired;        /* (bl): columns that fire, and those of them with x < 0 */
} scratch_of;

static size_t lay_out_scratch(int64_t rows, int64_t columns, int32_t bl, void *base, scratch_of *s)
{
    const size_t longest = (size_t)(rows > columns ? rows : columns), padded = RPU_GROUP * (size_t)RPU_GROUPS(longest);
    memory_of m = {base, 0};
    s->high = take(&m, sizeof *s->high * padded);
    s->low = take(&m, sizeof *s->low * padded);
    s->line = take(&m, sizeof *s->line * longest);
    s->bits = take(&m, sizeof *s->bits * longest * (size_t)words_of(bl));
    s->numbers = take(&m, sizeof *s->numbers * (size_t)bl);
    s->possible = take(&m, sizeof *s->possible * (size_t)RPU_GROUPS(longest));
    s->negative = take(&m, sizeof *s->negative * (size_t)RPU_GROUPS(longest));
    s->mask = take(&m, sizeof *s->mask * (size_t)RPU_GROUPS(longest));
    s->fired = take(&m, sizeof *s->fired * (size_t)bl);
    s->negative_fired = take(&m, sizeof *s->negative_fired * (size_t)bl);
    return m.bytes;
}

size_t rpu_trains_bytes(int64_t rows, int64_t columns, rpu_pulse_plan plan)
{
    rpu_trains t;
    return lay_out(rows, columns, plan, NULL, &t);
}

size_t rpu_scratch_bytes(int64_t rows, int64_t columns, int32_t bl)
{
    scratch_of s;
    return lay_out_scratch(rows, columns, bl, NULL, &s);
}

size_t rpu_lay_out_work(int64_t vectors, int64_t rows, int64_t columns, int kinds, int sum, int strips, void *memory,
                        rpu_work *work)
{
    memory_of m = {memory, 0};
    work->noises = take(&m, sizeof *work->noises * (size_t)(vectors * kinds));
    work->event = take(&m, sizeof *work->event * (size_t)vectors);
    work->due = take(&m, sizeof *work->due * (size_t)(rows * 2 * RPU_DUE_WORDS(vectors)));
    work->counts = take(&m, sum ? sizeof *work->counts * (size_t)RPU_SUM_SCRATCH(columns) : 0);
    work->panel = take(&m, strips ? sizeof *work->panel * (size_t)RPU_PANEL(columns) : 0);
    return m.bytes;
}

/* Four groups from g on as one word of 64 lines (measured: a loop that ends every 16 lines is mispredicted at each end),
 * without those from `end` on. */
#define AT_ONCE 4
static uint64_t lines_from(const uint16_t *mask, int64_t g, int64_t end)
{
    uint64_t m = 0;
    for (int k = 0; k < AT_ONCE && g + k < end; k++)
        m |= (uint64_t)mask[g + k] << RPU_GROUP * k;
    return m;
}

static int64_t possible_lines(const uint16_t *possible, int64_t groups, int32_t *line)
{
    int64_t lines = 0;
    for (int64_t g = 0; g < groups; g += AT_ONCE)
        for (uint64_t m = lines_from(possible, g, groups); m; m &= m - 1)
            line[lines++] = (int32_t)(RPU_GROUP * g + rpu_lowest_bit(m));
    return lines;
}

static int32_t padded(int32_t n) { return (n + RPU_LIST_LANES - 1) / RPU_LIST_LANES * RPU_LIST_LANES; }

/* One more entry of a list. */
static void append(rpu_trains *t, int32_t q, int64_t column, uint32_t negative)
{
    const uint8_t bit = (uint8_t)(negative << q % RPU_LIST_LANES);
    t->columns[q] = (uint16_t)(4 * column);
    t->signs[q / RPU_LIST_LANES] = (uint8_t)(q % RPU_LIST_LANES ? t->signs[q / RPU_LIST_LANES] | bit : bit);
}

/* As train_bits, with one random number per slot for all lines: a line fires wherever a less probable one does. */
static void train_bits_shared(const rpu_kernels *k, uint64_t key, int kind, uint64_t operation, scratch_of s, int64_t lines,
                              int32_t bl, int32_t words)
{
    for (int32_t slot = 0; slot < bl; slot++) {
        uint32_t draw[4];
        k->words(key, kind, operation, 0x40000000u, (uint32_t)slot, draw);
        s.numbers[slot] = draw[0];
    }
    for (int64_t l = 0; l < lines; l++) {
        const uint64_t threshold = ((uint64_t)s.high[s.line[l]] << 16) + s.low[s.line[l]];
        for (int32_t word = 0; word < words; word++) {
            const int32_t slots = bl - 32 * word < 32 ? bl - 32 * word : 32;
            uint32_t bits = 0;
            for (int32_t slot = 0; slot < slots; slot++)
                bits |= (uint32_t)(s.numbers[32 * word + slot] < threshold) << slot;
            s.bits[l * words + word] = bits;
        }
    }
}

static void draw_bits(const rpu_kernels *k, int shared, int kind, uint64_t key, uint64_t operation, scratch_of s, int64_t lines,
                      int32_t bl, int32_t words)
{
    if (shared)
        train_bits_shared(k, key, kind, operation, s, lines, bl, words);
    else
        k->train_bits(key, kind, operation, s.high, s.low, s.line, lines, bl, words, s.bits);
}

static int population(uint32_t m)
{
    m -= m >> 1 & 0x55555555u;
    m = (m & 0x33333333u) + (m >> 2 & 0x33333333u);
    return (int)(((m + (m >> 4)) & 0x0F0F0F0Fu) * 0x01010101u >> 24);
}

/* Adds to `fired` how often each line fires, from its bits. */
static void count_lines(scratch_of s, int64_t lines, int32_t words, int64_t *fired)
{
    for (int64_t l = 0; l < lines; l++)
        for (int32_t word = 0; word < words; word++)
            fired[s.line[l]] += population(s.bits[l * words + word]);
}

/* The columns of a vector with one slot: drawn as a mask. */
static void draw_columns_once(const rpu_kernels *k, int64_t columns, uint64_t key, uint64_t operation, scratch_of s,
                              rpu_trains *t)
{
    const int64_t groups = RPU_GROUPS(columns), per_segment = RPU_SEGMENT / RPU_GROUP;
    int32_t next = 0;
    s.fired[0] = s.negative_fired[0] = 0;
    k->train_slot(key, RPU_TRAIN_X, operation, s.high, s.low, s.possible, columns, s.mask);
    for (int64_t part = 0; part < RPU_SEGMENTS(columns); part++) {
        const int64_t first = part * per_segment, last = first + per_segment < groups ? first + per_segment : groups;
        int32_t q = next, minus = 0;
        uint32_t signs = 0;
        for (int64_t g = first; g < last; g += AT_ONCE) {
            const uint64_t below = lines_from(s.negative, g, last);
            for (uint64_t m = lines_from(s.mask, g, last); m; m &= m - 1) {
                const int bit = rpu_lowest_bit(m);
                const uint32_t negative = (uint32_t)(below >> bit) & 1u;
                t->columns[q] = (uint16_t)(4 * (RPU_GROUP * (g - first) + bit));
                minus += (int32_t)negative;
                signs |= negative << q % RPU_LIST_LANES;
                t->signs[q / RPU_LIST_LANES] = (uint8_t)signs;
                signs = ++q % RPU_LIST_LANES ? signs : 0;
            }
        }
        t->start[part] = next;
        t->fired[part] = q - next;
        s.fired[0] += q - next;
        s.negative_fired[0] += minus;
        for (next = padded(q); q < next; q++)
            t->columns[q] = t->columns[q - 1];
    }
}

/* Whether so many pulses of a row are less work as one sum per device: that costs as much as a pulse, and an eighth of one for
 * every further word of slots. */
static int worth_summing(uint64_t pulses, int64_t columns, int32_t words)
{
    return 8 * pulses >= (uint64_t)columns * (7 + (uint64_t)words);
}

/* Slots by column, for rows that sum; only where a row that fires in all slots would. */
static void keep_bits(const float *x, int64_t columns, scratch_of s, int64_t lines, rpu_trains *t)
{
    const int64_t all = RPU_GROUP * RPU_GROUPS(columns);
    uint64_t fired = 0;
    for (int32_t slot = 0; slot < t->bl; slot++)
        fired += (uint64_t)s.fired[slot];
    if (!worth_summing(fired, columns, t->words)) {
        t->column_bits = t->column_signs = NULL;
        return;
    }
    memset(t->column_bits, 0, sizeof *t->column_bits * (size_t)(all * t->words));
    memset(t->column_signs, 0, sizeof *t->column_signs * (size_t)all);
    for (int64_t l = 0; l < lines; l++) {
        const int32_t j = s.line[l];
        t->column_signs[j] = x[j] < 0.0f ? 0x80000000u : 0;
        for (int32_t word = 0; word < t->words; word++)
            t->column_bits[word * all + j] = s.bits[l * t->words + word];
    }
}

/* The columns of a vector with several slots: drawn as bits per column, and turned into slots. */
static void draw_columns(const rpu_kernels *k, const float *x, int64_t columns, int shared, uint64_t key,
                         uint64_t operation, scratch_of s, rpu_trains *t)
{
    const int64_t lines = possible_lines(s.possible, RPU_GROUPS(columns), s.line);
    const int32_t segments = (int32_t)RPU_SEGMENTS(columns), words = t->words;
    int32_t next = 0;
    draw_bits(k, shared, RPU_TRAIN_X, key, operation, s, lines, t->bl, words);
    memset(t->fired, 0, sizeof *t->fired * (size_t)t->bl * (size_t)segments);
    memset(s.negative_fired, 0, sizeof *s.negative_fired * (size_t)t->bl);
    for (int64_t l = 0; l < lines; l++) {
        const int negative = x[s.line[l]] < 0.0f, part = s.line[l] / RPU_SEGMENT;
        for (int32_t word = 0; word < words; word++)
            for (uint32_t m = s.bits[l * words + word]; m; m &= m - 1) {
                const int32_t slot = 32 * word + rpu_lowest_bit(m);
                t->fired[slot * segments + part]++;
                s.negative_fired[slot] += negative;
            }
    }
    for (int32_t slot = 0; slot < t->bl; slot++) {
        s.fired[slot] = 0;
        for (int32_t part = slot * segments; part < (slot + 1) * segments; part++)
            s.fired[slot] += t->fired[part];
        for (int32_t part = slot * segments; part < (slot + 1) * segments; part++) {
            t->start[part] = next;
            next += padded(t->fired[part]);
        }
    }
    for (int64_t l = 0; l < lines; l++) {
        const int32_t j = s.line[l], part = j / RPU_SEGMENT;
        const uint32_t negative = x[j] < 0.0f;
        for (int32_t word = 0; word < words; word++)
            for (uint32_t m = s.bits[l * words + word]; m; m &= m - 1) {
                const int32_t slot = 32 * word + rpu_lowest_bit(m);
                append(t, t->start[slot * segments + part]++, j % RPU_SEGMENT, negative);
            }
    }
    for (int32_t part = 0; part < t->bl * segments; part++) {
        const int32_t end = t->start[part];
        t->start[part] -= t->fired[part];
        for (int32_t q = end; q < t->start[part] + padded(t->fired[part]); q++)
            t->columns[q] = t->columns[q - 1];
    }
    if (t->column_bits)
        keep_bits(x, columns, s, lines, t);
}

/* The lists once more, as strips: only where so many columns fire that these can be of use (panel.h). */
static void keep_strips(int64_t columns, scratch_of s, rpu_trains *t)
{
    const int64_t groups = RPU_GROUPS(columns), strips = RPU_STRIPS(columns);
    int64_t fired = 0;
    for (int32_t slot = 0; slot < t->bl; slot++)
        fired += s.fired[slot];
    if (4 * fired <= columns * t->bl) {
        t->strips = NULL;
        return;
    }
    memset(t->strips, 0, sizeof *t->strips * (size_t)(t->bl * strips));
    memset(t->up, 0, sizeof *t->up * (size_t)strips);
    for (int64_t g = 0; g < groups; g++)
        t->up[g / 2] |= (uint32_t)s.negative[g] << RPU_GROUP * (g % 2);
    for (int64_t k = 0; k < strips; k++)
        t->up[strips + k] = ~t->up[k];
    for (int32_t slot = 0; slot < t->bl; slot++) {
        rpu_strip *strip = t->strips + slot * strips;
        int32_t n = 0;
        for (int32_t q = t->start[slot]; q < t->start[slot] + t->fired[slot]; q++)
            strip[t->columns[q] / (4 * RPU_WIDE)].fire |= 1u << t->columns[q] / 4 % RPU_WIDE;
        for (int64_t k = 0; k < strips; k++)
            for (int eighth = 0; eighth < RPU_WIDE / RPU_LIST_LANES; eighth++) {
                strip[k].before[eighth] = (uint16_t)n;
                n += population(strip[k].fire >> RPU_LIST_LANES * eighth & 0xFF);
            }
    }
}

void rpu_draw_trains(const rpu_kernels *k, rpu_pulse_plan plan, const float *x, const float *d, int64_t rows,
                     int64_t columns, uint64_t key, uint64_t operation, void *memory, void *scratch, int64_t *fired,
                     rpu_trains *t)
{
    const int32_t bl = plan.bl, words = words_of(bl);
    const int once = bl == 1 && !plan.shared;       /* which is never summed */
    scratch_of s;
    plan.sum = plan.sum && !once;
    lay_out(rows, columns, plan, memory, t);
    lay_out_scratch(rows, columns, bl, scratch, &s);
    t->bl = bl;
    t->words = words;
    t->only = 0;
    k->thresholds(x, columns, (float)plan.scale_x, s.high, s.low, s.negative, s.possible);
    if (once)
        draw_columns_once(k, columns, key, operation, s, t);
    else
        draw_columns(k, x, columns, plan.shared, key, operation, s, t);
    if (t->strips)
        keep_strips(columns, s, t);
    if (fired && once) {
        for (int64_t g = 0; g < RPU_GROUPS(columns); g++)
            for (uint32_t m = s.mask[g]; m; m &= m - 1)
                fired[RPU_GROUP * g + rpu_lowest_bit(m)]++;
    } else if (fired)   /* the lines and bits are still those of the columns */
        count_lines(s, possible_lines(s.possible, RPU_GROUPS(columns), s.line), words, fired);

    /* Rows: when they fire, and how many pulses that makes. */
    k->thresholds(d, rows, (float)plan.scale_d, s.high, s.low, s.negative, s.possible);
    if (once)       /* only rows that fire are lines, and their one bit is set */
        k->train_slot(key, RPU_TRAIN_D, operation, s.high, s.low, s.possible, rows, s.possible);
    const int64_t lines = possible_lines(s.possible, RPU_GROUPS(rows), s.line);
    if (!once)
        draw_bits(k, plan.shared, RPU_TRAIN_D, key, operation, s, lines, bl, words);
    if (fired && once)
        for (int64_t l = 0; l < lines; l++)
            fired[columns + s.line[l]]++;
    else if (fired)
        count_lines(s, lines, words, fired + columns);
    uint64_t base = 0, drawn = 0;       /* pulses; those that draw their own noise */
    int64_t firing = 0, up = 0, below = 0;
    for (int64_t l = 0; once && s.fired[0] > 0 && l < lines; l++) {
        const int32_t i = s.line[l];
        const int negative = d[i] < 0.0f;
        t->row[l] = 2 * i + negative;
        t->row_bits[l] = 1u;
        t->noise_base[l] = (uint64_t)l * (uint64_t)s.fired[0];
        below += negative;
        firing = l + 1;
    }
    if (once && RPU_SEGMENTS(columns) == 1)
        t->only = s.fired[0];
    if (once) {     /* after the loop: which rows are below 0 cannot be foreseen */
        base = drawn = (uint64_t)firing * (uint64_t)s.fired[0];
        up = below * (s.fired[0] - s.negative_fired[0]) + (firing - below) * s.negative_fired[0];
    }
    for (int64_t l = 0; !once && l < lines; l++) {
        const int32_t i = s.line[l];
        const int negative = d[i] < 0.0f;
        const uint64_t before = base;
        for (int32_t word = 0; word < words; word++) {
            t->row_bits[firing * words + word] = s.bits[l * words + word];
            for (uint32_t m = s.bits[l * words + word]; m; m &= m - 1) {
                const int32_t slot = 32 * word + rpu_lowest_bit(m);
                base += (uint64_t)s.fired[slot];
                up += negative ? s.fired[slot] - s.negative_fired[slot] : s.negative_fired[slot];
            }
        }
        if (base > before) {
            t->row[firing] = 2 * i + negative;
            t->noise_base[firing++] = drawn;
            if (!t->column_bits || !worth_summing(base - before, columns, words))
                drawn += base - before;
        }
    }
    t->row[firing] = INT32_MAX;
    t->noise_base[firing] = drawn;
    t->pulses.up = up;
    t->pulses.down = (int64_t)base - up;
}

void rpu_count_pulses(const rpu_pulse_scheme *s, rpu_pulse_plan plan, const float *x, float d, int64_t columns,
                      int reverse, int32_t *counts)
{
    const double bl = plan.bl, p_d = fmin(1.0, fabs((double)d) * plan.scale_d), c_d = rint(bl * p_d);
    for (int64_t j = 0; j < columns; j++) {
        const double p_x = fmin(1.0, fabs((double)x[j]) * plan.scale_x);
        const int32_t n = (int32_t)(s->type == RPU_MEAN_COUNT ? rint(rint(bl * p_x) * c_d / bl) : rint(bl * p_x * p_d));
        counts[j] = ((x[j] < 0.0f) != (d < 0.0f)) != reverse ? n : -n;
    }
}
