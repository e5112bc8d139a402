/* Device models: what one pulse does to one cross-point, one scalar function per model.
 *
 * Each takes the row's parameters, the column j, the state w, the direction (all bits set: up, none: down) and one standard
 * normal xi, and returns the new state. Directions differ between the lanes of a vector, so values of both are loaded and
 * selected by bits: with `?:` the compiler computes both branches in full (measured: 1.4 times the time). Cycle-to-cycle
 * noise is one law with two weights, of which the Python side sets one: noise_mult scales the actual step, noise_add the
 * nominal one (step_up or step_down). RPU_PARAMETERS_<model> is the number of parameters. Laws: rpusim/devices and tests/oracle/devices.py. */
#ifndef RPU_DEVICES_H
#define RPU_DEVICES_H

#include <stdint.h>

typedef struct {
    float *w;
    const float *parameter[RPU_MAX_PARAMETERS];
    float noise_mult, noise_add;
} rpu_row;

#define RPU_P(k) (r->parameter[k][j])

static inline float rpu_pick(uint32_t up, float if_up, float if_down)
{
    return rpu_bits_to_float((rpu_float_to_bits(if_up) & up) | (rpu_float_to_bits(if_down) & ~up));
}

/* w after a pulse of mean size `step` and nominal size `nominal`, with cycle-to-cycle noise, clipped to the bounds. */
static inline float rpu_pulse(const rpu_row *r, int64_t j, float w, uint32_t up, float step, float nominal, float xi)
{
    const float high = RPU_P(2), low = RPU_P(3);
    const float size = RPU_FMA(RPU_FMA(step, r->noise_mult, nominal * r->noise_add), xi, step);
    w += rpu_bits_to_float(rpu_float_to_bits(size) ^ (~up & 0x80000000u));
    w = w < high ? w : high;
    return w > low ? w : low;
}

/* ConstantStep: w +- step. */
#define RPU_PARAMETERS_constant_step 4
static inline float rpu_step_constant_step(const rpu_row *r, int64_t j, float w, uint32_t up, float xi)
{
    const float step = rpu_pick(up, RPU_P(0), RPU_P(1));
    return rpu_pulse(r, j, w, up, step, step, xi);
}

/* LinearStep: step + slope w, with parameters 4 and 5 the slopes of the up and the down step. */
#define RPU_PARAMETERS_linear_step 6
static inline float rpu_step_linear_step(const rpu_row *r, int64_t j, float w, uint32_t up, float xi)
{
    const float step = rpu_pick(up, RPU_P(0), RPU_P(1)), slope = rpu_pick(up, RPU_P(4), RPU_P(5));
    return rpu_pulse(r, j, w, up, RPU_FMA(slope, w, step), step, xi);
}

/* SoftBounds: step (1 - w / bound); a bound at 0 leaves the step constant, as a slope of 0 does. */
#define RPU_PARAMETERS_soft_bounds 4
static inline float rpu_step_soft_bounds(const rpu_row *r, int64_t j, float w, uint32_t up, float xi)
{
    const float step = rpu_pick(up, RPU_P(0), RPU_P(1)), bound = rpu_pick(up, RPU_P(2), RPU_P(3));
    const float fraction = rpu_bits_to_float(rpu_float_to_bits(w / bound) & -(uint32_t)(bound != 0.0f));
    return rpu_pulse(r, j, w, up, RPU_FMA(-step, fraction, step), step, xi);
}

#endif
