/* Device models: what one pulse does to one cross-point, one scalar function per model.
 *
 * Each takes what a pulse meets at lane l (step and pair of its direction, both bounds, and a model's own), the state w, the
 * direction (the top bit of `up`; the others may be anything) and one standard normal xi, and returns the new state. Steps come
 * with the sign of the direction. In models that are affine in the state (RPU_AFFINE_<model>) the pair of a direction is what
 * its step loses per unit of the state, which rpu_slope_<model> works out before.
 * Directions differ between lanes, so values of both are loaded and selected by bits: with `?:` the compiler computes both
 * branches in full (measured: 1.4 times the time). Cycle-to-cycle noise is one law with two weights, of which the Python side
 * sets one: noise_mult scales the actual step, noise_add the nominal one (step_up or step_down).
 * What a model has beyond steps and bounds, six macros: RPU_PAIR_<model> names parameters of its own for the two directions
 * (NAME_up and NAME_down; d->pair is that of the pulse), "" if none; RPU_REFERENCE_<model> is 1 where steps and bounds are those
 * of w + reference; RPU_CONSTANTS_<model> is how many numbers all devices share (d->constant), or RPU_TABLE; RPU_SUMS_<model>
 * whether its pulses can be summed (sum_row: constant steps only); RPU_AFFINE_<model> is 0, or RPU_SLOPED or RPU_UNSLOPED
 * for a step of rpu_affine with a slope or without (dense updates are faster then); rpu_slope_<model> is `pair` where it is 0. Laws: rpusim/devices and tests/oracle/devices.py. */
#ifndef RPU_DEVICES_H
#define RPU_DEVICES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "normal.h"
#include "portable.h"

/* Some devices and what one pulse each meets there. */
typedef struct {
    float step[RPU_LIST_LANES], pair[RPU_LIST_LANES];   /* of the direction of the pulse; the step with its sign */
    float high[RPU_LIST_LANES], low[RPU_LIST_LANES], reference[RPU_LIST_LANES];
    float noise_mult, noise_add;
    int additive;                       /* 0: noise_add is, too; a constant to the compiler */
    const float *constant;              /* numbers that all devices share */
} rpu_lanes;

static RPU_INLINE float rpu_pick(uint32_t up, float if_up, float if_down)
{
    const uint32_t mask = (uint32_t)((int32_t)up >> 31);
    return rpu_bits_to_float((rpu_float_to_bits(if_up) & mask) | (rpu_float_to_bits(if_down) & ~mask));
}

/* x with the sign of the pulse's direction. */
static RPU_INLINE float rpu_signed(uint32_t up, float x)
{
    return rpu_bits_to_float(rpu_float_to_bits(x) ^ (~up & 0x80000000u));
}

static RPU_INLINE float rpu_clip(const rpu_lanes *d, int l, float w)
{
    const float high = d->high[l], low = d->low[l];
    w = w < high ? w : high;
    return w > low ? w : low;
}

/* w after a pulse of mean change `step` and nominal change `nominal`, with cycle-to-cycle noise:
 * w + step (1 + noise_mult xi) + nominal noise_add xi, clipped. The step, which is known last, enters last. */
static RPU_INLINE float rpu_pulse(const rpu_lanes *d, int l, float w, float step, float nominal, float xi)
{
    const float from = d->additive ? RPU_FMA(nominal * d->noise_add, xi, w) : w;
    return rpu_clip(d, l, RPU_FMA(step, RPU_FMA(d->noise_mult, xi, 1.0f), from));
}

/* The step of all affine models: step - slope v, v = w or w + reference. */
static RPU_INLINE float rpu_affine(const rpu_lanes *d, int l, float w, int sloped, int referenced, float xi)
{
    const float step = d->step[l], v = referenced ? w + d->reference[l] : w;
    const float next = rpu_pulse(d, l, v, sloped ? RPU_FMA(-d->pair[l], v, step) : step, step, xi);
    return referenced ? next - d->reference[l] : next;
}

enum { RPU_UNSLOPED = 1, RPU_SLOPED };

