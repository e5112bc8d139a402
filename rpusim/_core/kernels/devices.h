/* Device models: what one pulse does to one cross-point, as a pair of scalar functions per model.
 *
 * Each takes the row's parameters, the column j, the state w and one standard normal xi, and returns the new state.
 * Cycle-to-cycle noise is one law with two weights, of which the Python side sets one: noise_mult scales the actual
 * step, noise_add the nominal one (step_up or step_down). Laws: rpusim/devices and tests/oracle/devices.py. */
#ifndef RPU_DEVICES_H
#define RPU_DEVICES_H

#include <stdint.h>

typedef struct {
    float *w;
    const float *parameter[RPU_MAX_PARAMETERS];
    int32_t mask[RPU_MAX_PARAMETERS];
    float noise_mult, noise_add;
} rpu_row;

#define RPU_P(k) (r->parameter[k][j & r->mask[k]])

static inline float rpu_clip(float w, float low, float high)
{
    w = w > high ? high : w;
    return w < low ? low : w;
}

/* A pulse of mean size `step` and nominal size `nominal`, with cycle-to-cycle noise. */
static inline float rpu_noisy(const rpu_row *r, float step, float nominal, float xi)
{
    return step + (step * r->noise_mult + nominal * r->noise_add) * xi;
}

/* ConstantStep: w +- step. */
static inline float rpu_constant_step_up(const rpu_row *r, int32_t j, float w, float xi)
{
    return rpu_clip(w + rpu_noisy(r, RPU_P(0), RPU_P(0), xi), RPU_P(3), RPU_P(2));
}

static inline float rpu_constant_step_down(const rpu_row *r, int32_t j, float w, float xi)
{
    return rpu_clip(w - rpu_noisy(r, RPU_P(1), RPU_P(1), xi), RPU_P(3), RPU_P(2));
}

/* LinearStep: step + slope w, with parameters 4 and 5 the slopes of the up and the down step. */
static inline float rpu_linear_step_up(const rpu_row *r, int32_t j, float w, float xi)
{
    return rpu_clip(w + rpu_noisy(r, RPU_P(0) + RPU_P(4) * w, RPU_P(0), xi), RPU_P(3), RPU_P(2));
}

static inline float rpu_linear_step_down(const rpu_row *r, int32_t j, float w, float xi)
{
    return rpu_clip(w - rpu_noisy(r, RPU_P(1) + RPU_P(5) * w, RPU_P(1), xi), RPU_P(3), RPU_P(2));
}

/* SoftBounds: step (1 - w / bound); a bound at 0 leaves the step constant, as a slope of 0 does. */
static inline float rpu_soft_bounds_up(const rpu_row *r, int32_t j, float w, float xi)
{
    const float high = RPU_P(2);
    const float fraction = high != 0.0f ? w / high : 0.0f;
    return rpu_clip(w + rpu_noisy(r, RPU_P(0) * (1.0f - fraction), RPU_P(0), xi), RPU_P(3), high);
}

static inline float rpu_soft_bounds_down(const rpu_row *r, int32_t j, float w, float xi)
{
    const float low = RPU_P(3);
    const float fraction = low != 0.0f ? w / low : 0.0f;
    return rpu_clip(w - rpu_noisy(r, RPU_P(1) * (1.0f - fraction), RPU_P(1), xi), low, RPU_P(2));
}

#endif
