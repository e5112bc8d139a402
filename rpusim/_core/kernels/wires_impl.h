/* Wire networks: Ohm's and Kirchhoff's laws of a crossbar array whose lines have resistance.
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
 * - One vector has columns (or rows) in the lanes of registers: 8 rows by 8 columns are transposed in registers before and
 *   after the recurrences along rows. Many vectors of which only currents are asked go in blocks, in float32 where that is
 *   enough: see wires_block.h. (In float64 such blocks were no faster from 256 x 256 on: they leave the caches sooner.)
 * - Where only currents are asked for, and the terminals' segments have resistance, the nodes at the ends of the lines are all
 *   that is followed: neither x nor a last pass is needed (together with transposing in registers 1.2 to 0.7 ms at 256 x 256).
 * - Order of summation is fixed by lanes of 8, not by the instruction set. */
#ifndef RPU_WIRES_IMPL_H
#define RPU_WIRES_IMPL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "portable.h"
#include "simd8.h"
#include "wires.h"
#include "wires_block.h"

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
static void wires_factor(const rpu_wires *net, const double *g, double *work)
{
    const rpu_lines *words = &net->words, *bits = &net->bits;
    const int64_t m = net->rows, n = net->columns, width = net->width;
    double *strip = work, *e = strip + RPU_STRIP * width;
    for (int64_t j = 0; j < width; j++)
        e[j] = j < n ? 1.0 / bits->far_end[j] : 0.0;
    for (int64_t s = 0; s < net->strips; s++) {
        double *gs = net->g + s * RPU_STRIP * width;
        double *c = net->row_c + s * RPU_STRIP * width, *d = net->row_d + s * RPU_STRIP * width;
        for (int64_t i = 0; i < RPU_STRIP; i++) {
            const int64_t row = s * RPU_STRIP + i, used = row < m ? n : 0;
            if (used)
                memcpy(strip + i * width, g + row * n, sizeof *g * (size_t)n);
            memset(strip + i * width + used, 0, sizeof *g * (size_t)(width - used));
        }
        for (int64_t j = 0; j < width; j += RPU_STRIP) {
            v8 block[RPU_STRIP];
            v8_load_all(block, strip + j, width);
            transpose8(block);
            v8_store_all(block, gs + j * RPU_STRIP, RPU_STRIP);
        }

        double inner[RPU_STRIP], first[RPU_STRIP], ahead[RPU_STRIP];     /* lines that fill up are of no resistance: d = 0 */
        for (int64_t i = 0; i < RPU_STRIP; i++) {
            const int64_t row = s * RPU_STRIP + i;
            inner[i] = row < m ? words->inner[row] : 0.0;
            first[i] = row < m ? words->near_end[row] : 0.0;
            ahead[i] = row < m ? 1.0 / words->far_end[row] : 0.0;
        }
        for (int64_t j = n; j < width; j++)
            for (int i = 0; i < RPU_STRIP; i++)
                c[j * RPU_STRIP + i] = d[j * RPU_STRIP + i] = 0.0;
        for (int64_t j = n - 1; j >= 0; j--) {
            const double *r = j ? inner : first;
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
            const double *r = row == m - 1 ? bits->near_end : bits->inner, *gr = strip + i * width;
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
    double *x, *r, *p, *q;              /* grids */
    double *rows, *f, *columns, *next;  /* two strips, 8 rows transposed; a row */
    double *edge[4], *edge_step[4];     /* nodes next to the near and far ends of word lines, of bit lines; their direction */
    double alpha, beta, rr, pq, qq;
} wires_state;

/* Where a strip of rows is solved. */
typedef struct {
    const double *g, *c, *d, *bit, *emf;
    double *grid;                       /* for results, a strip of it; or NULL */
    v8 word, flow, t, sum;
} wires_strip;

/* E of one column. */
static RPU_INLINE v8 source_of(const wires_strip *s, int64_t j)
{
    const v8 e = v8_sub(s->word, v8_set(s->bit[j]));
    return s->emf == NULL ? e : v8_add(e, v8_load(s->emf + j * RPU_STRIP));
}

/* Elimination of `count` columns from j on, from right to left. */
static RPU_INLINE void eliminate(const wires_state *z, wires_strip *s, int64_t j, int count, int mode)
{
    v8 y[RPU_STRIP];
    v8_load_all(y, z->rows + j, z->net->width);
    transpose8(y);
    for (int i = count - 1; i >= 0; i--) {
        const int64_t k = (j + i) * RPU_STRIP;
        v8 source = y[i];
        if (mode == WIRES_START || mode == WIRES_END)
            source = v8_sub(source, source_of(s, j + i));
        source = v8_mul(v8_load(s->g + k), source);
        s->flow = v8_fma(v8_load(s->c + k + RPU_STRIP), s->flow, source);   /* of the last column 0, whatever follows */
        v8_store(z->f + k, s->flow);
    }
}

/* Back-substitution of the same, from left to right, and the results. */
static RPU_INLINE void substitute(const wires_state *z, wires_strip *s, int64_t j, int count, int mode)
{
    v8 out[RPU_STRIP];
    v8 y[RPU_STRIP];
    if (mode == WIRES_END) {
        v8_load_all(y, z->rows + j, z->net->width);
        transpose8(y);
    }
    for (int i = 0; i < RPU_STRIP; i++) {
        const int64_t k = (j + i) * RPU_STRIP;
        if (i >= count) {
            out[i] = v8_set(0.0);
            continue;
        }
        s->t = v8_fma(v8_load(s->c + k), s->t, v8_mul(v8_load(s->d + k), v8_load(z->f + k)));
        if (mode == WIRES_END) {
            const v8 across = v8_sub(v8_add(s->t, source_of(s, j + i)), y[i]), current = v8_mul(v8_load(s->g + k), across);
            s->sum = v8_add(s->sum, current);
            v8_store(z->columns + k, v8_add(v8_load(z->columns + k), current));
            out[i] = s->t;
        } else {
            out[i] = v8_mul(v8_load(s->g + k), mode == WIRES_START ? v8_add(s->t, source_of(s, j + i)) : s->t);
        }
    }
    if (s->grid != NULL) {
        transpose8(out);
        v8_store_all(out, s->grid + j, z->net->width);
    }
}

/* t = W^-1 G y of a strip, with y in z->rows: G t goes into the grid. At the start, y - E is in the place of y, and G (t + E)
 * the result. At the end t goes into the grid, and the device currents G (t + E - y) are added up per row and column. */
static RPU_INLINE void solve_rows(const wires_state *z, int64_t strip, double *grid, int mode)
{
    const rpu_wires *net = z->net;
    const int64_t n = net->columns, at = strip * RPU_STRIP * net->width, whole = n / RPU_STRIP * RPU_STRIP;
    const int rest = (int)(n - whole);
    wires_strip s = {net->g + at, net->row_c + at, net->row_d + at, z->task->bit, NULL, grid, v8_set(0.0), v8_set(0.0),
                     v8_set(0.0), v8_set(0.0)};
    s.emf = z->task->emf == NULL ? NULL : z->task->emf + at;
    s.grid = grid == NULL ? NULL : grid + at;
    s.word = v8_load(z->task->word + strip * RPU_STRIP);
    if (rest)
        eliminate(z, &s, whole, rest, mode);
    for (int64_t j = whole - RPU_STRIP; j >= 0; j -= RPU_STRIP)
        eliminate(z, &s, j, RPU_STRIP, mode);
    v8_store(z->edge_step[0] + strip * RPU_STRIP, v8_mul(v8_load(s.d), s.flow));
    for (int64_t j = 0; j < whole; j += RPU_STRIP)
        substitute(z, &s, j, RPU_STRIP, mode);
    if (rest)
        substitute(z, &s, whole, rest, mode);
    v8_store(z->edge_step[1] + strip * RPU_STRIP, s.t);
    if (mode == WIRES_END)
        v8_store(z->task->word_out + strip * RPU_STRIP, s.sum);
}

/* Upwards: brings the vectors up to date, and applies G W^-1 G F^-T to the direction; into z->q. */
static RPU_INLINE void pass_up(wires_state *z, int mode, int ends)
{
    const rpu_wires *net = z->net;
    const int64_t width = net->width, used = (net->columns + RPU_STRIP - 1) / RPU_STRIP * RPU_STRIP;
    const v8 alpha = v8_set(z->alpha), beta = v8_set(z->beta);
    v8 rr = v8_set(0.0);
    memset(z->next, 0, sizeof *z->next * (size_t)width);
    for (int64_t s = net->strips - 1; s >= 0; s--) {
        const double *below = z->next;
        for (int64_t k = RPU_STRIP - 1; k >= 0; k--) {
            const int64_t at = (s * RPU_STRIP + k) * width;
            const double *c = net->col_c + at, *d = net->col_d + at, *q = z->q + at;
            double *x = z->x + at, *r = z->r + at, *p = z->p + at, *row = z->rows + k * width;
            for (int64_t j = 0; j < used; j += RPU_STRIP) {
                v8 direction;
                if (mode == WIRES_STEP) {
                    const v8 before = v8_load(p + j), residual = v8_fnma(alpha, v8_load(q + j), v8_load(r + j));
                    if (!ends)
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
        if (s == net->strips - 1)
            memcpy(z->edge_step[2], z->rows + (net->rows - 1 - s * RPU_STRIP) * width, sizeof *z->rows * (size_t)width);
        if (mode == WIRES_END && z->task->u != NULL)
            memcpy(z->task->u + s * RPU_STRIP * width, z->rows, sizeof *z->rows * (size_t)(RPU_STRIP * width));
        solve_rows(z, s, mode == WIRES_END ? z->task->v : z->q, mode);
    }
    memcpy(z->edge_step[3], z->rows, sizeof *z->rows * (size_t)width);
    if (mode == WIRES_STEP)
        z->rr = v8_sum(rr);
}

/* Downwards: q = p - F^-1 q, and the dot products of both. At the start r = F^-1 q - x. */
static RPU_INLINE void pass_down(wires_state *z, int mode)
{
    const rpu_wires *net = z->net;
    const int64_t width = net->width, used = (net->columns + RPU_STRIP - 1) / RPU_STRIP * RPU_STRIP;
    double *flow = z->next;
    v8 first = v8_set(0.0), second = v8_set(0.0);
    memset(flow, 0, sizeof *flow * (size_t)width);
    for (int64_t i = 0; i < net->rows; i++) {
        const double *d = net->col_d + i * width, *c = i ? net->col_c + (i - 1) * width : d;
        const double *before = (mode == WIRES_START ? z->x : z->p) + i * width;
        double *q = z->q + i * width, *r = z->r + i * width;
        for (int64_t j = 0; j < used; j += RPU_STRIP) {
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

/* The nodes at the ends after a step of alpha. */
static void move_edges(wires_state *z, double alpha)
{
    for (int e = 0; e < 4; e++) {
        const int64_t count = e < 2 ? z->net->rows : z->net->columns;
        for (int64_t k = 0; k < count; k++)
            z->edge[e][k] += alpha * z->edge_step[e][k];
    }
}

static RPU_INLINE int solve(const rpu_wires *net, rpu_wires_task *task, int ends)
{
    const int64_t grid = RPU_WIRES_GRID(net), part = RPU_STRIP * net->width;
    wires_state z = {.net = net, .task = task};
    z.x = task->work;
    z.r = z.x + grid;
    z.p = z.r + grid;
    z.q = z.p + grid;
    z.rows = z.q + grid;
    z.f = z.rows + part;
    z.columns = z.f + part;
    z.next = z.columns + part;
    for (int e = 0; e < 4; e++) {
        const int64_t length = e < 2 ? RPU_STRIP * net->strips : net->width;
        z.edge[e] = e ? z.edge_step[e - 1] + (e < 3 ? RPU_STRIP * net->strips : net->width) : z.next + net->width;
        z.edge_step[e] = z.edge[e] + length;
        memset(z.edge[e], 0, sizeof *z.edge[e] * (size_t)length);
    }

    memset(z.x, 0, sizeof *z.x * (size_t)(2 * grid));   /* and the rows of r that fill up the last strip */
    pass_up(&z, WIRES_START, ends);
    pass_down(&z, WIRES_START);
    move_edges(&z, 1.0);
    const double scale = z.rr, limit = task->tolerance * task->tolerance * scale;
    if (task->warm) {
        warm_start(&z);
        pass_up(&z, WIRES_START, ends);
        pass_down(&z, WIRES_START);
    }
    task->iterations = 0;
    while (z.rr > limit && task->iterations < task->max_iterations) {
        if (task->iterations++) {
            pass_up(&z, WIRES_STEP, ends);
            if (z.rr <= limit) {
                z.alpha = 0.0;
                task->iterations--;
                break;
            }
        } else {
            pass_up(&z, WIRES_FIRST, ends);
        }
        pass_down(&z, WIRES_STEP);
        z.alpha = z.rr / z.pq;
        if (ends)
            move_edges(&z, z.alpha);
        const double rest = z.alpha * z.alpha * z.qq - z.rr, least = WIRES_FORETOLD * z.rr;
        z.beta = rest < least ? 0.0 : rest / z.rr;      /* a wrong one would spoil the next foretelling */
        z.rr = rest < least ? least : rest;
    }
    task->residual = scale == 0.0 ? 0.0 : sqrt(z.rr / scale);
    if (ends) {
        for (int64_t i = 0; i < net->rows; i++)
            task->word_out[i] = -(z.edge[0][i] / net->words.near_end[i] + z.edge[1][i] / net->words.far_end[i]);
        for (int64_t j = 0; j < net->columns; j++)
            task->bit_out[j] = z.edge[2][j] / net->bits.near_end[j] + z.edge[3][j] / net->bits.far_end[j];
        return z.rr <= limit;
    }
    if (task->iterations == 0)
        memset(z.p, 0, sizeof *z.p * (size_t)grid);
    memset(z.columns, 0, sizeof *z.columns * (size_t)part);
    pass_up(&z, WIRES_END, 0);
    for (int64_t j = 0; j < net->columns; j++)
        task->bit_out[j] = v8_sum(v8_load(z.columns + j * RPU_STRIP));
    return z.rr <= limit;
}

/* Solves for one vector, or a block of them; whether it has converged. */
static int wires_solve(const rpu_wires *net, rpu_wires_task *task)
{
    if (task->block != NULL)
        return solve_block(net, task);
    return task->ends ? solve(net, task, 1) : solve(net, task, 0);
}

#endif