/* ConstantStep: w +- step. */
#define RPU_AFFINE_constant_step RPU_UNSLOPED
#define RPU_PAIR_constant_step ""
#define RPU_REFERENCE_constant_step 0
#define RPU_CONSTANTS_constant_step 0
#define RPU_SUMS_constant_step 1
#define rpu_slope_constant_step(up, step, bound, pair, most) pair
#define rpu_step_constant_step(d, l, w, up, xi) rpu_affine(d, l, w, 0, 0, xi)

/* LinearStep: step + slope w; the pair are the slopes, of which a step loses the negative. */
#define RPU_AFFINE_linear_step RPU_SLOPED
#define RPU_PAIR_linear_step "slope"
#define RPU_REFERENCE_linear_step 0
#define RPU_CONSTANTS_linear_step 0
#define RPU_SUMS_linear_step 0
#define rpu_slope_linear_step(up, step, bound, pair, most) rpu_signed(~(up), pair)
#define rpu_step_linear_step(d, l, w, up, xi) rpu_affine(d, l, w, 1, 0, xi)

/* SoftBounds: step (1 - w / bound); a bound at 0 leaves the step constant, as a slope of 0 does. Bounds so near 0 that the
 * slope would not be finite get `most`, the steepest there is, since infinity times 0 is no number. */
static RPU_INLINE float rpu_finite(float slope, float most)
{
    slope = slope < most ? slope : most;
    return slope > -most ? slope : -most;
}
#define RPU_STEEPEST 3.4e38f
#define RPU_AFFINE_soft_bounds RPU_SLOPED
#define RPU_PAIR_soft_bounds ""
#define RPU_REFERENCE_soft_bounds 0
#define RPU_CONSTANTS_soft_bounds 0
#define RPU_SUMS_soft_bounds 0
#define rpu_slope_soft_bounds(up, step, bound, pair, most) rpu_where((bound) != 0.0f, rpu_finite((step) / (bound), most))
#define rpu_step_soft_bounds(d, l, w, up, xi) rpu_affine(d, l, w, 1, 0, xi)

/* SoftBoundsReference: SoftBounds for v = w + reference, whose bounds must have the right sign to count. */
#define RPU_AFFINE_soft_bounds_reference RPU_SLOPED
#define RPU_PAIR_soft_bounds_reference ""
#define RPU_REFERENCE_soft_bounds_reference 1
#define RPU_CONSTANTS_soft_bounds_reference 0
#define RPU_SUMS_soft_bounds_reference 0
#define rpu_slope_soft_bounds_reference(up, step, bound, pair, most) \
    rpu_where(rpu_signed(up, bound) > 0.0f, rpu_finite((step) / (bound), most))
#define rpu_step_soft_bounds_reference(d, l, w, up, xi) rpu_affine(d, l, w, 1, 1, xi)

/* ExpStep: step max(1 - A exp(+-gamma z), 0), z = 2 a w / (w_max - w_min) + b. Constants: A_up, A_down, gamma_up / ln 2,
 * -gamma_down / ln 2, 2 a, b, and the parts of the noise that do not depend on the step and that are in proportion to |w|. */
#define RPU_AFFINE_exp_step 0
#define rpu_slope_exp_step(up, step, bound, pair, most) pair
#define RPU_PAIR_exp_step ""
#define RPU_REFERENCE_exp_step 0
#define RPU_CONSTANTS_exp_step 8
#define RPU_SUMS_exp_step 0
static RPU_INLINE float rpu_step_exp_step(const rpu_lanes *d, int l, float w, uint32_t up, float xi)
{
    const float *c = d->constant, span = d->high[l] - d->low[l];
    const float exponent = rpu_pick(up, c[2], c[3]) * RPU_FMA(c[4], w / span, c[5]);
    const float y = RPU_FMA(-rpu_pick(up, c[0], c[1]), rpu_exp2(exponent < 126.0f ? exponent : 126.0f), 1.0f);
    const float nominal = d->step[l], step = nominal * rpu_where(y > 0.0f, y);
    const float noise = RPU_FMA(step, d->noise_mult, rpu_signed(up, RPU_FMA(fabsf(w), c[7], c[6])));
    return rpu_clip(d, l, w + rpu_where(span > 0.0f && nominal != 0.0f, RPU_FMA(noise, xi, step)));
}

