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

size_t rpu_trains_bytes(int64_t rows, int64_t columns, int32_t bl)
{
    const size_t longest = (size_t)(rows > columns ? rows : columns), words = (size_t)words_of(bl);
    return aligned(4 * (2 * (size_t)bl + 1)) + aligned(4 * (size_t)columns * (size_t)bl) + aligned(4 * (size_t)rows * words)
         + aligned((size_t)rows) + aligned(8 * ((size_t)rows + 1)) + aligned(4 * longest * words) + aligned(4 * longest)
         + aligned(8 * longest);
}

/* Lines that can fire, and their probabilities as 32-bit fractions (2^32: always). */
static int64_t thresholds(const float *v, int64_t n, double scale, int32_t *line, uint64_t *threshold)
{
    int64_t lines = 0;
    for (int64_t j = 0; j < n; j++) {
        if (v[j] == 0.0f)
            continue;
        const double p = fabs((double)v[j]) * scale;
        const uint64_t t = p >= 1.0 ? (uint64_t)1 << 32 : (uint64_t)(p * 4294967296.0 + 0.5);
        if (t == 0)
            continue;
        line[lines] = (int32_t)j;
        threshold[lines++] = t;
    }
    return lines;
}

void rpu_draw_trains(const rpu_kernels *k, rpu_pulse_plan plan, const float *x, const float *d, int64_t rows,
                     int64_t columns, uint64_t key, uint64_t operation, void *memory, rpu_trains *out)
{
    const int32_t bl = plan.bl, words = words_of(bl);
    const size_t longest = (size_t)(rows > columns ? rows : columns);
    char *next = memory;
    out->bl = bl;
    out->words = words;
#define TAKE(type, n) (type *)(void *)next; next += aligned(sizeof(type) * (size_t)(n))
    int32_t *start = TAKE(int32_t, 2 * bl + 1);
    int32_t *fired = TAKE(int32_t, columns * bl);
    uint32_t *row_bits = TAKE(uint32_t, rows * words);
    uint8_t *row_negative = TAKE(uint8_t, rows);
    uint64_t *noise_base = TAKE(uint64_t, rows + 1);
    uint32_t *bits = TAKE(uint32_t, longest * (size_t)words);
    int32_t *line = TAKE(int32_t, longest);
    uint64_t *threshold = TAKE(uint64_t, longest);
#undef TAKE
    out->start = start;
    out->columns = fired;
    out->row_bits = row_bits;
    out->row_negative = row_negative;
    out->noise_base = noise_base;

    /* Columns: count what fires per slot and sign, then place it. */
    int64_t lines = thresholds(x, columns, plan.scale_x, line, threshold);
    k->train_bits(key, RPU_TRAIN_X, operation, line, threshold, lines, bl, words, bits);
    memset(start, 0, sizeof *start * (size_t)(2 * bl + 1));
    for (int64_t l = 0; l < lines; l++) {
        const int negative = x[line[l]] < 0.0f;
        for (int32_t word = 0; word < words; word++)
            for (uint32_t m = bits[l * words + word]; m; m &= m - 1)
                start[2 * (32 * word + lowest_bit(m)) + negative]++;
    }
    int32_t total = 0;
    for (int32_t s = 0; s < 2 * bl; s++) {
        const int32_t n = start[s];
        start[s] = total;
        total += n;
    }
    for (int64_t l = 0; l < lines; l++) {
        const int negative = x[line[l]] < 0.0f;
        for (int32_t word = 0; word < words; word++)
            for (uint32_t m = bits[l * words + word]; m; m &= m - 1)
                fired[start[2 * (32 * word + lowest_bit(m)) + negative]++] = line[l];
    }
    for (int32_t s = 2 * bl; s > 0; s--)    /* each start has moved to its end, which is the next one's start */
        start[s] = start[s - 1];
    start[0] = 0;

    /* Rows: when they fire, and how many pulses each gets. */
    lines = thresholds(d, rows, plan.scale_d, line, threshold);
    k->train_bits(key, RPU_TRAIN_D, operation, line, threshold, lines, bl, words, bits);
    memset(row_bits, 0, sizeof *row_bits * (size_t)(rows * words));
    uint64_t base = 0;
    int64_t next_row = 0;
    for (int64_t l = 0; l < lines; l++) {
        const int64_t i = line[l];
        for (; next_row <= i; next_row++)
            noise_base[next_row] = base;
        row_negative[i] = d[i] < 0.0f;
        for (int32_t word = 0; word < words; word++) {
            row_bits[i * words + word] = bits[l * words + word];
            for (uint32_t m = bits[l * words + word]; m; m &= m - 1) {
                const int32_t slot = 32 * word + lowest_bit(m);
                base += (uint64_t)(start[2 * slot + 2] - start[2 * slot]);
            }
        }
    }
    for (; next_row <= rows; next_row++)
        noise_base[next_row] = base;
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
