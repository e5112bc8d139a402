/* Sums of outer products, for devices without pulses, and what is to be known of a vector before and after a product. */
#ifndef RPU_PRODUCTS_H
#define RPU_PRODUCTS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "normal.h"
#include "portable.h"

/* A line of numbers in one register, where there are such registers, and the first few of one. */
#if defined(RPU_USE_AVX512)
typedef __m512 fline;
typedef __mmask16 fsome;
#define FLINE_LOAD(p, some) _mm512_maskz_loadu_ps(some, p)
#define FLINE_STORE(p, some, a) _mm512_mask_storeu_ps(p, some, a)
#define FLINE_WHOLE(p) _mm512_loadu_ps(p)
#define FLINE_MINUS(w, a, x) _mm512_sub_ps(w, _mm512_mul_ps(_mm512_set1_ps(a), x))
#define FLINE_SOME(n) ((__mmask16)((1u << (n)) - 1u))
#define FLINE_ZERO _mm512_setzero_ps()
#define FLINE_ABS(a) _mm512_abs_ps(a)
#define FLINE_PLUS(a, b) _mm512_add_ps(a, b)
#define FLINE_TIMES(a, b) _mm512_mul_ps(a, b)
#define FLINE_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define FLINE_OUT(p, a) _mm512_storeu_ps(p, a)
#define FLINE 16
#elif defined(RPU_USE_AVX2)
typedef __m256 fline;
typedef __m256i fsome;
#define FLINE_LOAD(p, some) _mm256_maskload_ps(p, some)
#define FLINE_STORE(p, some, a) _mm256_maskstore_ps(p, some, a)
#define FLINE_WHOLE(p) _mm256_loadu_ps(p)
#define FLINE_MINUS(w, a, x) _mm256_sub_ps(w, _mm256_mul_ps(_mm256_set1_ps(a), x))
#define FLINE_SOME(n) _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#define FLINE_ZERO _mm256_setzero_ps()
#define FLINE_ABS(a) _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a)
#define FLINE_PLUS(a, b) _mm256_add_ps(a, b)
#define FLINE_TIMES(a, b) _mm256_mul_ps(a, b)
#define FLINE_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define FLINE_OUT(p, a) _mm256_storeu_ps(p, a)
#define FLINE 8
#endif

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
/* Rows and columns of a tile, rows of a block, vectors of a part, and numbers of a part that the first-level cache has room for. */
enum { RPU_RANK_ROWS = 4, RPU_RANK_COLUMNS = 2 * FLINE, RPU_RANK_BLOCK = 64, RPU_RANK_VECTORS = 64, RPU_RANK_CACHED = 4096 };

/* A tile of w -= a x stays in registers while the vectors act on it, one after another; of its two lines the second may be
 * left out, or have some columns only. */
static RPU_INLINE void rank_one_tile(float *const *w, const float *x, int64_t columns, const float *a, int64_t vectors,
                                     int both, int whole, fsome first, fsome second)
{
    fline wide[RPU_RANK_ROWS], rest[RPU_RANK_ROWS];
    for (int r = 0; r < RPU_RANK_ROWS; r++) {
        wide[r] = FLINE_LOAD(w[r], first);
        if (both)
            rest[r] = FLINE_LOAD(w[r] + FLINE, second);
    }
    for (int64_t v = 0; v < vectors; v++) {
        const float *s = a + v * RPU_RANK_ROWS, *xv = x + v * columns;
        const fline p = whole ? FLINE_WHOLE(xv) : FLINE_LOAD(xv, first);
        for (int r = 0; r < RPU_RANK_ROWS; r++)
            wide[r] = FLINE_MINUS(wide[r], s[r], p);
        if (both) {
            const fline q = whole ? FLINE_WHOLE(xv + FLINE) : FLINE_LOAD(xv + FLINE, second);
            for (int r = 0; r < RPU_RANK_ROWS; r++)
                rest[r] = FLINE_MINUS(rest[r], s[r], q);
        }
    }
    for (int r = 0; r < RPU_RANK_ROWS; r++) {
        FLINE_STORE(w[r], first, wide[r]);
        if (both)
            FLINE_STORE(w[r] + FLINE, second, rest[r]);
    }
}

