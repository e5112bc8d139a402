/* Currents of RPU_STRIP vectors at once, one per lane; equations: wires_impl.h.
 *
 * Decided, and why:
 * - The same equations and the same conjugate gradients on F^T u as for one vector. With vectors in the lanes a factor is
 *   loaded once for all of them, nothing is transposed, and recurrences along rows fill whole registers.
 * - What limits such a block is the memory that its grids pass through. So the iterations run in float32, whose grids are half
 *   as large, and only correct a float64 solution: before every round of them its residual is computed in float64, and a round
 *   ends where it has gained WIRES_ROUND. Two rounds make 1e-10. So float64 residuals say that a block has converged, but for
 *   the last round, whose gain is small enough to be trusted.
 * - A round keeps its few directions: neither the correction nor the residual need grids that every step reads and writes.
 * - Lanes that have converged stand still (alpha = 0): a vector's bits do not depend on its neighbours, if the block converges.
 * - Factors are scaled by a power of two, so that float32 holds them in any array whose parts make sense. Where it does not,
 *   or a round gains little, the block is given up, and its vectors are solved one by one.
 * - Rows are substituted back in pairs, to hide the latency of the recurrence. */
#ifndef RPU_WIRES_BLOCK_H
#define RPU_WIRES_BLOCK_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "portable.h"
#include "simd8.h"
#include "wires.h"

#define WIRES_ROUND 1e-10           /* of the square of a residual: what a round leaves */
#define WIRES_SLOW 1e-4             /* and where it leaves more, float64 is faster */
#define WIRES_ROUND_FORETOLD 1e-5   /* as WIRES_FORETOLD, in float32 */

/* Grids of a block hold [row][column][lane]. */
typedef struct {
    const rpu_wires *net;
    rpu_wires_task *task;
    const double *g, *c, *d;                    /* factors of rows */
    const float *g32, *c32, *d32, *cc32, *cd32; /* all factors, scaled */
    double *x, *q;                      /* grids: F^T u, and what the operator makes of it */
    float *p[WIRES_ROUND_STEPS];        /* grids of a round: the directions, the first of which is the residual */
    float *image;                       /* what the operator makes of the last */
    int steps;                          /* directions of the round */
    float alpha[WIRES_ROUND_STEPS][RPU_STRIP], beta[WIRES_ROUND_STEPS][RPU_STRIP];     /* beta: to the next direction */
    double *below, *f;                  /* rows */
    double *left, *right, *bottom, *top;  /* nodes at the ends of word lines and of bit lines */
    double unit[RPU_STRIP];             /* what p is in units of */
    double rr[RPU_STRIP], pq[RPU_STRIP], qq[RPU_STRIP];
} wires_block;

#define LANES(at) ((at) * RPU_STRIP)

/* Brings x up to date, and finds the nodes that it means: those at the ends, and, unless this is the last pass, into q the
 * devices' currents with bit lines at u. x is 0 at the start, and until then in the first round. */
static RPU_INLINE void block_up(wires_block *z, int start, int first, int last)
{
    const int64_t m = z->net->rows, n = z->net->columns, width = z->net->width;
    const int steps = z->steps;
    const double *bit = z->task->bit;
    double *below = z->below, *f = z->f;
    const v8 unit = v8_load(z->unit);
    memset(below, 0, sizeof *below * (size_t)LANES(n));
    for (int64_t i = m - 1; i >= 0; i--) {
        const double *g = z->g + i * n, *c = z->c + i * n, *d = z->d + i * n;
        const double *cc = z->net->col_c + i * width, *cd = z->net->col_d + i * width;
        double *x = z->x + LANES(i * n), *q = z->q + LANES(i * n);
        const v8 word = v8_load(z->task->word + LANES(i));
        v8 flow = v8_set(0.0), t = flow, reach = flow;
        for (int64_t j = n - 1; j >= 0; j--) {
            v8 across = v8_sub(v8_load(bit + LANES(j)), word);      /* u - E */
            if (!start) {
                f8 dx = f8_set(0.0f);
                for (int k = 0; k < steps; k++)
                    dx = f8_fma(f8_load(z->alpha[k]), f8_load(z->p[k] + LANES(i * n + j)), dx);
                v8 at = v8_mul(unit, v8_of(dx));
                if (!first)
                    at = v8_add(at, v8_load(x + LANES(j)));
                if (!last)
                    v8_store(x + LANES(j), at);
                const v8 u = v8_fma(v8_set(cc[j]), v8_load(below + LANES(j)), v8_mul(v8_set(cd[j]), at));
                v8_store(below + LANES(j), u);
                across = v8_add(across, u);
            }
            flow = v8_fma(reach, flow, v8_mul(v8_set(g[j]), across));
            reach = v8_set(c[j]);
            v8_store(f + LANES(j), flow);
        }
        v8_store(z->left + LANES(i), v8_mul(v8_set(d[0]), flow));
        for (int64_t j = 0; j < n; j++) {
            t = v8_fma(v8_set(c[j]), t, v8_mul(v8_set(d[j]), v8_load(f + LANES(j))));
            if (!last) {
                const v8 source = v8_sub(word, v8_load(bit + LANES(j)));
                v8_store(q + LANES(j), v8_mul(v8_set(g[j]), v8_add(t, source)));
            }
        }
        v8_store(z->right + LANES(i), t);
        if (i == m - 1)
            memcpy(z->bottom, below, sizeof *below * (size_t)LANES(n));
    }
    memcpy(z->top, below, sizeof *below * (size_t)LANES(n));
}

