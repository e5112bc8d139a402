/* Wire networks: Ohm's and Kirchhoff's laws of a crossbar array whose lines have resistance; part of kernels_impl.h.
 *
 * With v, u the nodes of word and bit lines less the voltages of their own terminals, E = V_word - V_bit, and W, B the
 * matrices of the lines (one tridiagonal per line, device conductances G on the diagonal),
 *     W v = G (u - E),   B u = G (v + E),
 * for reads in both directions: only E differs. All terminals are then at zero, so that ideal drivers and sensors need no
 * case of their own, and small drops are not differences of large voltages.
 *
 * Decided, and why:
 * - Conjugate gradients on the Schur complement of the bit lines, B - G W^-1 G, preconditioned by B: never diverges, and
 *   needs 6 steps where line Gauss-Seidel needs 13 (256 x 256, 1 ohm, 10 to 100 kilohm, to 1e-10). B = F F^T with F
 *   bidiagonal, and the iteration runs on F^T u: plain dot products, and a step is two passes over the array: upwards
 *   F^-T, the update of the vectors and the solves of the rows; downwards F^-1 and the dot products. The norm of the next
 *   residual is foretold from those (Saad 1989, Meurant 1987), so that a step needs no third pass; the residual itself is
 *   summed anew as it is updated.
 * - A line is factored by conductances to ground, e <- G + e / (1 + r e), never by pivots 2 / r + G - ...: nothing cancels
 *   however small r G is, and r = 0 is exact (the nodes move as one), as is an open segment (r infinite).
 * - Factors hold reciprocals: no divisions in a sweep.
 * - One vector at a time, and columns (or rows) in the lanes of registers: the rows of a strip are transposed in the cache
 *   for their recurrence, and back. Blocks of 8 vectors with the vector innermost were no faster from 256 x 256 on (76 ms
 *   against 74 for 64 vectors there: the four vectors of the iteration leave the second-level cache 8 times sooner), a
 *   quarter faster at 128 x 128, and would tie the bits of a result to how a batch is split.
 * - Order of summation is fixed by lanes of 8, not by the instruction set. */

#include "wires.h"

#if defined(RPU_USE_AVX512)
typedef __m512d vd;
#define VD_PARTS 1
#define VD_LOAD(p) _mm512_loadu_pd(p)
#define VD_STORE(p, a) _mm512_storeu_pd(p, a)
#define VD_SET(a) _mm512_set1_pd(a)
#define VD_FMA(a, b, c) _mm512_fmadd_pd(a, b, c)
#define VD_FNMA(a, b, c) _mm512_fnmadd_pd(a, b, c)
#elif defined(RPU_USE_AVX2)
typedef __m256d vd;
#define VD_PARTS 2
#define VD_LOAD(p) _mm256_loadu_pd(p)
#define VD_STORE(p, a) _mm256_storeu_pd(p, a)
#define VD_SET(a) _mm256_set1_pd(a)
#define VD_FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define VD_FNMA(a, b, c) _mm256_fnmadd_pd(a, b, c)
#else
typedef double vd;
#define VD_PARTS 8
#define VD_LOAD(p) (*(p))
#define VD_STORE(p, a) (*(p) = (a))
#define VD_SET(a) (a)
#if defined(__ARM_FEATURE_FMA)
#define VD_FMA(a, b, c) __builtin_fma(a, b, c)
#define VD_FNMA(a, b, c) __builtin_fma(-(a), b, c)
#else
#define VD_FMA(a, b, c) ((a) * (b) + (c))
#define VD_FNMA(a, b, c) ((c) - (a) * (b))
#endif
#endif
#define VD_WIDTH (RPU_STRIP / VD_PARTS)

typedef struct { vd part[VD_PARTS]; } v8;