/* PowStep: step x^gamma, x the distance to the bound ahead as a fraction of the span; the pair are the gammas. */
#define RPU_AFFINE_pow_step 0
#define rpu_slope_pow_step(up, step, bound, pair, most) pair
#define RPU_PAIR_pow_step "gamma"
#define RPU_REFERENCE_pow_step 0
#define RPU_CONSTANTS_pow_step 0
#define RPU_SUMS_pow_step 0
static RPU_INLINE float rpu_step_pow_step(const rpu_lanes *d, int l, float w, uint32_t up, float xi)
{
    const float high = d->high[l], low = d->low[l];
    const float x = rpu_pick(up, high - w, w - low) / (high - low);
    return rpu_pulse(d, l, w, d->step[l] * rpu_pow(x, d->pair[l]), 0.0f, xi);    /* without a span, x is not above 0 */
}

/* PowStepReference: PowStep for v = w + reference. */
#define RPU_AFFINE_pow_step_reference 0
#define rpu_slope_pow_step_reference(up, step, bound, pair, most) pair
#define RPU_PAIR_pow_step_reference "gamma"
#define RPU_REFERENCE_pow_step_reference 1
#define RPU_CONSTANTS_pow_step_reference 0
#define RPU_SUMS_pow_step_reference 0
static RPU_INLINE float rpu_step_pow_step_reference(const rpu_lanes *d, int l, float w, uint32_t up, float xi)
{
    return rpu_step_pow_step(d, l, w + d->reference[l], up, xi) - d->reference[l];
}

/* PiecewiseStep: step times a table over the device's own range. Constants: n - 1, then n values for up pulses and the last
 * one again, then as many for down pulses. */
#define RPU_AFFINE_piecewise_step 0
#define rpu_slope_piecewise_step(up, step, bound, pair, most) pair
#define RPU_PAIR_piecewise_step ""
#define RPU_REFERENCE_piecewise_step 0
#define RPU_CONSTANTS_piecewise_step RPU_TABLE
#define RPU_SUMS_piecewise_step 0
static RPU_INLINE float rpu_step_piecewise_step(const rpu_lanes *d, int l, float w, uint32_t up, float xi)
{
    const float last = d->constant[0], high = d->high[l], low = d->low[l], span = high - low;
    float t = (w - low) / span * last;
    t = t < last ? t : last;
    t = rpu_where(t > 0.0f && span > 0.0f, t);      /* with `?:` the constant 0 becomes a branch */
    const int32_t i = (int32_t)t, at = i + 1 + ((int32_t)~up >> 31 & ((int32_t)last + 2));
    uint64_t pair;      /* both ends of the interval by one load: gathers cost by the lane */
    memcpy(&pair, d->constant + at, sizeof pair);
    const float left = rpu_bits_to_float((uint32_t)pair), right = rpu_bits_to_float((uint32_t)(pair >> 32));
    const float step = d->step[l] * RPU_FMA(t - (float)i, right - left, left);
    return rpu_pulse(d, l, w, step, 0.0f, xi);
}

/* All of them; a new one is named here and below. */
#define RPU_MODELS(X)                                                                                    \
    X(constant_step) X(linear_step) X(soft_bounds) X(soft_bounds_reference) X(exp_step) X(pow_step)      \
    X(pow_step_reference) X(piecewise_step)

enum {
#define RPU_ENUM(name) RPU_MODEL_##name,
    RPU_MODELS(RPU_ENUM)
#undef RPU_ENUM
    RPU_N_MODELS
};

#endif

#if defined(RPU_EACH_MODEL) && !defined(RPU_MODEL)      /* a header that is included once for each: kernels_impl.h */
#define RPU_MODEL constant_step
#include RPU_EACH_MODEL
#define RPU_MODEL linear_step
#include RPU_EACH_MODEL
#define RPU_MODEL soft_bounds
#include RPU_EACH_MODEL
#define RPU_MODEL soft_bounds_reference
#include RPU_EACH_MODEL
#define RPU_MODEL exp_step
#include RPU_EACH_MODEL
#define RPU_MODEL pow_step
#include RPU_EACH_MODEL
#define RPU_MODEL pow_step_reference
#include RPU_EACH_MODEL
#define RPU_MODEL piecewise_step
#include RPU_EACH_MODEL
#undef RPU_EACH_MODEL
#endif
