/* What surrounds the product: DACs before it, the non-ideal analog path and ADCs behind it.
 *
 * Decided, and why:
 * - One call per vector and stage. The usual chain (rounding, clipping, noise) is one pass over the vector; what few users
 *   switch on costs a test per chunk of RPU_CHUNK lines while it is off.
 * - Levels are numbered: v = step * clip(rint(y / step)), so the end levels are exact and clipping is decided in integers.
 * - Noise of devices is referred to the output: a sum of independent normals is a normal of the summed variance, which
 *   `variance` brings, so there is one draw per output and not per device, and the law is exact. */
#ifndef RPU_CONVERTERS_H
#define RPU_CONVERTERS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "normal.h"
#include "portable.h"
#include "stream.h"

static inline float clip(float value, float bound)
{
    value = value > bound ? bound : value;
    return value < -bound ? -bound : value;
}

/* Up with a probability equal to the fraction; u is in (0, 1]. */
static inline float round_stochastically(float level, float u)
{
    const float floor_level = floorf(level);
    return floor_level + (u <= level - floor_level ? 1.0f : 0.0f);
}

/* Noise of the drivers, and their weakness for negative inputs. */
static void drive(const rpu_converters *c, int64_t n, uint64_t key, int kind_offset, uint64_t operation, uint32_t line,
                  float *v)
{
    if (c->dac_noise != 0.0f) {
        const rpu_stream noise = rpu_stream_at(key, RPU_DAC_NOISE + kind_offset, operation, line);
        for (int64_t first = 0; first < n; first += RPU_CHUNK) {
            float z[RPU_CHUNK];
            const int64_t m = n - first < RPU_CHUNK ? n - first : RPU_CHUNK;
            rpu_normal_chunk(&noise, (uint32_t)(first / RPU_CHUNK), z);
            for (int64_t j = 0; j < m; j++)
                v[first + j] += c->dac_noise * z[j];
        }
    }
    if (c->dac_asymmetry != 0.0f)
        for (int64_t j = 0; j < n; j++)
            v[j] *= v[j] < 0.0f ? 1.0f - c->dac_asymmetry : 1.0f;
}

static int64_t dac(const rpu_converters *c, const float *x, int64_t n, double scale, uint64_t key, int kind_offset,
                   uint64_t operation, uint32_t line, float *v)
{
    const float bound = c->dac_bound, unit = c->dac_scale, step = c->dac_step, levels = c->dac_levels;
    /* the reciprocal of a subnormal maximum does not fit a float32: take its factor in two steps, the first one exact */
    const float lift = scale > 1e30 ? 0x1p64f : 1.0f, rest = (float)(scale / lift);
    int32_t clipped = 0;
    if (c->dac_stochastic) {
        const rpu_stream rounding = rpu_stream_at(key, RPU_DAC_ROUND + kind_offset, operation, line);
        float u[RPU_CHUNK];
        for (int64_t j = 0; j < n; j++) {
            if (j % RPU_CHUNK == 0)
                rpu_uniform_chunk(&rounding, (uint32_t)(j / RPU_CHUNK), u);
            const float level = round_stochastically(x[j] * lift * rest * unit, u[j % RPU_CHUNK]);
            clipped += fabsf(level) > levels;
            v[j] = step * clip(level, levels);
        }
    } else if (unit != 0.0f) {
        RPU_SIMD_SUM(clipped)
        for (int64_t j = 0; j < n; j++) {
            const float level = rintf(x[j] * lift * rest * unit);
            clipped += fabsf(level) > levels;
            v[j] = step * clip(level, levels);
        }
    } else {
        RPU_SIMD_SUM(clipped)
        for (int64_t j = 0; j < n; j++) {
            const float value = x[j] * lift * rest;
            clipped += fabsf(value) > bound;
            v[j] = clip(value, bound);
        }
    }
    if (!c->slice_bits)
        drive(c, n, key, kind_offset, operation, line, v);
    return clipped;
}

/* The digit `k` (of slice_bits bits, lowest first) of every converted input, driven at full range. Its product counts
 * 2^(slice_bits k) (2^slice_bits - 1) step / bound times. */
static void plane(const rpu_converters *c, const float *v, int64_t n, int k, uint64_t key, int kind_offset,
                  uint64_t operation, uint32_t line, float *out)
{
    const int32_t mask = (1 << c->slice_bits) - 1, shift = c->slice_bits * k;
    const float unit = c->dac_bound / (float)mask;
    for (int64_t j = 0; j < n; j++) {
        const int32_t level = (int32_t)rintf(fabsf(v[j]) * c->dac_scale);
        out[j] = copysignf(unit * (float)(level >> shift & mask), v[j]);
    }
    drive(c, n, key, kind_offset, operation, line, out);
}

/* What wires, sources and devices do to the sums y of one vector, in place. `current` is sum |W| |v|, `sloped`
 * sum W v (1 - (1 - j / inputs)^2), `variance` that of the devices' noise (n of them, or one for all); NULL where not used. */