#define V8_EACH(expression) v8 out; for (int k = 0; k < VD_PARTS; k++) out.part[k] = (expression); return out
static RPU_INLINE v8 v8_load(const double *p) { V8_EACH(VD_LOAD(p + k * VD_WIDTH)); }
static RPU_INLINE v8 v8_set(double a) { V8_EACH(VD_SET(a)); }
static RPU_INLINE v8 v8_add(v8 a, v8 b) { V8_EACH(a.part[k] + b.part[k]); }
static RPU_INLINE v8 v8_sub(v8 a, v8 b) { V8_EACH(a.part[k] - b.part[k]); }
static RPU_INLINE v8 v8_mul(v8 a, v8 b) { V8_EACH(a.part[k] * b.part[k]); }
static RPU_INLINE v8 v8_fma(v8 a, v8 b, v8 c) { V8_EACH(VD_FMA(a.part[k], b.part[k], c.part[k])); }     /* a b + c */
static RPU_INLINE v8 v8_fnma(v8 a, v8 b, v8 c) { V8_EACH(VD_FNMA(a.part[k], b.part[k], c.part[k])); }   /* c - a b */
static RPU_INLINE void v8_store(double *p, v8 a)
{
    for (int k = 0; k < VD_PARTS; k++)
        VD_STORE(p + k * VD_WIDTH, a.part[k]);
}

static RPU_INLINE double v8_sum(v8 a)
{
    double x[RPU_STRIP];
    v8_store(x, a);
    return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
}

/* to[j][i] = from[i][j] of 8 x 8 numbers. */
static RPU_INLINE void transpose8(const double *from, int64_t from_stride, double *to, int64_t to_stride)
{
#if defined(RPU_USE_AVX2) || defined(RPU_USE_AVX512)
    for (int i = 0; i < RPU_STRIP; i += 4)
        for (int j = 0; j < RPU_STRIP; j += 4) {
            const double *p = from + i * from_stride + j;
            const __m256d a = _mm256_loadu_pd(p), b = _mm256_loadu_pd(p + from_stride);
            const __m256d c = _mm256_loadu_pd(p + 2 * from_stride), d = _mm256_loadu_pd(p + 3 * from_stride);
            const __m256d ab0 = _mm256_unpacklo_pd(a, b), ab1 = _mm256_unpackhi_pd(a, b);
            const __m256d cd0 = _mm256_unpacklo_pd(c, d), cd1 = _mm256_unpackhi_pd(c, d);
            double *o = to + j * to_stride + i;
            _mm256_storeu_pd(o, _mm256_permute2f128_pd(ab0, cd0, 0x20));
            _mm256_storeu_pd(o + to_stride, _mm256_permute2f128_pd(ab1, cd1, 0x20));
            _mm256_storeu_pd(o + 2 * to_stride, _mm256_permute2f128_pd(ab0, cd0, 0x31));
            _mm256_storeu_pd(o + 3 * to_stride, _mm256_permute2f128_pd(ab1, cd1, 0x31));
        }
#else
    for (int i = 0; i < RPU_STRIP; i++)
        for (int j = 0; j < RPU_STRIP; j++)
            to[j * to_stride + i] = from[i * from_stride + j];
#endif
}

/* ---- factors -------------------------------------------------------------------------------------------------------- */

typedef struct { double c, d, e; } line_link;

/* The segment r behind a node of conductance e to ground (on the side that is done, its device included): how much of the
 * next node's voltage the node takes, its reciprocal pivot, and the conductance that the next node sees. */
static RPU_INLINE line_link link_over(double r, double e)
{
    line_link k;
    const int open = r == INFINITY, held = e == INFINITY;
    const double t = 1.0 / (open ? e : held ? 1.0 : 1.0 + r * e);
    k.c = open || held ? 0.0 : t;
    k.d = held ? 0.0 : open ? t : r * t;
    k.e = open ? 0.0 : held ? 1.0 / r : e * t;
    return k;
}

