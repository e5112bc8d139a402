/* Sums of outer products, for devices without pulses, and what is to be known of a vector before and after a product. */
#ifndef RPU_PRODUCTS_H
#define RPU_PRODUCTS_H

#include <stdint.h>
#include <string.h>

#include "normal.h"
#include "portable.h"

/* A line of numbers in one register, where there are such registers. */
#if defined(RPU_USE_AVX512)
typedef __m512 fline;
#define FLINE_LOAD(p) _mm512_loadu_ps(p)
#define FLINE_STORE(p, a) _mm512_storeu_ps(p, a)
#define FLINE_MINUS(w, a, x) _mm512_sub_ps(w, _mm512_mul_ps(_mm512_set1_ps(a), x))
#define FLINE 16
#elif defined(RPU_USE_AVX2)
typedef __m256 fline;
#define FLINE_LOAD(p) _mm256_loadu_ps(p)
#define FLINE_STORE(p, a) _mm256_storeu_ps(p, a)
#define FLINE_MINUS(w, a, x) _mm256_sub_ps(w, _mm256_mul_ps(_mm256_set1_ps(a), x))
#define FLINE 8
#endif

enum { RPU_RANK_ROWS = 4, RPU_RANK_BLOCK = 64, RPU_RANK_VECTORS = 64, RPU_RANK_FEW = 12 };

static void rank_one_plain(float *w, int64_t rows, int64_t columns, const float *x, const float *d, int64_t vectors,
                          float lr, int64_t row0, int64_t row1)
{
    for (int64_t i = row0; i < row1; i++) {
        float *restrict wi = w + i * columns;
        for (int64_t v = 0; v < vectors; v++) {
            const float a = lr * d[v * rows + i];
            const float *restrict xv = x + v * columns;
            RPU_SIMD
            for (int64_t j = 0; j < columns; j++)
                wi[j] -= a * xv[j];
        }
    }
}

#if defined(FLINE)
enum { RPU_RANK_COLUMNS = 2 * FLINE };

/* A tile of w -= a x stays in registers while the vectors act on it, one after another. */
static RPU_INLINE void rank_one_tile(float *const *w, const float *x, int64_t x_step, const float *a, int64_t vectors)
{
    fline a0 = FLINE_LOAD(w[0]), a1 = FLINE_LOAD(w[1]), a2 = FLINE_LOAD(w[2]), a3 = FLINE_LOAD(w[3]);
    fline b0 = FLINE_LOAD(w[0] + FLINE), b1 = FLINE_LOAD(w[1] + FLINE);
    fline b2 = FLINE_LOAD(w[2] + FLINE), b3 = FLINE_LOAD(w[3] + FLINE);
    for (int64_t v = 0; v < vectors; v++) {
        const float *s = a + v * RPU_RANK_ROWS, *xv = x + v * x_step;
        const fline p = FLINE_LOAD(xv), q = FLINE_LOAD(xv + FLINE);
        a0 = FLINE_MINUS(a0, s[0], p);
        b0 = FLINE_MINUS(b0, s[0], q);
        a1 = FLINE_MINUS(a1, s[1], p);
        b1 = FLINE_MINUS(b1, s[1], q);
        a2 = FLINE_MINUS(a2, s[2], p);
        b2 = FLINE_MINUS(b2, s[2], q);
        a3 = FLINE_MINUS(a3, s[3], p);
        b3 = FLINE_MINUS(b3, s[3], q);
    }
    FLINE_STORE(w[0], a0), FLINE_STORE(w[1], a1), FLINE_STORE(w[2], a2), FLINE_STORE(w[3], a3);
    FLINE_STORE(w[0] + FLINE, b0), FLINE_STORE(w[1] + FLINE, b1);
    FLINE_STORE(w[2] + FLINE, b2), FLINE_STORE(w[3] + FLINE, b3);
}

