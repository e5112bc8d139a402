/* Pulses on lists of devices: the columns of one row that fire in a slot.
 *
 * Decided, and why:
 * - The four parameters of a device are side by side: one array per parameter took 1.4 times the time, and five cache lines per
 *   pulse instead of two. Rows on which many columns fire go another way, with the same results: panel.h. */
#ifndef RPU_LISTS_H
#define RPU_LISTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "devices.h"
#include "kernels.h"
#include "noise.h"
#include "normal.h"
#include "portable.h"

/* The devices of one row. */
typedef struct {
    float *w;
    float *visible;                     /* what is read, where that differs from w by write noise; or NULL */
    const float *quad, *pair, *reference;
    float noise_mult, noise_add, write_noise;
    const float *constant;
} rpu_row;

static inline rpu_row row_at(const rpu_devices *devices, int64_t row)
{
    rpu_row r;
    r.w = devices->w + row * devices->columns;
    r.visible = devices->visible ? devices->visible + row * devices->columns : NULL;
    r.quad = devices->quad + row * devices->quad_stride;
    r.pair = devices->pair + row * devices->pair_stride;
    r.reference = devices->reference + row * devices->reference_stride;
    r.noise_mult = devices->noise_mult;
    r.noise_add = devices->noise_add;
    r.write_noise = devices->write_noise;
    r.constant = devices->constant;
    return r;
}

/* Number `bytes` bytes after `base`: lists hold columns times 4, which scaled addresses turn into all others (measured: with
 * plain columns, one instruction in six was a shift or an addition). */
static inline float *at_byte(const float *base, size_t bytes)
{
    return (float *)((uintptr_t)base + bytes);
}

/* Eight devices of a list as if they were neighbours: state, and what pulses in the directions `up` (top bits) meet. Gather
 * instructions are slower than loads one by one (measured with AVX-512: 9 against 6 cycles per pulse), and so are stores to a
 * buffer that is then read as a vector; loads that fill the parts of a register are best. */
#if defined(RPU_USE_AVX2) || defined(RPU_USE_AVX512)
static inline void gather(float *to, const float *from, const uint16_t *at)
{
    _mm256_storeu_ps(to, _mm256_setr_ps(*at_byte(from, at[0]), *at_byte(from, at[1]), *at_byte(from, at[2]),
                                        *at_byte(from, at[3]), *at_byte(from, at[4]), *at_byte(from, at[5]),
                                        *at_byte(from, at[6]), *at_byte(from, at[7])));
}
/* Three bytes more are read. */
static inline void directions(const uint8_t *signs, uint32_t flip, uint32_t *up)
{
    int32_t bits;
    memcpy(&bits, signs, sizeof bits);
    const __m256i tops = _mm256_sllv_epi32(_mm256_set1_epi32(bits), _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24));
    _mm256_storeu_si256((__m256i *)up, _mm256_xor_si256(tops, _mm256_set1_epi32((int)flip)));
}
static inline __m256 two_quads(const float *quad, const uint16_t *at, int k)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(quad + at[k])), _mm_loadu_ps(quad + at[k + 4]), 1);
}
static inline void gather_quads(rpu_lanes *d, float *bound, const float *quad, const uint16_t *at, const uint32_t *up)
{
    const __m256 r0 = two_quads(quad, at, 0), r1 = two_quads(quad, at, 1);
    const __m256 r2 = two_quads(quad, at, 2), r3 = two_quads(quad, at, 3);
    const __m256 steps_02 = _mm256_unpacklo_ps(r0, r2), bounds_02 = _mm256_unpackhi_ps(r0, r2);
    const __m256 steps_13 = _mm256_unpacklo_ps(r1, r3), bounds_13 = _mm256_unpackhi_ps(r1, r3);
    const __m256 step_up = _mm256_unpacklo_ps(steps_02, steps_13), step_down = _mm256_unpackhi_ps(steps_02, steps_13);
    const __m256 high = _mm256_unpacklo_ps(bounds_02, bounds_13), low = _mm256_unpackhi_ps(bounds_02, bounds_13);
    const __m256 direction = _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)up));
    _mm256_storeu_ps(d->step, _mm256_blendv_ps(step_down, step_up, direction));
    _mm256_storeu_ps(bound, _mm256_blendv_ps(low, high, direction));
    _mm256_storeu_ps(d->high, high);
    _mm256_storeu_ps(d->low, low);
}
static inline __m256 two_pairs(const float *pair, const uint16_t *at, int k)
{
    const __m128 first = _mm_loadl_pi(_mm_setzero_ps(), (const __m64 *)at_byte(pair, 2 * (size_t)at[k]));
    return _mm256_castps128_ps256(_mm_loadh_pi(first, (const __m64 *)at_byte(pair, 2 * (size_t)at[k + 1])));
}
static inline void gather_pairs(rpu_lanes *d, const float *pair, const uint16_t *at, const uint32_t *up)
{
    const __m256 r0 = _mm256_insertf128_ps(two_pairs(pair, at, 0), _mm256_castps256_ps128(two_pairs(pair, at, 4)), 1);
    const __m256 r2 = _mm256_insertf128_ps(two_pairs(pair, at, 2), _mm256_castps256_ps128(two_pairs(pair, at, 6)), 1);
    const __m256 direction = _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)up));
    _mm256_storeu_ps(d->pair, _mm256_blendv_ps(_mm256_shuffle_ps(r0, r2, 0xDD), _mm256_shuffle_ps(r0, r2, 0x88), direction));
}
#else
static inline void gather(float *to, const float *from, const uint16_t *at)
{
    for (int l = 0; l < RPU_LIST_LANES; l++)
        to[l] = *at_byte(from, at[l]);
}
static inline void directions(const uint8_t *signs, uint32_t flip, uint32_t *up)
{
    for (int l = 0; l < RPU_LIST_LANES; l++)
        up[l] = (uint32_t)*signs << (31 - l) ^ flip;
}
static inline void gather_quads(rpu_lanes *d, float *bound, const float *quad, const uint16_t *at, const uint32_t *up)
{
    for (int l = 0; l < RPU_LIST_LANES; l++) {
        const float *q = quad + at[l];
        d->step[l] = rpu_pick(up[l], q[0], q[1]);
        bound[l] = rpu_pick(up[l], q[2], q[3]);
        d->high[l] = q[2];
        d->low[l] = q[3];
    }
}
static inline void gather_pairs(rpu_lanes *d, const float *pair, const uint16_t *at, const uint32_t *up)
{
    for (int l = 0; l < RPU_LIST_LANES; l++) {
        const float *p = at_byte(pair, 2 * (size_t)at[l]);
        d->pair[l] = rpu_pick(up[l], p[0], p[1]);
    }
}
#endif