/* Takes over g (rows, columns) and factors all lines. `work`: RPU_WIRES_WORK doubles. */
static void wires_factor(const rpu_wires *net, const double *g, const rpu_lines *words, const rpu_lines *bits, double *work)
{
    const int64_t m = net->rows, n = net->columns, width = net->width;
    double *strip = work, *e = strip + RPU_STRIP * width;
    for (int64_t j = 0; j < width; j++)
        e[j] = j < n ? 1.0 / bits->far[j] : 0.0;
    for (int64_t s = 0; s < net->strips; s++) {
        double *gs = net->g + s * RPU_STRIP * width;
        double *c = net->row_c + s * RPU_STRIP * width, *d = net->row_d + s * RPU_STRIP * width;
        for (int64_t i = 0; i < RPU_STRIP; i++) {
            const int64_t row = s * RPU_STRIP + i, used = row < m ? n : 0;
            if (used)
                memcpy(strip + i * width, g + row * n, sizeof *g * (size_t)n);
            memset(strip + i * width + used, 0, sizeof *g * (size_t)(width - used));
        }
        for (int64_t j = 0; j < width; j += RPU_STRIP)
            transpose8(strip + j, width, gs + j * RPU_STRIP, RPU_STRIP);

        double inner[RPU_STRIP], near[RPU_STRIP], ahead[RPU_STRIP];     /* lines that fill up are of no resistance: d = 0 */
        for (int64_t i = 0; i < RPU_STRIP; i++) {
            const int64_t row = s * RPU_STRIP + i;
            inner[i] = row < m ? words->inner[row] : 0.0;
            near[i] = row < m ? words->near[row] : 0.0;
            ahead[i] = row < m ? 1.0 / words->far[row] : 0.0;
        }
        for (int64_t j = n; j < width; j++)
            for (int i = 0; i < RPU_STRIP; i++)
                c[j * RPU_STRIP + i] = d[j * RPU_STRIP + i] = 0.0;
        for (int64_t j = n - 1; j >= 0; j--) {
            const double *r = j ? inner : near;
            RPU_SIMD
            for (int i = 0; i < RPU_STRIP; i++) {
                const line_link k = link_over(r[i], ahead[i] + gs[j * RPU_STRIP + i]);
                c[j * RPU_STRIP + i] = k.c;
                d[j * RPU_STRIP + i] = k.d;
                ahead[i] = k.e;
            }
        }

        for (int64_t i = 0; i < RPU_STRIP; i++) {
            const int64_t row = s * RPU_STRIP + i;
            double *cc = net->col_c + row * width, *cd = net->col_d + row * width;
            const double *r = row == m - 1 ? bits->near : bits->inner, *gr = strip + i * width;
            if (row >= m) {
                memset(cc, 0, sizeof *cc * (size_t)width);
                memset(cd, 0, sizeof *cd * (size_t)width);
                continue;
            }
            RPU_SIMD
            for (int64_t j = 0; j < n; j++) {
                const line_link k = link_over(r[j], e[j] + gr[j]);
                cc[j] = k.c;
                cd[j] = sqrt(k.d);
                e[j] = k.e;
            }
            for (int64_t j = n; j < width; j++)
                cc[j] = cd[j] = 0.0;
        }
    }
}

/* ---- solves --------------------------------------------------------------------------------------------------------- */

/* Below this fraction of the last one, the foretold square of the residual's norm is lost in rounding: the sum decides. */
#define WIRES_FORETOLD 1e-10

enum { WIRES_START, WIRES_FIRST, WIRES_STEP, WIRES_END };

/* The state of a solve: x = F^T u, residual, direction, and what the operator makes of that. */
typedef struct {
    const rpu_wires *net;
    const rpu_wires_task *task;
    double *x, *r, *p, *q;                      /* grids */
    double *rows, *y, *f, *columns, *next;      /* a strip; three strips transposed; a row */
    double alpha, beta, rr, pq, qq;
} wires_state;

/* The rows of a strip, t = W^-1 G y with y in z->y, at once; z->y becomes G t. At the start, y - E is in the place of y, and
 * G (t + E) the result. At the end z->y becomes t, and the device currents G (t + E - y) are added up per row and column. */