/* The residual F^-1 q - x, in units, as the first direction, and its square. */
static RPU_INLINE void block_down(wires_block *z, int start)
{
    const int64_t m = z->net->rows, n = z->net->columns, width = z->net->width;
    double inverse[RPU_STRIP], *below = z->below;
    for (int k = 0; k < RPU_STRIP; k++)
        inverse[k] = 1.0 / z->unit[k];
    const v8 scale = v8_load(inverse);
    v8 rr = v8_set(0.0);
    memset(below, 0, sizeof *below * (size_t)LANES(n));
    for (int64_t i = 0; i < m; i++) {
        const double *d = z->net->col_d + i * width, *c = i ? z->net->col_c + (i - 1) * width : d;
        const double *x = z->x + LANES(i * n), *q = z->q + LANES(i * n);
        float *r = z->p[0] + LANES(i * n);
        for (int64_t j = 0; j < n; j++) {
            const v8 sum = v8_fma(v8_set(c[j]), v8_load(below + LANES(j)), v8_load(q + LANES(j)));
            const v8 all = v8_mul(v8_set(d[j]), sum), rest = v8_mul(scale, start ? all : v8_sub(all, v8_load(x + LANES(j))));
            v8_store(below + LANES(j), sum);
            f8_store(r + LANES(j), f8_of(rest));
            rr = v8_fma(rest, rest, rr);
        }
    }
    v8_store(z->rr, rr);
}

/* Upwards in float32: makes direction `step` of the round, and applies G W^-1 G F^-T to it; into `image`. The residual before
 * is what the last direction has beyond the one before that. `step`: 0, 1, or 2 for any further one. */
