/* Pulse trains: which lines fire in which slots. */
#ifndef RPU_TRAINS_H
#define RPU_TRAINS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "ars.h"
#include "kernels.h"
#include "normal.h"
#include "portable.h"
#include "stream.h"

/* Thresholds of 16 lines; see kernels.h. Written out where there are instructions for the signs of lanes, since compilers make
 * two passes of it (measured: a third of the time of sparse trains). */
static inline void group_thresholds(const float *v, float scale, float top, uint32_t *high, uint32_t *low, uint16_t *negative,
                                    uint16_t *possible)
{
    uint32_t minus = 0, none = 0;
#if defined(RPU_USE_AVX2) || defined(RPU_USE_AVX512)
    for (int l = 0; l < RPU_GROUP; l += 8) {
        const __m256 x = _mm256_loadu_ps(v + l), part = _mm256_set1_ps(65536.0f);
        const __m256 size = _mm256_mul_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), x), _mm256_set1_ps(scale));
        const __m256 p = _mm256_min_ps(_mm256_mul_ps(size, part), _mm256_set1_ps(top));
        const __m256i h = _mm256_cvttps_epi32(p);
        const __m256i rest = _mm256_cvttps_epi32(_mm256_mul_ps(_mm256_sub_ps(p, _mm256_cvtepi32_ps(h)), part));
        const __m256i zero = _mm256_cmpeq_epi32(_mm256_or_si256(h, rest), _mm256_setzero_si256());
        _mm256_storeu_si256((__m256i *)(high + l), h);
        _mm256_storeu_si256((__m256i *)(low + l), rest);
        minus |= (uint32_t)_mm256_movemask_ps(x) << l;
        none |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(zero)) << l;
    }
#else
    RPU_SIMD
    for (int l = 0; l < RPU_GROUP; l++) {
        float p = fabsf(v[l]) * scale * 65536.0f;
        p = p < top ? p : top;
        const int32_t h = (int32_t)p;
        high[l] = (uint32_t)h;
        low[l] = (uint32_t)(int32_t)((p - (float)h) * 65536.0f);
    }
    for (int l = 0; l < RPU_GROUP; l++) {
        minus |= (rpu_float_to_bits(v[l]) >> 31) << l;
        none |= (uint32_t)((high[l] | low[l]) == 0) << l;
    }
#endif
    *negative = (uint16_t)minus;
    *possible = (uint16_t)~none;
}

/* Probabilities have the 24 bits of a float32, so both parts are exact. `high` and `low` are written in whole groups. */
static void thresholds(const float *v, int64_t n, float scale, uint32_t *high, uint32_t *low, uint16_t *negative,
                       uint16_t *possible)
{
    scale = scale < 1e38f ? scale : 1e38f;      /* 0 stays 0 */
    const float top = scale < 0.0f ? 0.0f : 65536.0f;   /* not a constant to the compiler, which would make a branch of it */
    const int64_t whole = n / RPU_GROUP * RPU_GROUP;
    for (int64_t first = 0; first < whole; first += RPU_GROUP)
        group_thresholds(v + first, scale, top, high + first, low + first, negative + first / RPU_GROUP,
                         possible + first / RPU_GROUP);
    if (whole < n) {
        float padded[RPU_GROUP] = {0};
        memcpy(padded, v + whole, sizeof *v * (size_t)(n - whole));
        group_thresholds(padded, scale, top, high + whole, low + whole, negative + whole / RPU_GROUP,
                         possible + whole / RPU_GROUP);
    }
}

