/* Device models: what one pulse does to one cross-point, one scalar function per model.
 *
 * Each takes the row's parameters, the column j, the state w, the direction (all bits set: up, none: down) and one standard
 * normal xi, and returns the new state. Directions differ between the lanes of a vector, so values of both are loaded and
 * selected by bits: with `?:` the compiler computes both branches in full (measured: 1.4 times the time). Cycle-to-cycle
 * noise is one law with two weights, of which the Python side sets one: noise_mult scales the actual step, noise_add the
 * nominal one (step_up or step_down).
 * RPU_PARAMETERS_<model> is the number of parameters; RPU_COSTLY_<model> says that a step is worth more than the gathering
 * around it, so that lanes must not be wasted. Laws: rpusim/devices and tests/oracle/devices.py. */
#ifndef RPU_DEVICES_H
#define RPU_DEVICES_H

#include <stdint.h>

typedef struct {
    float *w;
    float *visible;                     /* what is read, where that differs from w by write noise; or NULL */
    const float *parameter[RPU_MAX_PARAMETERS];
    float noise_mult, noise_add, write_noise;
    const float *constant;              /* numbers that all devices share */
} rpu_row;

#define RPU_P(k) (r->parameter[k][j])

static RPU_INLINE float rpu_pick(uint32_t up, float if_up, float if_down)
{
    return rpu_bits_to_float((rpu_float_to_bits(if_up) & up) | (rpu_float_to_bits(if_down) & ~up));
}

/* w after a change by `size` in the direction of the pulse, clipped to the bounds. */
static RPU_INLINE float rpu_move(const rpu_row *r, int64_t j, float w, uint32_t up, float size)
{
    const float high = RPU_P(2), low = RPU_P(3);
    w += rpu_bits_to_float(rpu_float_to_bits(size) ^ (~up & 0x80000000u));
    w = w < high ? w : high;
    return w > low ? w : low;
}

/* w after a pulse of mean size `step` and nominal size `nominal`, with cycle-to-cycle noise. */
static RPU_INLINE float rpu_pulse(const rpu_row *r, int64_t j, float w, uint32_t up, float step, float nominal, float xi)
{
    return rpu_move(r, j, w, up, RPU_FMA(RPU_FMA(step, r->noise_mult, nominal * r->noise_add), xi, step));
}

/* ConstantStep: w +- step. */
#define RPU_PARAMETERS_constant_step 4
#define RPU_COSTLY_constant_step 0
static RPU_INLINE float rpu_step_constant_step(const rpu_row *r, int64_t j, float w, uint32_t up, float xi)
{
    const float step = rpu_pick(up, RPU_P(0), RPU_P(1));
    return rpu_pulse(r, j, w, up, step, step, xi);
}

/* LinearStep: step + slope w, with parameters 4 and 5 the slopes of the up and the down step. */
#define RPU_PARAMETERS_linear_step 6
#define RPU_COSTLY_linear_step 0
static RPU_INLINE float rpu_step_linear_step(const rpu_row *r, int64_t j, float w, uint32_t up, float xi)
{
    const float step = rpu_pick(up, RPU_P(0), RPU_P(1)), slope = rpu_pick(up, RPU_P(4), RPU_P(5));
    return rpu_pulse(r, j, w, up, RPU_FMA(slope, w, step), step, xi);
}

/* SoftBounds: step (1 - w / bound); a bound at 0 leaves the step constant, as a slope of 0 does. */
#define RPU_PARAMETERS_soft_bounds 4
#define RPU_COSTLY_soft_bounds 0
static RPU_INLINE float rpu_step_soft_bounds(const rpu_row *r, int64_t j, float w, uint32_t up, float xi)
{
    const float step = rpu_pick(up, RPU_P(0), RPU_P(1)), bound = rpu_pick(up, RPU_P(2), RPU_P(3));
    const float fraction = rpu_where(bound != 0.0f, w / bound);
    return rpu_pulse(r, j, w, up, RPU_FMA(-step, fraction, step), step, xi);
}

