/* Counter-based random streams: Philox4x32-7 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as
 * 1, 2, 3"), a keyed bijection of 128-bit counters. Seven rounds are the fewest with which it passes BigCrush (table 2
 * there); the ten that are common elsewhere cost 1.4 times as much and are the larger half of a normal.
 *
 * Decided: every draw of the engine is a pure function of (key of the array, kind of draw, operation number, line,
 * position), so that threads, batch splits and instruction sets cannot change it, and the whole random state of an
 * array is its key and its operation counters. Work is done on 16 lanes at once, so that every instruction set fills its
 * registers; all sets draw the same words. */
#ifndef RPU_PHILOX_H
#define RPU_PHILOX_H

#include "stream.h"
#if defined(RPU_USE_AVX512) || defined(RPU_USE_AVX2)
#include <immintrin.h>
#elif defined(__SSE2__)
#define RPU_USE_SSE2
#include <emmintrin.h>
#endif

typedef struct { uint32_t v[4]; } rpu_words;

static inline rpu_words rpu_philox(const rpu_stream *s, uint32_t position)
{
    uint32_t c0 = position, c1 = s->line, c2 = s->op_low, c3 = s->op_high;
    for (int round = 0; round < RPU_ROUNDS; round++) {
        const uint32_t hi0 = (uint32_t)(((uint64_t)c0 * RPU_PHILOX_0) >> 32), lo0 = c0 * RPU_PHILOX_0;
        const uint32_t hi1 = (uint32_t)(((uint64_t)c2 * RPU_PHILOX_1) >> 32), lo1 = c2 * RPU_PHILOX_1;
        c0 = hi1 ^ c1 ^ s->key0[round];
        c2 = hi0 ^ c3 ^ s->key1[round];
        c1 = lo1;
        c3 = lo0;
    }
    rpu_words out = {{c0, c1, c2, c3}};
    return out;
}

/* The same for 16 positions at once; out[w][l] is word w of position[l]. Written with the widening multiply of each
 * instruction set because compilers use a full 64-bit product instead (measured: 1.9 ns per word against 0.6 with
 * AVX-512): even and odd positions go into separate registers of 64-bit lanes whose upper halves may hold anything,
 * since the multiply reads only the lower ones. */
#if defined(RPU_USE_AVX512)
#define RPU_V64 __m512i
#define RPU_V64_LANES 8
#define RPU_V64_LOAD(p) _mm512_loadu_si512(p)
#define RPU_V64_STORE(p, v) _mm512_storeu_si512(p, v)
#define RPU_V64_SET(c) _mm512_set1_epi32((int)(c))
#define RPU_V64_MUL(a, b) _mm512_mul_epu32(a, b)
#define RPU_V64_XOR(a, b) _mm512_xor_si512(a, b)
#define RPU_V64_UPPER(a) _mm512_shuffle_epi32(a, _MM_PERM_DDBB)
#define RPU_V64_XOR3(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define RPU_V64_MERGE(even, odd) _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA)
#elif defined(RPU_USE_AVX2)
#define RPU_V64 __m256i
#define RPU_V64_LANES 4
#define RPU_V64_LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define RPU_V64_STORE(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define RPU_V64_SET(c) _mm256_set1_epi32((int)(c))
#define RPU_V64_MUL(a, b) _mm256_mul_epu32(a, b)
#define RPU_V64_XOR(a, b) _mm256_xor_si256(a, b)
#define RPU_V64_UPPER(a) _mm256_shuffle_epi32(a, 0xF5)
#define RPU_V64_XOR3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define RPU_V64_MERGE(even, odd) _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA)
#elif defined(RPU_USE_SSE2)
#define RPU_V64 __m128i
#define RPU_V64_LANES 2
#define RPU_V64_LOAD(p) _mm_loadu_si128((const __m128i *)(p))
#define RPU_V64_STORE(p, v) _mm_storeu_si128((__m128i *)(p), v)
#define RPU_V64_SET(c) _mm_set1_epi32((int)(c))
#define RPU_V64_MUL(a, b) _mm_mul_epu32(a, b)
#define RPU_V64_XOR(a, b) _mm_xor_si128(a, b)
#define RPU_V64_UPPER(a) _mm_shuffle_epi32(a, 0xF5)
#define RPU_V64_XOR3(a, b, c) _mm_xor_si128(_mm_xor_si128(a, b), c)
#define RPU_V64_MERGE(even, odd) \
    _mm_or_si128(_mm_and_si128(even, _mm_set1_epi64x(0xFFFFFFFF)), _mm_slli_epi64(odd, 32))