/* Pulses per device of one slot and row, for those who want them. */
static void count_pulses(const rpu_devices *devices, const rpu_trains *t, int32_t slot, int64_t row, uint32_t flip)
{
    int64_t *up = devices->count_up + row * devices->columns, *down = devices->count_down + row * devices->columns;
    const int32_t segments = (int32_t)RPU_SEGMENTS(devices->columns);
    for (int32_t part = slot * segments; part < (slot + 1) * segments; part++, up += RPU_SEGMENT, down += RPU_SEGMENT)
        for (int32_t q = t->start[part]; q < t->start[part] + t->fired[part]; q++)
            ((t->signs[q / RPU_LIST_LANES] ^ flip) >> q % RPU_LIST_LANES & 1u ? up : down)[t->columns[q] / 4]++;
}

/* Most lines of 16 devices that are asked for between two lists: more at once hold up the loads of those (measured: 3.0 against
 * 2.5 ns per pulse with all lines at once, 2048 x 2048 and 4 vectors). */
#define RPU_FETCH 8

/* Ask for the state and parameters of the lines [line, last) of 16 devices after the first: lists touch them in an order that
 * the processor does not foresee. Returns `last`. Inline, because GCC removes calls of a function that does nothing else. */
static RPU_INLINE int64_t fetch(const rpu_devices *devices, int64_t first, int64_t line, int64_t last)
{
    for (int64_t j = first + 16 * line; j < first + 16 * last; j += 16) {
        RPU_PREFETCH(devices->w + j);
        for (int64_t k = 0; devices->quad_stride && k < 64; k += 16)
            RPU_PREFETCH(devices->quad + 4 * j + k);
        for (int64_t k = 0; devices->pair_stride && k < 32; k += 16)
            RPU_PREFETCH(devices->pair + 2 * j + k);
        if (devices->reference_stride)
            RPU_PREFETCH(devices->reference + j);
    }
    return last;
}

/* What is read of the devices of a list after a pulse: their state and new write noise. */
static void write_list(const rpu_row *row, int64_t segment, const uint16_t *columns, int32_t n, rpu_noise *noise)
{
    for (int32_t first = 0; first < n; first += RPU_BLOCK) {
        const int32_t m = n - first < RPU_BLOCK ? n - first : RPU_BLOCK;
        const float *xi = noise_take(noise, m);
        for (int32_t q = 0; q < m; q++) {
            const int64_t j = segment + columns[first + q] / 4;
            row->visible[j] = RPU_FMA(row->write_noise, xi[q], row->w[j]);
        }
    }
}

/* What is wanted of a row as it is after a vector. */
static void keep_row(const rpu_devices *devices, const rpu_trains *t, int64_t row)
{
    const float *w = (devices->visible ? devices->visible : devices->w) + row * devices->columns;
    if (devices->keeps == RPU_KEEPS_COLUMNS && t->keep >= 0)
        t->kept[row] = w[t->keep];
    else if (t->keep == row)
        memcpy(t->kept, w, sizeof *w * (size_t)devices->columns);
}

#endif