/* SoftBoundsReference: SoftBounds for v = w + reference (parameter 4), whose bounds must have the right sign to count. */
#define RPU_PARAMETERS_soft_bounds_reference 5
#define RPU_COSTLY_soft_bounds_reference 0
static RPU_INLINE float rpu_step_soft_bounds_reference(const rpu_row *r, int64_t j, float w, uint32_t up, float xi)
{
    const float step = rpu_pick(up, RPU_P(0), RPU_P(1)), high = RPU_P(2), low = RPU_P(3), v = w + RPU_P(4);
    const float bound = rpu_pick(up, high, low), ahead = rpu_pick(up, high, -low);
    const float fraction = rpu_where(ahead > 0.0f, v / bound);
    return rpu_pulse(r, j, v, up, RPU_FMA(-step, fraction, step), step, xi) - RPU_P(4);
}

/* ExpStep: step max(1 - A exp(+-gamma z), 0), z = 2 a w / (w_max - w_min) + b. Constants: A_up, A_down, gamma_up / ln 2,
 * -gamma_down / ln 2, 2 a, b, and the parts of the noise that do not depend on the step and that are in proportion to |w|. */
#define RPU_PARAMETERS_exp_step 4
#define RPU_COSTLY_exp_step 1
static RPU_INLINE float rpu_step_exp_step(const rpu_row *r, int64_t j, float w, uint32_t up, float xi)
{
    const float *c = r->constant, span = RPU_P(2) - RPU_P(3);
    const float exponent = rpu_pick(up, c[2], c[3]) * RPU_FMA(c[4], w / span, c[5]);
    const float y = RPU_FMA(-rpu_pick(up, c[0], c[1]), rpu_exp2(exponent < 126.0f ? exponent : 126.0f), 1.0f);
    const float nominal = rpu_pick(up, RPU_P(0), RPU_P(1)), step = nominal * rpu_where(y > 0.0f, y);
    const float noise = RPU_FMA(step, r->noise_mult, RPU_FMA(fabsf(w), c[7], c[6]));
    return rpu_move(r, j, w, up, rpu_where(span > 0.0f && nominal != 0.0f, RPU_FMA(noise, xi, step)));
}

/* PowStep: step x^gamma, x the distance to the bound ahead as a fraction of the span; parameters 4 and 5 are the gammas. */
#define RPU_PARAMETERS_pow_step 6
#define RPU_COSTLY_pow_step 1
static RPU_INLINE float rpu_step_pow_step(const rpu_row *r, int64_t j, float w, uint32_t up, float xi)
{
    const float high = RPU_P(2), low = RPU_P(3);
    const float x = rpu_pick(up, high - w, w - low) / (high - low);
    const float step = rpu_pick(up, RPU_P(0), RPU_P(1)) * rpu_pow(x, rpu_pick(up, RPU_P(4), RPU_P(5)));
    return rpu_move(r, j, w, up, RPU_FMA(step * r->noise_mult, xi, step));   /* without a span, x is not above 0 */
}

/* PowStepReference: PowStep for v = w + reference (parameter 6). */
#define RPU_PARAMETERS_pow_step_reference 7
#define RPU_COSTLY_pow_step_reference 1
static RPU_INLINE float rpu_step_pow_step_reference(const rpu_row *r, int64_t j, float w, uint32_t up, float xi)
{
    return rpu_step_pow_step(r, j, w + RPU_P(6), up, xi) - RPU_P(6);
}

/* PiecewiseStep: step times a table over the device's own range. Constants: n - 1, then n values for up pulses and the last
 * one again, then as many for down pulses. */
#define RPU_PARAMETERS_piecewise_step 4
#define RPU_COSTLY_piecewise_step 1
static RPU_INLINE float rpu_step_piecewise_step(const rpu_row *r, int64_t j, float w, uint32_t up, float xi)
{
    const float last = r->constant[0], high = RPU_P(2), low = RPU_P(3), span = high - low;
    float t = (w - low) / span * last;
    t = t < last ? t : last;
    t = rpu_where(t > 0.0f && span > 0.0f, t);      /* with `?:` the constant 0 becomes a branch */
    const int32_t i = (int32_t)t, at = i + 1 + ((int32_t)~up & ((int32_t)last + 2));
    uint64_t pair;      /* both ends of the interval by one load: gathers cost by the lane */
    memcpy(&pair, r->constant + at, sizeof pair);
    const float left = rpu_bits_to_float((uint32_t)pair), right = rpu_bits_to_float((uint32_t)(pair >> 32));
    const float step = rpu_pick(up, RPU_P(0), RPU_P(1)) * RPU_FMA(t - (float)i, right - left, left);
    return rpu_pulse(r, j, w, up, step, 0.0f, xi);
}

#endif