/* The tile of some rows at a column. What is no whole tile is worked on as one elsewhere, beside what is left there. */
static RPU_INLINE void rank_one_at(float *w, int64_t columns, int64_t rows, int64_t width, const float *x, int64_t x_step,
                                   const float *a, int64_t vectors, float *spare)
{
    float *lines[RPU_RANK_ROWS];
    for (int64_t r = 0; r < RPU_RANK_ROWS; r++) {
        lines[r] = r < rows && width == RPU_RANK_COLUMNS ? w + r * columns : spare + r * RPU_RANK_COLUMNS;
        if (r < rows && width < RPU_RANK_COLUMNS)
            memcpy(lines[r], w + r * columns, (size_t)width * sizeof *w);
    }
    rank_one_tile(lines, x, x_step, a, vectors);
    for (int64_t r = 0; r < rows && width < RPU_RANK_COLUMNS; r++)
        memcpy(w + r * columns, lines[r], (size_t)width * sizeof *w);
}

/* Some vectors on a block of rows: row by row where they are few. Where they are many, their columns of one tile are laid side
 * by side first, which the first-level cache holds for all rows of the block. */
static void rank_one_block(float *w, int64_t columns, int64_t block, const float *x, const float *d, int64_t d_step,
                           int64_t vectors, float lr)
{
    float a[RPU_RANK_VECTORS * RPU_RANK_BLOCK], side[RPU_RANK_VECTORS * RPU_RANK_COLUMNS];
    float spare[RPU_RANK_ROWS * RPU_RANK_COLUMNS] = {0};
    const int64_t few = vectors < RPU_RANK_FEW ? columns / RPU_RANK_COLUMNS * RPU_RANK_COLUMNS : 0;
    for (int64_t i = 0; i < block; i += RPU_RANK_ROWS) {
        const int64_t rows = block - i < RPU_RANK_ROWS ? block - i : RPU_RANK_ROWS;
        float *own = a + i * RPU_RANK_VECTORS;
        for (int64_t v = 0; v < vectors; v++)
            for (int64_t r = 0; r < RPU_RANK_ROWS; r++)
                own[v * RPU_RANK_ROWS + r] = r < rows ? lr * d[v * d_step + i + r] : 0.0f;
        for (int64_t j = 0; j < few; j += RPU_RANK_COLUMNS)
            rank_one_at(w + i * columns + j, columns, rows, RPU_RANK_COLUMNS, x + j, columns, own, vectors, spare);
    }
    for (int64_t j = few; j < columns; j += RPU_RANK_COLUMNS) {
        const int64_t width = columns - j < RPU_RANK_COLUMNS ? columns - j : RPU_RANK_COLUMNS;
        if (width < RPU_RANK_COLUMNS)
            memset(side, 0, (size_t)(vectors * RPU_RANK_COLUMNS) * sizeof *side);
        for (int64_t v = 0; v < vectors; v++) {
            if (width == RPU_RANK_COLUMNS)
                memcpy(side + v * RPU_RANK_COLUMNS, x + v * columns + j, RPU_RANK_COLUMNS * sizeof *x);
            else
                memcpy(side + v * RPU_RANK_COLUMNS, x + v * columns + j, (size_t)width * sizeof *x);
        }
        for (int64_t i = 0; i < block; i += RPU_RANK_ROWS) {
            const int64_t rows = block - i < RPU_RANK_ROWS ? block - i : RPU_RANK_ROWS;
            rank_one_at(w + i * columns + j, columns, rows, width, side, RPU_RANK_COLUMNS, a + i * RPU_RANK_VECTORS, vectors,
                        spare);
        }
    }
}
#endif

/* w -= lr d^T x, vector after vector for every number, so that neither the tiles nor the parts show. */
static void rank_one_rows(float *w, int64_t rows, int64_t columns, const float *x, const float *d, int64_t vectors,
                          float lr, int64_t row0, int64_t row1)
{
#if defined(FLINE)
    for (int64_t v = 0; v < vectors && vectors > 1; v += RPU_RANK_VECTORS) {
        const int64_t part = vectors - v < RPU_RANK_VECTORS ? vectors - v : RPU_RANK_VECTORS;
        for (int64_t i = row0; i < row1; i += RPU_RANK_BLOCK) {
            const int64_t block = row1 - i < RPU_RANK_BLOCK ? row1 - i : RPU_RANK_BLOCK;
            rank_one_block(w + i * columns, columns, block, x + v * columns, d + v * rows + i, rows, part, lr);
        }
    }
    if (vectors > 1)
        return;
#endif
    rank_one_plain(w, rows, columns, x, d, vectors, lr, row0, row1);
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