/* Some vectors on a block of rows, tile by tile: the columns of x of one tile serve all rows of the block from the cache. */
static void rank_one_block(float *w, int64_t columns, int64_t block, const float *x, const float *d, int64_t d_step,
                           int64_t vectors, float lr)
{
    float a[RPU_RANK_VECTORS * RPU_RANK_BLOCK], spare[RPU_RANK_ROWS * RPU_RANK_COLUMNS] = {0};
    for (int64_t i = 0; i < block; i += RPU_RANK_ROWS) {
        float *own = a + i * RPU_RANK_VECTORS;
        const float *di = d + i;
        if (block - i >= RPU_RANK_ROWS)
            for (int64_t v = 0; v < vectors; v++)
                for (int r = 0; r < RPU_RANK_ROWS; r++)
                    own[v * RPU_RANK_ROWS + r] = lr * di[v * d_step + r];
        else
            for (int64_t v = 0; v < vectors; v++)
                for (int r = 0; r < RPU_RANK_ROWS; r++)
                    own[v * RPU_RANK_ROWS + r] = r < block - i ? lr * di[v * d_step + r] : 0.0f;
    }
    for (int64_t j = 0; j < columns; j += RPU_RANK_COLUMNS) {
        const int64_t width = columns - j < RPU_RANK_COLUMNS ? columns - j : RPU_RANK_COLUMNS;
        const fsome first = FLINE_SOME(width < FLINE ? width : FLINE), second = FLINE_SOME(width < FLINE ? 0 : width - FLINE);
        for (int64_t i = 0; i < block; i += RPU_RANK_ROWS) {
            float *lines[RPU_RANK_ROWS];
            for (int64_t r = 0; r < RPU_RANK_ROWS; r++)
                lines[r] = i + r < block ? w + (i + r) * columns + j : spare + r * RPU_RANK_COLUMNS;
            const float *own = a + i * RPU_RANK_VECTORS;
            if (width == RPU_RANK_COLUMNS)
                rank_one_tile(lines, x + j, columns, own, vectors, 1, 1, first, second);
            else if (width > FLINE)
                rank_one_tile(lines, x + j, columns, own, vectors, 1, 0, first, second);
            else
                rank_one_tile(lines, x + j, columns, own, vectors, 0, 0, first, second);
        }
    }
}
#endif

/* w -= lr d^T x, vector after vector for every number, so that neither the tiles nor the parts show. */
static void rank_one_rows(float *w, int64_t rows, int64_t columns, const float *x, const float *d, int64_t vectors,
                          float lr, int64_t row0, int64_t row1)
{
#if defined(FLINE)
    int64_t most = RPU_RANK_CACHED / (columns > 0 ? columns : 1);
    most = most < RPU_RANK_VECTORS / 4 ? RPU_RANK_VECTORS / 4 : most > RPU_RANK_VECTORS ? RPU_RANK_VECTORS : most;
    for (int64_t v = 0; v < vectors && vectors > 1; v += most) {
        const int64_t part = vectors - v < most ? vectors - v : most;
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

/* Sum of |w| x, or of w^2 x: several sums side by side, so that none waits for another. */
static RPU_INLINE float size_sum(const float *restrict w, const float *restrict x, int64_t n, int squares)
{
    float sum = 0.0f;
    int64_t j = 0;
#if defined(FLINE)
    fline sums[4] = {FLINE_ZERO, FLINE_ZERO, FLINE_ZERO, FLINE_ZERO};
    float parts[FLINE];
    for (; j + 4 * FLINE <= n; j += 4 * FLINE)
        for (int r = 0; r < 4; r++) {
            const fline p = FLINE_WHOLE(w + j + r * FLINE);
            sums[r] = FLINE_FMA(squares ? FLINE_TIMES(p, p) : FLINE_ABS(p), FLINE_WHOLE(x + j + r * FLINE), sums[r]);
        }
    FLINE_OUT(parts, FLINE_PLUS(FLINE_PLUS(sums[0], sums[1]), FLINE_PLUS(sums[2], sums[3])));
    for (int l = 0; l < FLINE; l++)
        sum += parts[l];
#endif
    for (; j < n; j++)
        sum += x[j] * (squares ? w[j] * w[j] : fabsf(w[j]));
    return sum;
}

static RPU_INLINE void size_add(const float *restrict w, float a, int64_t n, int squares, float *restrict y)
{
    RPU_SIMD
    for (int64_t j = 0; j < n; j++)
        y[j] += a * (squares ? w[j] * w[j] : fabsf(w[j]));
}

/* y += factor |w| x^T for some vectors, or of the squares of w, or with w^T: of a matrix that nobody has to make. */
static void size_products(const float *w, int64_t rows, int64_t columns, int squares, const float *x, int64_t vectors,
                          int transposed, float factor, float *y)
{
    const int64_t n_in = transposed ? rows : columns, n_out = transposed ? columns : rows;
    for (int64_t v = 0; v < vectors; v++, x += n_in, y += n_out)
        for (int64_t i = 0; i < rows; i++) {
            const float *wi = w + i * columns;
            if (transposed)
                squares ? size_add(wi, factor * x[i], columns, 1, y) : size_add(wi, factor * x[i], columns, 0, y);
            else
                y[i] += factor * (squares ? size_sum(wi, x, columns, 1) : size_sum(wi, x, columns, 0));
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