#endif

static inline void rpu_philox_lanes(const rpu_stream *s, const uint32_t *position, uint32_t (*out)[RPU_LANES])
{
#ifdef RPU_V64
    const RPU_V64 m0 = RPU_V64_SET(RPU_PHILOX_0), m1 = RPU_V64_SET(RPU_PHILOX_1);
    for (int l = 0; l < RPU_LANES; l += 2 * RPU_V64_LANES) {
        RPU_V64 c0[2], c1[2], c2[2], c3[2];
        c0[0] = RPU_V64_LOAD(position + l);
        c0[1] = RPU_V64_UPPER(c0[0]);
        for (int h = 0; h < 2; h++) {       /* rounds 0 and 1, of which half is in `head` */
            const RPU_V64 p0 = RPU_V64_MUL(c0[h], m0);
            const RPU_V64 p1 = RPU_V64_MUL(RPU_V64_XOR(RPU_V64_UPPER(p0), RPU_V64_SET(s->head[0])), m1);
            c0[h] = RPU_V64_XOR(RPU_V64_UPPER(p1), RPU_V64_SET(s->head[1]));
            c2[h] = RPU_V64_XOR(p0, RPU_V64_SET(s->head[2]));
            c1[h] = p1;
            c3[h] = RPU_V64_SET(s->head[3]);
        }
        for (int round = 2; round < RPU_ROUNDS; round++) {
            const RPU_V64 key0 = RPU_V64_SET(s->key0[round]), key1 = RPU_V64_SET(s->key1[round]);
            for (int h = 0; h < 2; h++) {
                const RPU_V64 p0 = RPU_V64_MUL(c0[h], m0), p1 = RPU_V64_MUL(c2[h], m1);
                c0[h] = RPU_V64_XOR3(RPU_V64_UPPER(p1), c1[h], key0);
                c2[h] = RPU_V64_XOR3(RPU_V64_UPPER(p0), c3[h], key1);
                c1[h] = p1;
                c3[h] = p0;
            }
        }
        RPU_V64_STORE(out[0] + l, RPU_V64_MERGE(c0[0], c0[1]));
        RPU_V64_STORE(out[1] + l, RPU_V64_MERGE(c1[0], c1[1]));
        RPU_V64_STORE(out[2] + l, RPU_V64_MERGE(c2[0], c2[1]));
        RPU_V64_STORE(out[3] + l, RPU_V64_MERGE(c3[0], c3[1]));
    }
#else
    for (int l = 0; l < RPU_LANES; l++) {
        const rpu_words r = rpu_philox(s, position[l]);
        for (int w = 0; w < 4; w++)
            out[w][l] = r.v[w];
    }
#endif
}

/* Consecutive positions, from 16 * chunk. */
static inline void rpu_philox_chunk(const rpu_stream *s, uint32_t chunk, uint32_t (*out)[RPU_LANES])
{
    uint32_t position[RPU_LANES];
    for (uint32_t l = 0; l < RPU_LANES; l++)
        position[l] = chunk * RPU_LANES + l;
    rpu_philox_lanes(s, position, out);
}

/* A uniform number in (0, 1]: all 32 bits count near 0, float32 rounding elsewhere; never 0. */
static inline float rpu_uniform(uint32_t bits)
{
    return (float)bits * 0x1p-32f + 0x1p-33f;
}

#endif
