/* Sums of outer products, for devices without pulses, and what is to be known of a vector before and after a product. */
#ifndef RPU_PRODUCTS_H
#define RPU_PRODUCTS_H

#include <stdint.h>

#include "normal.h"
#include "portable.h"

static void rank_one_rows(float *w, int64_t rows, int64_t columns, const float *x, const float *d, int64_t vectors,
                          float lr, int64_t row0, int64_t row1)
{
    for (int64_t i = row0; i < row1; i++) {
        float *restrict wi = w + i * columns;
        int64_t v = 0;
        /* Four vectors per pass over the row; the additions keep their order, so the split does not show. */
        for (; v + 4 <= vectors; v += 4) {
            const float a0 = lr * d[v * rows + i], a1 = lr * d[(v + 1) * rows + i];
            const float a2 = lr * d[(v + 2) * rows + i], a3 = lr * d[(v + 3) * rows + i];
            const float *restrict x0 = x + v * columns, *restrict x1 = x0 + columns;
            const float *restrict x2 = x1 + columns, *restrict x3 = x2 + columns;
            RPU_SIMD
            for (int64_t j = 0; j < columns; j++)
                wi[j] = (((wi[j] - a0 * x0[j]) - a1 * x1[j]) - a2 * x2[j]) - a3 * x3[j];
        }
        for (; v < vectors; v++) {
            const float a = lr * d[v * rows + i];
            const float *restrict xv = x + v * columns;
            RPU_SIMD
            for (int64_t j = 0; j < columns; j++)
                wi[j] -= a * xv[j];
        }
    }
}

/* Of finite numbers: without the sign their bits are in the order of their values, and integers vectorise. */
static float abs_max(const float *x, int64_t n)
{
    uint32_t top = 0;
    for (int64_t j = 0; j < n; j++) {
        const uint32_t a = rpu_float_to_bits(x[j]) & 0x7FFFFFFFu;
        top = a > top ? a : top;
    }
    return rpu_bits_to_float(top);
}

static int all_finite(const float *x, int64_t n)
{
    uint32_t bad = 0;
    for (int64_t j = 0; j < n; j++)
        bad |= (rpu_float_to_bits(x[j]) & 0x7F800000u) == 0x7F800000u;
    return !bad;
}

/* Eight sums, of every eighth number each: additions in one order on all sets, and no chain of them. */
static double sum_squares(const float *x, int64_t n)
{
    double sum[8] = {0}, rest = 0.0;
    const int64_t whole = n / 8 * 8;
    for (int64_t j = 0; j < whole; j += 8)
        for (int l = 0; l < 8; l++)
            sum[l] += (double)x[j + l] * (double)x[j + l];
    for (int64_t j = whole; j < n; j++)
        rest += (double)x[j] * (double)x[j];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7])) + rest;
}

#endif