static void analog(const rpu_converters *c, float *y, int64_t n, const float *current, const float *sloped,
                   const float *variance, int32_t variances, float input_sum, uint64_t key, int kind_offset,
                   uint64_t operation, uint32_t line)
{
    if (c->ir_drop != 0.0f)
        for (int64_t i = 0; i < n; i++) {
            const float a = c->ir_factor * current[i];
            y[i] -= c->ir_drop * (a * (a * (0.05f * a - 0.2f) + 0.5f)) * sloped[i];
        }
    if (c->voltage_offset != NULL || c->series != 0.0f) {
        const float reference = -c->offset_w_min * input_sum;
        const float lower = 1.0f + fminf(c->series * fabsf(reference), c->series_max);
        for (int64_t i = 0; i < n; i++) {
            const float shift = c->voltage_offset == NULL ? 0.0f : c->voltage_offset[i];
            const float total = y[i] + reference, upper = 1.0f + fminf(c->series * fabsf(total), c->series_max);
            y[i] = (1.0f - shift) * total / upper;
            if (c->offset_w_min != 0.0f)
                y[i] -= (1.0f + shift) * reference / lower;
        }
    }
    if (variance != NULL) {
        const rpu_stream noise = rpu_stream_at(key, RPU_READ_NOISE + kind_offset, operation, line);
        const float deviation = sqrtf(variance[0]);
        for (int64_t first = 0; first < n; first += RPU_CHUNK) {
            float z[RPU_CHUNK];
            const int m = n - first < RPU_CHUNK ? (int)(n - first) : RPU_CHUNK;
            rpu_normal_chunk(&noise, (uint32_t)(first / RPU_CHUNK), z);
            if (variances > 1)
                for (int i = 0; i < m; i++)
                    z[i] *= sqrtf(variance[first + i]);
            else
                for (int i = 0; i < m; i++)
                    z[i] *= deviation;
            for (int i = 0; i < m; i++)
                y[first + i] += z[i];
        }
    }
}

/* The number of the level whose two transitions enclose `level`, a value in steps. */
static inline float among_transitions(const float *transitions, float level, float levels)
{
    const int32_t last = 2 * (int32_t)levels;
    int32_t k = (int32_t)(rintf(clip(level, levels)) + levels);
    while (k > 0 && level < transitions[k - 1]) k--;
    while (k < last && level >= transitions[k]) k++;
    return (float)k - levels;
}

/* out = factor ADC(y), or added to what is there; returns how many outputs clipped. */
static int64_t adc(const rpu_converters *c, const float *y, int64_t n, float factor, int accumulate, uint64_t key,
                   int kind_offset, uint64_t operation, uint32_t line, float *out)
{
    const rpu_stream rounding = rpu_stream_at(key, RPU_ADC_ROUND + kind_offset, operation, line);
    const rpu_stream noise = rpu_stream_at(key, RPU_ADC_NOISE + kind_offset, operation, line);
    const float bound = c->adc_bound, unit = c->adc_scale, step = c->adc_step, levels = c->adc_levels;
    const float sigma = c->adc_noise;
    const int shaped = c->nonlinearity != NULL || c->slope != 1.0f || c->adc_asymmetry != 0.0f;
    const int individual = c->noise_of != NULL || c->gain != NULL || c->offset != NULL;
    int64_t all_clipped = 0;
    for (int64_t first = 0; first < n; first += RPU_CHUNK) {
        float z[RPU_CHUNK], u[RPU_CHUNK], shape[RPU_CHUNK], converted[RPU_CHUNK];
        const int m = n - first < RPU_CHUNK ? (int)(n - first) : RPU_CHUNK;
        const float *restrict in = y + first;
        float *restrict to = accumulate ? converted : out + first;
        int32_t clipped = 0;
        if (sigma != 0.0f)
            rpu_normal_chunk(&noise, (uint32_t)(first / RPU_CHUNK), z);
        else
            memset(z, 0, sizeof z);
        if (shaped || individual) {
            for (int j = 0; j < m; j++) {
                float value = in[j];
                if (shaped) {
                    value = c->slope * value / (1.0f + (c->nonlinearity ? fabsf(c->nonlinearity[first + j] * value) : 0.0f));
                    value *= value < 0.0f ? 1.0f - c->adc_asymmetry : 1.0f;
                }
                if (individual) {
                    value += (c->noise_of ? c->noise_of[first + j] : sigma) * z[j];
                    value = (c->gain ? c->gain[first + j] : 1.0f) * value + (c->offset ? c->offset[first + j] : 0.0f);
                    z[j] = 0.0f;
                }
                shape[j] = value;
            }
            in = shape;
        }
        if (c->adc_stochastic) {
            rpu_uniform_chunk(&rounding, (uint32_t)(first / RPU_CHUNK), u);
            for (int j = 0; j < m; j++) {
                const float level = round_stochastically((in[j] + sigma * z[j]) * unit, u[j]);
                clipped += (c->one_sided ? level : fabsf(level)) > levels;
                to[j] = factor * (step * clip(level, levels));
            }
        } else if (c->transitions != NULL || c->one_sided) {
            for (int j = 0; j < m; j++) {
                const float value = in[j] + sigma * z[j], level = unit != 0.0f ? rintf(value * unit) : value;
                const float top = unit != 0.0f ? levels : bound;
                clipped += (c->one_sided ? level : fabsf(level)) > top;
                if (c->transitions != NULL)
                    to[j] = factor * (step * among_transitions(c->transitions, value * unit, levels));
                else
                    to[j] = factor * ((unit != 0.0f ? step : 1.0f) * clip(level, top));
            }
        } else if (unit != 0.0f) {
            RPU_SIMD_SUM(clipped)
            for (int j = 0; j < m; j++) {
                const float level = rintf((in[j] + sigma * z[j]) * unit);
                clipped += fabsf(level) > levels;
                to[j] = factor * (step * clip(level, levels));
            }
        } else {
            RPU_SIMD_SUM(clipped)
            for (int j = 0; j < m; j++) {
                const float value = in[j] + sigma * z[j];
                clipped += fabsf(value) > bound;
                to[j] = factor * clip(value, bound);
            }
        }
        if (accumulate)
            for (int j = 0; j < m; j++)
                out[first + j] += converted[j];
        all_clipped += clipped;
    }
    return all_clipped;
}


#endif
