#include "pulses.h"
#include "philox.h"

#include <math.h>
#include <string.h>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
static int lowest_bit(uint32_t m) { unsigned long k; _BitScanForward(&k, m); return (int)k; }
#else
static int lowest_bit(uint32_t m) { return __builtin_ctz(m); }
#endif

/* Gokmen and Vlasov 2016, with update management as in Gokmen, Onen and Haensch 2017 and AIHWKit:
 * k = lr max|x| max|d| / g pulses are wanted for the largest product. */
rpu_pulse_plan rpu_plan_pulses(const rpu_pulse_scheme *s, double lr, double granularity, double x_max, double d_max)
{
    rpu_pulse_plan plan = {0, 0.0, 0.0};
    double bl = s->desired_bl, both;
    if (x_max == 0.0 || d_max == 0.0 || lr == 0.0)
        return plan;
    d_max *= s->um_grad_scale;
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
    plan.bl = (int32_t)bl;
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

/* The parts of a vector's memory, in order; with base NULL it measures them. */
typedef struct {
    uint32_t *high, *low, *bits;
    int32_t *line, *negative_fired;
    uint16_t *possible, *row_negative;
    size_t bytes;
} scratch_of;

static scratch_of lay_out(const rpu_kernels *k, int64_t rows, int64_t columns, int32_t bl, char *base, rpu_trains *t)
{
    const size_t longest = (size_t)(rows > columns ? rows : columns), words = (size_t)words_of(bl);
    const size_t groups = (size_t)RPU_GROUPS(columns), n = (size_t)bl;
    const size_t listed = k->mask_from ? (size_t)columns / (size_t)k->mask_from + 1 : (size_t)columns;
    size_t next = 0;
    scratch_of s;
#define TAKE(pointer, count)                                            \
    do {                                                                \
        pointer = base ? (void *)(base + next) : NULL;                  \
        next += aligned(sizeof *(pointer) * (size_t)(count));           \
    } while (0)
    TAKE(t->fired, n);
    TAKE(t->start, n);
    TAKE(t->columns, n * listed);
    TAKE(t->masks, k->mask_from ? n * groups : groups);
    TAKE(t->negative, groups);
    TAKE(t->row_bits, (size_t)rows * words);
    TAKE(t->row_negative, rows);
    TAKE(t->noise_base, rows + 1);
    TAKE(s.high, longest);
    TAKE(s.low, longest);
    TAKE(s.line, longest);
    TAKE(s.bits, longest * words);
    TAKE(s.possible, RPU_GROUPS(longest));
    TAKE(s.row_negative, RPU_GROUPS(rows));
    TAKE(s.negative_fired, n);
#undef TAKE
    s.bytes = next;
    return s;
}

size_t rpu_trains_bytes(const rpu_kernels *k, int64_t rows, int64_t columns, int32_t bl)
{
    rpu_trains t;
    return lay_out(k, rows, columns, bl, NULL, &t).bytes;
}

static int64_t possible_lines(const uint16_t *possible, int64_t groups, int32_t *line)
{
    int64_t lines = 0;
    for (int64_t g = 0; g < groups; g++)
        for (uint32_t m = possible[g]; m; m &= m - 1)
            line[lines++] = (int32_t)(RPU_GROUP * g + lowest_bit(m));
    return lines;
}

/* One slot's mask into a list. */
static void list_slot(const uint16_t *mask, const uint16_t *negative, int64_t groups, int32_t *columns)
{
    for (int64_t g = 0; g < groups; g++)
        for (uint32_t m = mask[g]; m; m &= m - 1) {
            const int bit = lowest_bit(m);
            *columns++ = (int32_t)(RPU_GROUP * g + bit) | (negative[g] >> bit & 1u ? RPU_NEGATIVE : 0);
        }
}

static int population(uint32_t m)
{
    m -= m >> 1 & 0x55555555u;
    m = (m & 0x33333333u) + (m >> 2 & 0x33333333u);
    return (int)(((m + (m >> 4)) & 0x0F0F0F0Fu) * 0x01010101u >> 24);
}

void rpu_draw_trains(const rpu_kernels *k, rpu_pulse_plan plan, const float *x, const float *d, int64_t rows,
                     int64_t columns, uint64_t key, uint64_t operation, void *memory, rpu_trains *t)
{
    const int32_t bl = plan.bl, words = words_of(bl);
    const int64_t groups = RPU_GROUPS(columns);
    const scratch_of s = lay_out(k, rows, columns, bl, memory, t);
    t->bl = bl;
    t->words = words;

    /* Columns: which fire in which slot. */
    k->thresholds(x, columns, (float)plan.scale_x, s.high, s.low, t->negative, s.possible);
    memset(t->fired, 0, sizeof *t->fired * (size_t)bl);
    memset(s.negative_fired, 0, sizeof *s.negative_fired * (size_t)bl);
    if (bl == 1) {
        k->train_slot(key, RPU_TRAIN_X, operation, s.high, s.low, s.possible, columns, t->masks);
        for (int64_t g = 0; g < groups; g++) {
            t->fired[0] += population(t->masks[g]);
            s.negative_fired[0] += population(t->masks[g] & t->negative[g]);
        }
        const int listed = k->mask_from == 0 || (int64_t)t->fired[0] * k->mask_from < columns;
        t->start[0] = listed ? 0 : -1;
        if (listed)
            list_slot(t->masks, t->negative, groups, t->columns);
    } else {
        const int64_t lines = possible_lines(s.possible, groups, s.line);
        k->train_bits(key, RPU_TRAIN_X, operation, s.high, s.low, s.line, lines, bl, words, s.bits);
        for (int64_t l = 0; l < lines; l++) {
            const int negative = x[s.line[l]] < 0.0f;
            for (int32_t word = 0; word < words; word++)
                for (uint32_t m = s.bits[l * words + word]; m; m &= m - 1) {
                    const int32_t slot = 32 * word + lowest_bit(m);
                    t->fired[slot]++;
                    s.negative_fired[slot] += negative;
                }
        }
        int32_t total = 0;
        for (int32_t slot = 0; slot < bl; slot++) {
            const int listed = k->mask_from == 0 || (int64_t)t->fired[slot] * k->mask_from < columns;
            t->start[slot] = listed ? total : -1;
            total += listed ? t->fired[slot] : 0;
            if (!listed)
                memset(t->masks + slot * groups, 0, sizeof *t->masks * (size_t)groups);
        }
        for (int64_t l = 0; l < lines; l++) {
            const int32_t j = s.line[l], entry = x[j] < 0.0f ? j | RPU_NEGATIVE : j;
            for (int32_t word = 0; word < words; word++)
                for (uint32_t m = s.bits[l * words + word]; m; m &= m - 1) {
                    const int32_t slot = 32 * word + lowest_bit(m);
                    if (t->start[slot] >= 0)
                        t->columns[t->start[slot]++] = entry;
                    else
                        t->masks[slot * groups + j / RPU_GROUP] |= (uint16_t)(1u << (j % RPU_GROUP));
                }
        }
        for (int32_t slot = 0; slot < bl; slot++)
            if (t->start[slot] >= 0)
                t->start[slot] -= t->fired[slot];
    }

    /* Rows: when they fire, and how many pulses each gets. */
    k->thresholds(d, rows, (float)plan.scale_d, s.high, s.low, s.row_negative, s.possible);
    if (bl == 1)    /* only rows that fire are lines, and their one bit is set */
        k->train_slot(key, RPU_TRAIN_D, operation, s.high, s.low, s.possible, rows, s.possible);
    const int64_t lines = possible_lines(s.possible, RPU_GROUPS(rows), s.line);
    if (bl == 1)
        for (int64_t l = 0; l < lines; l++)
            s.bits[l] = 1u;
    else
        k->train_bits(key, RPU_TRAIN_D, operation, s.high, s.low, s.line, lines, bl, words, s.bits);
    memset(t->row_bits, 0, sizeof *t->row_bits * (size_t)(rows * words));
    uint64_t base = 0;
    int64_t next_row = 0, up = 0;
    for (int64_t l = 0; l < lines; l++) {
        const int64_t i = s.line[l];
        const int negative = d[i] < 0.0f;
        for (; next_row <= i; next_row++)
            t->noise_base[next_row] = base;
        t->row_negative[i] = (uint8_t)negative;
        for (int32_t word = 0; word < words; word++) {
            t->row_bits[i * words + word] = s.bits[l * words + word];
            for (uint32_t m = s.bits[l * words + word]; m; m &= m - 1) {
                const int32_t slot = 32 * word + lowest_bit(m);
                base += (uint64_t)t->fired[slot];
                up += negative ? t->fired[slot] - s.negative_fired[slot] : s.negative_fired[slot];
            }
        }
    }
    for (; next_row <= rows; next_row++)
        t->noise_base[next_row] = base;
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