static RPU_INLINE void round_up(wires_block *z, int step)
{
    const int64_t m = z->net->rows, n = z->net->columns;
    const int now = z->steps, one = step > 0 ? now - 1 : 0, two = step > 1 ? now - 2 : 0;
    const f8 alpha = f8_load(z->alpha[one]), beta = f8_load(z->beta[one]), beta2 = f8_load(z->beta[two]), none = f8_set(0.0f);
    const float *p1 = z->p[one], *p2 = z->p[two];
    float *p = z->p[now], *image = z->image, *below = (float *)z->below, *f0 = (float *)z->f, *f1 = f0 + LANES(n);
    v8 rr = v8_set(0.0);
    memset(below, 0, sizeof *below * (size_t)LANES(n));
    for (int64_t i = m - 1; i >= 0; i -= 2) {
        for (int64_t row = i; row >= 0 && row > i - 2; row--) {
            const float *g = z->g32 + row * n, *c = z->c32 + row * n, *cc = z->cc32 + row * n, *cd = z->cd32 + row * n;
            float *f = row == i ? f0 : f1;
            f8 flow = none, part = none, reach = none;
            for (int64_t j = n - 1; j >= 0; j--) {
                const int64_t k = LANES(row * n + j);
                f8 direction = f8_load(p1 + k);
                if (step) {
                    const f8 before = step > 1 ? f8_fnma(beta2, f8_load(p2 + k), direction) : direction;
                    const f8 rest = f8_fnma(alpha, f8_load(image + k), before);
                    part = f8_fma(rest, rest, part);
                    direction = f8_fma(beta, direction, rest);
                    f8_store(p + k, direction);
                }
                const f8 u = f8_fma(f8_set(cc[j]), f8_load(below + LANES(j)), f8_mul(f8_set(cd[j]), direction));
                f8_store(below + LANES(j), u);
                flow = f8_fma(reach, flow, f8_mul(f8_set(g[j]), u));
                reach = f8_set(c[j]);
                f8_store(f + LANES(j), flow);
            }
            rr = v8_add(rr, v8_of(part));
        }
        const int64_t other = i ? i - 1 : 0;
        const float *ga = z->g32 + i * n, *ca = z->c32 + i * n, *da = z->d32 + i * n;
        const float *gb = z->g32 + other * n, *cb = z->c32 + other * n, *db = z->d32 + other * n, *fb = i ? f1 : f0;
        float *qa = image + LANES(i * n), *qb = image + LANES(other * n);
        f8 ta = none, tb = none;
        for (int64_t j = 0; j < n; j++) {
            ta = f8_fma(f8_set(ca[j]), ta, f8_mul(f8_set(da[j]), f8_load(f0 + LANES(j))));
            tb = f8_fma(f8_set(cb[j]), tb, f8_mul(f8_set(db[j]), f8_load(fb + LANES(j))));
            f8_store(qa + LANES(j), f8_mul(f8_set(ga[j]), ta));
            f8_store(qb + LANES(j), f8_mul(f8_set(gb[j]), tb));
        }
    }
    if (step)
        v8_store(z->rr, rr);
}

/* Downwards: image = p - F^-1 image, and the dot products of both. */
static RPU_INLINE void round_down(wires_block *z)
{
    const int64_t m = z->net->rows, n = z->net->columns;
    float *flow = (float *)z->below;
    v8 pq = v8_set(0.0), qq = v8_set(0.0);
    memset(flow, 0, sizeof *flow * (size_t)LANES(n));
    for (int64_t i = 0; i < m; i++) {
        const float *d = z->cd32 + i * n, *c = i ? z->cc32 + (i - 1) * n : d, *p = z->p[z->steps] + LANES(i * n);
        float *image = z->image + LANES(i * n);
        f8 first = f8_set(0.0f), second = first;
        for (int64_t j = 0; j < n; j++) {
            const f8 sum = f8_fma(f8_set(c[j]), f8_load(flow + LANES(j)), f8_load(image + LANES(j)));
            const f8 before = f8_load(p + LANES(j)), after = f8_fnma(f8_set(d[j]), sum, before);
            f8_store(flow + LANES(j), sum);
            f8_store(image + LANES(j), after);
            first = f8_fma(before, after, first);
            second = f8_fma(after, after, second);
        }
        pq = v8_add(pq, v8_of(first));
        qq = v8_add(qq, v8_of(second));
    }
    v8_store(z->pq, pq);
    v8_store(z->qq, qq);
}

/* One round from the residual in p[0]: directions, steps along them, and `rr`, the square of what they will leave of the
 * residual; in lanes where that is above `limit`. 0 where the numbers are no longer finite. */
static int block_round(wires_block *z, const double *limit)
{
    double left[RPU_STRIP];
    int done[RPU_STRIP], busy = 1;
    for (int k = 0; k < RPU_STRIP; k++) {
        left[k] = z->rr[k];
        done[k] = left[k] <= limit[k];
    }
    for (z->steps = 0; busy && z->steps < WIRES_ROUND_STEPS; z->steps++) {
        float *alphas = z->alpha[z->steps], *betas = z->beta[z->steps];
        if (z->steps == 0)
            round_up(z, 0);
        else if (z->steps == 1)
            round_up(z, 1);
        else
            round_up(z, 2);
        round_down(z);
        busy = 0;
        for (int k = 0; k < RPU_STRIP; k++) {
            alphas[k] = betas[k] = 0.0f;
            if (done[k])
                continue;
            const double rr = z->rr[k], pq = z->pq[k], qq = z->qq[k];
            if (!(pq > 0.0 && qq < INFINITY && rr < INFINITY))
                return 0;
            alphas[k] = (float)(rr / pq);
            const double alpha = alphas[k], rest = rr + alpha * (alpha * qq - 2.0 * pq), least = WIRES_ROUND_FORETOLD * rr;
            betas[k] = rest < least ? 0.0f : (float)(rest / rr);
            left[k] = rest < least ? least : rest;
            done[k] = left[k] <= limit[k];
            busy |= !done[k];
        }
    }
    memcpy(z->rr, left, sizeof left);
    return 1;
}