/* Trains of one slot: 32 bits per line, 64 lines per chunk as in normal.h. */
static void train_slot(uint64_t key, int kind, uint64_t operation, const uint32_t *high, const uint32_t *low,
                       const uint16_t *possible, int64_t n, uint16_t *fired)
{
    const rpu_stream s = rpu_stream_at(key, kind, operation, 0xFFFFFFFFu);
    const int64_t groups = RPU_GROUPS(n);
    for (int64_t first = 0; first < groups; first += RPU_CHUNK / RPU_GROUP) {
        const int64_t last = first + RPU_CHUNK / RPU_GROUP < groups ? first + RPU_CHUNK / RPU_GROUP : groups;
        uint32_t draws[RPU_CHUNK], any = 0;
        for (int64_t g = first; g < last; g++)
            any |= possible[g];
        if (any)
            rpu_ars_chunk(&s, (uint32_t)(first * RPU_GROUP / RPU_CHUNK), draws);
        for (int64_t g = first; g < last; g++) {
            const uint32_t *h = high + RPU_GROUP * g, *lo = low + RPU_GROUP * g;
            uint32_t bits = 0;
            if (possible[g]) {
                const uint32_t *draw = draws + RPU_GROUP * (g - first);
#if defined(RPU_USE_AVX512)
                const __m512i word = _mm512_loadu_si512(draw), upper = _mm512_srli_epi32(word, 16);
                const __m512i limit = _mm512_maskz_loadu_epi32(possible[g], h);
                const __mmask16 tie = _mm512_cmpeq_epu32_mask(upper, limit);
                bits = _mm512_cmplt_epu32_mask(upper, limit) |
                       _mm512_mask_cmplt_epu32_mask(tie, _mm512_and_si512(word, _mm512_set1_epi32(0xFFFF)),
                                                    _mm512_maskz_loadu_epi32(possible[g], lo));
#elif defined(RPU_USE_AVX2)
                for (int l = 0; l < RPU_GROUP; l += 8) {
                    const __m256i word = _mm256_loadu_si256((const __m256i *)(draw + l)), upper = _mm256_srli_epi32(word, 16);
                    const __m256i limit = _mm256_loadu_si256((const __m256i *)(h + l));
                    const __m256i rest = _mm256_loadu_si256((const __m256i *)(lo + l));
                    const __m256i below = _mm256_cmpgt_epi32(limit, upper), tie = _mm256_cmpeq_epi32(limit, upper);
                    const __m256i lower = _mm256_cmpgt_epi32(rest, _mm256_and_si256(word, _mm256_set1_epi32(0xFFFF)));
                    const __m256i fire = _mm256_or_si256(below, _mm256_and_si256(tie, lower));
                    bits |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(fire)) << l;
                }
#else
                for (uint32_t m = possible[g]; m; m &= m - 1) {
                    const int l = rpu_lowest_bit(m);
                    const uint32_t upper = draw[l] >> 16;
                    bits |= (uint32_t)((upper < h[l]) | ((upper == h[l]) & ((draw[l] & 0xFFFFu) < lo[l]))) << l;
                }
#endif
            }
            fired[g] = (uint16_t)(bits & possible[g]);
        }
    }
}

/* Which of the 8 slots of a block fire, and which tie with the upper 16 bits of the threshold. */
static inline void block_slots(const uint32_t *words, uint32_t high, uint32_t *fired, uint32_t *ties)
{
#if defined(RPU_USE_AVX2) || defined(RPU_USE_AVX512)
    const __m256i draw = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)words)), limit = _mm256_set1_epi32((int)high);
    *fired = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, draw)));
    *ties = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(limit, draw)));
#else
    *fired = *ties = 0;
    for (int slot = 0; slot < 8; slot++) {
        const uint32_t draw = words[slot / 2] >> 16 * (slot % 2) & 0xFFFFu;
        *fired |= (uint32_t)(draw < high) << slot;
        *ties |= (uint32_t)(draw == high) << slot;
    }
#endif
}

/* A slot fires where 32 random bits are below the threshold. The first 16 decide unless they tie with the threshold's
 * (one slot in 65536); a tie draws 16 more, so that 8 slots cost one counter and the law is exact to 2^-32. */
static void train_bits(uint64_t key, int kind, uint64_t operation, const uint32_t *high, const uint32_t *low,
                       const int32_t *line, int64_t lines, int32_t bl, int32_t words, uint32_t *bits)
{
    const int32_t blocks = (bl + 7) / 8;
    rpu_stream s = rpu_stream_at(key, kind, operation, 0);
    for (int64_t first = 0; first < lines; first += RPU_COUNTERS) {
        const int n = lines - first < RPU_COUNTERS ? (int)(lines - first) : RPU_COUNTERS;
        uint32_t position[RPU_COUNTERS] = {0}, draws[RPU_CHUNK];
        for (int l = 0; l < n; l++)
            position[l] = (uint32_t)line[first + l];
        for (int32_t word = 0; word < words; word++) {
            const int32_t slots = bl - 32 * word;
            const uint32_t used = slots >= 32 ? 0xFFFFFFFFu : (1u << slots) - 1u;
            uint32_t fired[RPU_COUNTERS] = {0}, ties[RPU_COUNTERS] = {0};
            for (int32_t block = 4 * word; block < blocks && block < 4 * word + 4; block++) {
                rpu_stream_line(&s, (uint32_t)block);
                rpu_ars_at(&s, position, draws);
                for (int l = 0; l < n; l++) {
                    uint32_t fire, tie;
                    block_slots(draws + 4 * l, high[position[l]], &fire, &tie);
                    fired[l] |= fire << 8 * (block & 3);
                    ties[l] |= tie << 8 * (block & 3);
                }
            }
            for (int l = 0; l < n; l++) {
                for (uint32_t m = ties[l] & used; m; m &= m - 1) {
                    const int slot = rpu_lowest_bit(m);
                    rpu_stream_line(&s, 0x80000000u | (uint32_t)(32 * word + slot));
                    rpu_ars_at(&s, position, draws);
                    if ((draws[4 * l] & 0xFFFFu) < low[position[l]])
                        fired[l] |= 1u << slot;
                }
                bits[(first + l) * words + word] = fired[l] & used;
            }
        }
    }
}

#endif
