/* What is written to a device by a program, a reset or an algorithm: bounds and write noise; pulses have theirs in devices.h. */
#ifndef RPU_WRITES_H
#define RPU_WRITES_H

#include <math.h>
#include <stdint.h>

#include "kernels.h"

typedef struct {
    int64_t clipped;    /* devices whose bounds the values were beyond */
    float most;         /* by how much, at most */
} rpu_written;

/* Write a device: clip to its own bounds, which are relative to its reference, and draw what is read of it with the standard
 * normal xi. */
static inline void rpu_write(const rpu_devices *d, int64_t row, int64_t column, float value, float xi)
{
    float *const state = d->w + row * d->columns + column;
    if (d->bounded) {
        const float *quad = d->quad + row * d->quad_stride + 4 * column;
        const float shift = d->referenced ? d->reference[row * d->reference_stride + column] : 0.0f;
        const float low = quad[RPU_QUAD_W_MIN] - shift, high = quad[RPU_QUAD_W_MAX] - shift;
        value = value > low ? value : low;
        value = value < high ? value : high;
        value += 0.0f;      /* no -0: pulses of size 0 would leave its sign or not, by how a batch was split */
    }
    *state = value;
    if (d->visible)
        d->visible[row * d->columns + column] = value + d->write_noise * xi;
}

/* Write all devices; xi is NULL where there is no write noise. */
static inline void rpu_write_all(const rpu_devices *d, const float *values, const float *xi)
{
    for (int64_t i = 0; i < d->rows; i++)
        for (int64_t j = 0; j < d->columns; j++)
            rpu_write(d, i, j, values[i * d->columns + j], xi ? xi[i * d->columns + j] : 0.0f);
}

/* What of the values that were just written is beyond the bounds. */
static inline rpu_written rpu_beyond(const rpu_devices *d, const float *values)
{
    const int64_t n = d->rows * d->columns;
    int64_t clipped = 0;
    float most = 0.0f;
#pragma omp simd reduction(+ : clipped) reduction(max : most)
    for (int64_t k = 0; k < n; k++) {
        const float beyond = fabsf(values[k] - d->w[k]);
        clipped += beyond > 0.0f;
        most = beyond > most ? beyond : most;
    }
    const rpu_written found = {clipped, most};
    return found;
}

#endif