static RPU_INLINE void solve_rows(const wires_state *z, int64_t strip, int mode)
{
    const rpu_wires *net = z->net;
    const int64_t n = net->columns, at = strip * RPU_STRIP * net->width;
    const double *g = net->g + at, *c = net->row_c + at, *d = net->row_d + at, *bit = z->task->bit;
    const double *emf = z->task->emf == NULL ? NULL : z->task->emf + at;
    const v8 word = v8_load(z->task->word + strip * RPU_STRIP);
    double *y = z->y, *f = z->f;
    v8 sum = v8_set(0.0), flow = v8_set(0.0), t = v8_set(0.0);
    for (int64_t j = n - 1; j >= 0; j--) {
        const int64_t k = j * RPU_STRIP;
        v8 source = v8_load(y + k);
        if (mode == WIRES_START || mode == WIRES_END) {
            source = v8_add(v8_sub(source, word), v8_set(bit[j]));
            if (emf != NULL)
                source = v8_sub(source, v8_load(emf + k));
        }
        source = v8_mul(v8_load(g + k), source);
        flow = j == n - 1 ? source : v8_fma(v8_load(c + k + RPU_STRIP), flow, source);
        v8_store(f + k, flow);
    }
    for (int64_t j = 0; j < n; j++) {
        const int64_t k = j * RPU_STRIP;
        const v8 here = v8_mul(v8_load(d + k), v8_load(f + k));
        t = j == 0 ? here : v8_fma(v8_load(c + k), t, here);
        v8 result = t;
        if (mode == WIRES_START || mode == WIRES_END) {
            result = v8_add(t, v8_sub(word, v8_set(bit[j])));
            if (emf != NULL)
                result = v8_add(result, v8_load(emf + k));
        }
        if (mode == WIRES_END) {
            const v8 current = v8_mul(v8_load(g + k), v8_sub(result, v8_load(y + k)));
            sum = v8_add(sum, current);
            v8_store(z->columns + k, v8_add(v8_load(z->columns + k), current));
            v8_store(y + k, t);
        } else {
            v8_store(y + k, v8_mul(v8_load(g + k), result));
        }
    }
    if (mode == WIRES_END)
        v8_store(z->task->word_out + strip * RPU_STRIP, sum);
}

/* Upwards: brings the vectors up to date, and applies G W^-1 G F^-T to the direction; into z->q. */
static RPU_INLINE void pass_up(wires_state *z, int mode)
{
    const rpu_wires *net = z->net;
    const int64_t width = net->width;
    const v8 alpha = v8_set(z->alpha), beta = v8_set(z->beta);
    double *const grid = mode == WIRES_END ? z->task->v : z->q;
    v8 rr = v8_set(0.0);
    memset(z->next, 0, sizeof *z->next * (size_t)width);
    for (int64_t s = net->strips - 1; s >= 0; s--) {
        const double *below = z->next;
        for (int64_t k = RPU_STRIP - 1; k >= 0; k--) {
            const int64_t at = (s * RPU_STRIP + k) * width;
            const double *c = net->col_c + at, *d = net->col_d + at, *q = z->q + at;
            double *x = z->x + at, *r = z->r + at, *p = z->p + at, *row = z->rows + k * width;
            for (int64_t j = 0; j < width; j += RPU_STRIP) {
                v8 direction;
                if (mode == WIRES_STEP) {
                    const v8 before = v8_load(p + j), residual = v8_fnma(alpha, v8_load(q + j), v8_load(r + j));
                    v8_store(x + j, v8_fma(alpha, before, v8_load(x + j)));
                    v8_store(r + j, residual);
                    rr = v8_fma(residual, residual, rr);
                    direction = v8_fma(beta, before, residual);
                    v8_store(p + j, direction);
                } else if (mode == WIRES_FIRST) {
                    direction = v8_load(r + j);
                    v8_store(p + j, direction);
                } else if (mode == WIRES_END) {
                    direction = v8_fma(alpha, v8_load(p + j), v8_load(x + j));
                } else {
                    direction = v8_load(x + j);
                }
                v8_store(row + j, v8_fma(v8_load(c + j), v8_load(below + j), v8_mul(v8_load(d + j), direction)));
            }
            below = row;
        }
        memcpy(z->next, z->rows, sizeof *z->next * (size_t)width);
        if (mode == WIRES_END && z->task->u != NULL)
            memcpy(z->task->u + s * RPU_STRIP * width, z->rows, sizeof *z->rows * (size_t)(RPU_STRIP * width));
        for (int64_t j = 0; j < width; j += RPU_STRIP)
            transpose8(z->rows + j, width, z->y + j * RPU_STRIP, RPU_STRIP);
        solve_rows(z, s, mode);
        if (grid != NULL)
            for (int64_t j = 0; j < width; j += RPU_STRIP)
                transpose8(z->y + j * RPU_STRIP, RPU_STRIP, grid + s * RPU_STRIP * width + j, width);
    }
    if (mode == WIRES_STEP)
        z->rr = v8_sum(rr);
}

