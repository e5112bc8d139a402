/* Sums of pulses, in place of pulses one by one. */
#ifndef RPU_SUMS_H
#define RPU_SUMS_H

#include <math.h>
#include <stdint.h>

#include "devices.h"
#include "kernels.h"
#include "lists.h"
#include "normal.h"
#include "portable.h"
#include "stream.h"

/* Where a device of constant steps gets c pulses and cannot get to a bound, its change is one normal of mean c step and
 * variance c (sigma step)^2: one draw instead of c. The largest draw is below 6.7, so what c steps of 1 + 6.7 sigma do not
 * take to a bound, no draws do. (Whether they do is a comparison: a rounding of w, as between sets with and without fused
 * multiply-adds, may turn it, and then other draws are used.) Rows are summed where that is less work (pulses.c). Returns
 * whether some are left: `counts` are then the pulses of those near a bound, signed. The noise of a row has a line of the
 * stream of its own; a column's draw is at the position of the column. */
static int sum_row(const rpu_devices *devices, const rpu_trains *t, int32_t event, int64_t row, uint32_t flip,
                   const rpu_noise *noise, int32_t *counts)
{
    const int64_t n = devices->columns, all = RPU_GROUP * RPU_GROUPS(n);
    const rpu_row r = row_at(devices, row);
    const float sigma = r.noise_mult + r.noise_add, most = 1.0f + 6.7f * sigma;
    rpu_stream s = noise->stream;
    int32_t left = 0;
    float z[RPU_CHUNK] = {0};
    rpu_stream_line(&s, 1u + (uint32_t)row);
    for (int32_t word = 0; word < t->words; word++) {
        const uint32_t fires = t->row_bits[(int64_t)event * t->words + word];
        const uint32_t *restrict bits = t->column_bits + word * all;
        const int32_t keep = word ? -1 : 0;
        RPU_SIMD
        for (int64_t j = 0; j < all; j++) {
            uint32_t m = bits[j] & fires;
            m -= m >> 1 & 0x55555555u;
            m = (m & 0x33333333u) + (m >> 2 & 0x33333333u);
            m = (m + (m >> 4)) & 0x0F0F0F0Fu;
            m += m >> 8;
            counts[j] = (counts[j] & keep) + (int32_t)((m + (m >> 16)) & 0x3Fu);
        }
    }
    for (int64_t first = 0; first < n; first += RPU_CHUNK) {
        const int m = n - first < RPU_CHUNK ? (int)(n - first) : RPU_CHUNK;
        float *restrict w = r.w + first;
        int32_t *restrict count = counts + first;
        const uint32_t *sign = t->column_signs + first;
        const float *quad = r.quad + 4 * first;
        if (!devices->silent)
            rpu_normal_chunk(&s, (uint32_t)(first / RPU_CHUNK), z);
        RPU_SIMD
        for (int l = 0; l < m; l++) {
            const uint32_t up = sign[l] ^ flip;
            const float c = (float)count[l], step = rpu_pick(up, quad[4 * l], quad[4 * l + 1]), reach = c * fabsf(step) * most;
            const int32_t safe = -(int32_t)((w[l] + reach < quad[4 * l + 2]) & (w[l] - reach > quad[4 * l + 3]));
            const float change = rpu_signed(up, step * RPU_FMA(sigma * sqrtf(c), z[l], c));
            const int32_t down = ~(int32_t)up >> 31;
            w[l] += rpu_bits_to_float(rpu_float_to_bits(change) & (uint32_t)safe);
            count[l] = ((count[l] ^ down) - down) & ~safe;
        }
        for (int l = 0; l < m; l++)
            left |= count[l];
    }
    return left != 0;
}

#endif