/* Solves for a block of vectors; whether all have converged. */
static int solve_block(const rpu_wires *net, rpu_wires_task *task)
{
    const int64_t m = net->rows, n = net->columns, size = m * n, grid = LANES(size);
    wires_block z = {.net = net, .task = task};
    double scale[RPU_STRIP], limit[RPU_STRIP], left[RPU_STRIP];
    z.g = task->block;
    z.c = z.g + size;
    z.d = z.c + size;
    z.g32 = (const float *)(z.d + size);
    z.c32 = z.g32 + size;
    z.d32 = z.c32 + size;
    z.cc32 = z.d32 + size;
    z.cd32 = z.cc32 + size;
    z.x = task->work;
    z.q = z.x + grid;
    z.p[WIRES_ROUND_STEPS - 1] = (float *)z.q;      /* its rows have been read when block_up writes those of q */
    z.image = z.p[WIRES_ROUND_STEPS - 1] + grid;
    for (int k = 0; k < WIRES_ROUND_STEPS - 1; k++)
        z.p[k] = (float *)(z.q + grid) + k * grid;
    z.below = z.q + grid + WIRES_ROUND_STEPS / 2 * grid;
    z.f = z.below + LANES(n);
    z.bottom = z.f + LANES(n);
    z.top = z.bottom + LANES(n);
    z.left = z.top + LANES(n);
    z.right = z.left + LANES(m);
    for (int k = 0; k < RPU_STRIP; k++)
        z.unit[k] = task->block_unit;

    task->iterations = 0;
    block_up(&z, 1, 1, 0);
    block_down(&z, 1);
    for (int k = 0; k < RPU_STRIP; k++)
        scale[k] = left[k] = z.unit[k] * z.unit[k] * z.rr[k];
    for (int first = 1;; first = 0) {
        int busy = 0, last = 1, slow = 0;
        task->residual = 0.0;
        for (int k = 0; k < RPU_STRIP; k++) {
            const double asked = task->tolerance * task->tolerance * scale[k];
            const int done = left[k] <= asked;
            if (scale[k] > 0.0)
                task->residual = fmax(task->residual, sqrt(left[k] / scale[k]));
            limit[k] = done ? INFINITY : fmax(asked, WIRES_ROUND * left[k]) / (z.unit[k] * z.unit[k]);
            busy |= !done;
        }
        if (!busy)
            break;
        if (!block_round(&z, limit))
            return 0;
        task->iterations += z.steps;
        for (int k = 0; k < RPU_STRIP; k++) {
            const double foretold = z.unit[k] * z.unit[k] * z.rr[k];
            slow |= z.rr[k] > limit[k] && foretold > WIRES_SLOW * left[k];
            left[k] = foretold;
            last &= foretold <= task->tolerance * task->tolerance * scale[k];
        }
        if (slow || task->iterations > task->max_iterations)
            return 0;
        if (last) {
            block_up(&z, 0, first, 1);
            continue;
        }
        block_up(&z, 0, first, 0);
        for (int k = 0; k < RPU_STRIP; k++)
            if (left[k] > 0.0)
                z.unit[k] = ldexp(1.0, ilogb(left[k]) / 2);
        block_down(&z, 0);
        for (int k = 0; k < RPU_STRIP; k++)     /* lanes that would end here with other neighbours do with these */
            if (left[k] > task->tolerance * task->tolerance * scale[k])
                left[k] = z.unit[k] * z.unit[k] * z.rr[k];
    }
    for (int64_t i = 0; i < m; i++)
        for (int k = 0; k < RPU_STRIP; k++)
            task->word_out[LANES(i) + k] =
                -(z.left[LANES(i) + k] / net->words.near_end[i] + z.right[LANES(i) + k] / net->words.far_end[i]);
    for (int64_t j = 0; j < n; j++)
        for (int k = 0; k < RPU_STRIP; k++)
            task->bit_out[LANES(j) + k] =
                z.bottom[LANES(j) + k] / net->bits.near_end[j] + z.top[LANES(j) + k] / net->bits.far_end[j];
    return 1;
}

#endif