/* Downwards: q = p - F^-1 q, and the dot products of both. At the start r = F^-1 q - x. */
static RPU_INLINE void pass_down(wires_state *z, int mode)
{
    const rpu_wires *net = z->net;
    const int64_t width = net->width;
    double *flow = z->next;
    v8 first = v8_set(0.0), second = v8_set(0.0);
    memset(flow, 0, sizeof *flow * (size_t)width);
    for (int64_t i = 0; i < net->rows; i++) {
        const double *d = net->col_d + i * width, *c = i ? net->col_c + (i - 1) * width : d;
        const double *before = (mode == WIRES_START ? z->x : z->p) + i * width;
        double *q = z->q + i * width, *r = z->r + i * width;
        for (int64_t j = 0; j < width; j += RPU_STRIP) {
            const v8 sum = v8_fma(v8_load(c + j), v8_load(flow + j), v8_load(q + j));
            const v8 image = v8_fnma(v8_load(d + j), sum, v8_load(before + j));
            v8_store(flow + j, sum);
            if (mode == WIRES_START) {
                const v8 residual = v8_sub(v8_set(0.0), image);
                v8_store(r + j, residual);
                first = v8_fma(residual, residual, first);
            } else {
                v8_store(q + j, image);
                first = v8_fma(v8_load(before + j), image, first);
                second = v8_fma(image, image, second);
            }
        }
    }
    *(mode == WIRES_START ? &z->rr : &z->pq) = v8_sum(first);
    z->qq = v8_sum(second);
}

/* x = F^T u of where to start. A node without a pivot is held, or moves with the next one: its x is 0. */
static void warm_start(wires_state *z)
{
    const rpu_wires *net = z->net;
    const int64_t width = net->width;
    for (int64_t i = 0; i < net->rows; i++)
        for (int64_t j = 0; j < width; j++) {
            const int64_t k = i * width + j;
            const double d = net->col_d[k], below = i + 1 < net->rows ? z->task->u[k + width] : 0.0;
            z->x[k] = d > 0.0 ? (z->task->u[k] - net->col_c[k] * below) / d : 0.0;
        }
}

/* Solves for one vector; whether it has converged. */
static int wires_solve(const rpu_wires *net, rpu_wires_task *task)
{
    const int64_t grid = RPU_WIRES_GRID(net), part = RPU_STRIP * net->width;
    wires_state z = {.net = net, .task = task};
    z.x = task->work;
    z.r = z.x + grid;
    z.p = z.r + grid;
    z.q = z.p + grid;
    z.rows = z.q + grid;
    z.y = z.rows + part;
    z.f = z.y + part;
    z.columns = z.f + part;
    z.next = z.columns + part;

    memset(z.x, 0, sizeof *z.x * (size_t)(2 * grid));   /* and the rows of r that fill up the last strip */
    pass_up(&z, WIRES_START);
    pass_down(&z, WIRES_START);
    const double scale = z.rr, limit = task->tolerance * task->tolerance * scale;
    if (task->warm) {
        warm_start(&z);
        pass_up(&z, WIRES_START);
        pass_down(&z, WIRES_START);
    }
    task->iterations = 0;
    while (!(z.rr <= limit) && task->iterations < task->max_iterations) {
        if (task->iterations++) {
            pass_up(&z, WIRES_STEP);
            if (z.rr <= limit) {
                z.alpha = 0.0;
                task->iterations--;
                break;
            }
        } else {
            pass_up(&z, WIRES_FIRST);
        }
        pass_down(&z, WIRES_STEP);
        z.alpha = z.rr / z.pq;
        const double rest = z.alpha * z.alpha * z.qq - z.rr, least = WIRES_FORETOLD * z.rr;
        z.beta = rest < least ? 0.0 : rest / z.rr;      /* a wrong one would spoil the next foretelling */
        z.rr = rest < least ? least : rest;
    }
    if (task->iterations == 0)
        memset(z.p, 0, sizeof *z.p * (size_t)grid);
    memset(z.columns, 0, sizeof *z.columns * (size_t)part);
    pass_up(&z, WIRES_END);
    for (int64_t j = 0; j < net->columns; j++)
        task->bit_out[j] = v8_sum(v8_load(z.columns + j * RPU_STRIP));
    task->residual = scale == 0.0 ? 0.0 : sqrt(z.rr / scale);
    return z.rr <= limit;
}
