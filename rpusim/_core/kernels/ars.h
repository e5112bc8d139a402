/* Counter-based random streams: ARS-5 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"), five
 * rounds of the Advanced Encryption Standard (FIPS 197) on a 128-bit counter, with keys that grow by a constant. Five are the
 * fewest with which it passes BigCrush (table 2 there).
 *
 * Decided: every draw of the engine is a pure function of (key of the array, kind of draw, operation number, line,
 * position), so that threads, batch splits and instruction sets cannot change it, and the whole random state of an
 * array is its key and its operation counters. All sets draw the same words (of little-endian processors).
 * ARS-5 and not Philox4x32-7 of the same paper, which multiplies: processors have an instruction for a round (x86-64 since
 * 2010, arm64 almost always), and noise was half of a pulse (measured per word with AVX2: Philox 0.60 ns, one block per
 * instruction 0.30 ns, two blocks 0.15 ns). Without such instructions it goes by a table, at about 5 ns. */
#ifndef RPU_ARS_H
#define RPU_ARS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "portable.h"
#include "stream.h"

/* rpu_aes holds RPU_AES_BLOCKS blocks of 16 bytes; rpu_aes_round(v, k) is a round and the addition of the next key, and
 * rpu_aes_last the same without mixing of columns; rpu_aes_add adds 64 bits by 64 bits, as keys grow. rpu_aes_at(c, p):
 * counters c with positions p[0], p[1], ...; and rpu_aes_with(c, t) with those of a train t, which goes on by rpu_aes_on from
 * rpu_aes_from(p): p, p + 1, ... (measured: positions by way of memory cost a fifth of a word, and made one by one a
 * fourteenth of a normal). */
#if defined(RPU_USE_AVX512)
#define RPU_AES_BLOCKS 4
typedef __m512i rpu_aes;
static inline rpu_aes rpu_aes_spread(const void *block) { return _mm512_broadcast_i32x4(_mm_loadu_si128(block)); }
static inline rpu_aes rpu_aes_at(rpu_aes c, const uint32_t *p) { return _mm512_mask_expandloadu_epi32(c, 0x1111, p); }
typedef __m512i rpu_aes_train;
static inline rpu_aes_train rpu_aes_from(uint32_t p)
{
    const __m512i steps = _mm512_maskz_expand_epi32(0x1111, _mm512_setr_epi32(0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    return _mm512_add_epi32(_mm512_set1_epi32((int)p), steps);
}
static inline rpu_aes_train rpu_aes_on(rpu_aes_train t) { return _mm512_add_epi32(t, _mm512_set1_epi32(4)); }
static inline rpu_aes rpu_aes_with(rpu_aes c, rpu_aes_train t) { return _mm512_mask_mov_epi32(c, 0x1111, t); }
static inline rpu_aes rpu_aes_xor(rpu_aes a, rpu_aes b) { return _mm512_xor_si512(a, b); }
static inline rpu_aes rpu_aes_add(rpu_aes a, rpu_aes b) { return _mm512_add_epi64(a, b); }
static inline rpu_aes rpu_aes_round(rpu_aes v, rpu_aes k) { return _mm512_aesenc_epi128(v, k); }
static inline rpu_aes rpu_aes_last(rpu_aes v, rpu_aes k) { return _mm512_aesenclast_epi128(v, k); }
static inline void rpu_aes_store(uint32_t *out, rpu_aes v) { _mm512_storeu_si512(out, v); }
#elif defined(RPU_USE_VAES)
#define RPU_AES_BLOCKS 2
typedef __m256i rpu_aes;
static inline rpu_aes rpu_aes_spread(const void *block) { return _mm256_broadcastsi128_si256(_mm_loadu_si128(block)); }
static inline rpu_aes rpu_aes_at(rpu_aes c, const uint32_t *p)
{
    const __m256i both = _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)p));
    return _mm256_blend_epi32(c, _mm256_permutevar8x32_epi32(both, _mm256_setr_epi32(0, 0, 0, 0, 1, 0, 0, 0)), 0x11);
}
typedef __m256i rpu_aes_train;
static inline rpu_aes_train rpu_aes_from(uint32_t p)
{
    return _mm256_add_epi32(_mm256_set1_epi32((int)p), _mm256_setr_epi32(0, 0, 0, 0, 1, 0, 0, 0));
}
static inline rpu_aes_train rpu_aes_on(rpu_aes_train t) { return _mm256_add_epi32(t, _mm256_set1_epi32(2)); }
static inline rpu_aes rpu_aes_with(rpu_aes c, rpu_aes_train t) { return _mm256_blend_epi32(c, t, 0x11); }
static inline rpu_aes rpu_aes_xor(rpu_aes a, rpu_aes b) { return _mm256_xor_si256(a, b); }
static inline rpu_aes rpu_aes_add(rpu_aes a, rpu_aes b) { return _mm256_add_epi64(a, b); }
static inline rpu_aes rpu_aes_round(rpu_aes v, rpu_aes k) { return _mm256_aesenc_epi128(v, k); }
static inline rpu_aes rpu_aes_last(rpu_aes v, rpu_aes k) { return _mm256_aesenclast_epi128(v, k); }
static inline void rpu_aes_store(uint32_t *out, rpu_aes v) { _mm256_storeu_si256((__m256i *)out, v); }
#elif defined(RPU_USE_AVX2)
#define RPU_AES_BLOCKS 1
typedef __m128i rpu_aes;
static inline rpu_aes rpu_aes_spread(const void *block) { return _mm_loadu_si128(block); }
static inline rpu_aes rpu_aes_at(rpu_aes c, const uint32_t *p) { return _mm_insert_epi32(c, (int)*p, 0); }
static inline rpu_aes rpu_aes_xor(rpu_aes a, rpu_aes b) { return _mm_xor_si128(a, b); }
static inline rpu_aes rpu_aes_add(rpu_aes a, rpu_aes b) { return _mm_add_epi64(a, b); }
static inline rpu_aes rpu_aes_round(rpu_aes v, rpu_aes k) { return _mm_aesenc_si128(v, k); }
static inline rpu_aes rpu_aes_last(rpu_aes v, rpu_aes k) { return _mm_aesenclast_si128(v, k); }
static inline void rpu_aes_store(uint32_t *out, rpu_aes v) { _mm_storeu_si128((__m128i *)out, v); }
#elif defined(RPU_USE_NEON_AES)
#define RPU_AES_BLOCKS 1
typedef uint8x16_t rpu_aes;
static inline rpu_aes rpu_aes_spread(const void *block) { return vld1q_u8((const uint8_t *)block); }
static inline rpu_aes rpu_aes_at(rpu_aes c, const uint32_t *p)
{
    return vreinterpretq_u8_u32(vsetq_lane_u32(*p, vreinterpretq_u32_u8(c), 0));
}
static inline rpu_aes rpu_aes_xor(rpu_aes a, rpu_aes b) { return veorq_u8(a, b); }
static inline rpu_aes rpu_aes_add(rpu_aes a, rpu_aes b)
{
    return vreinterpretq_u8_u64(vaddq_u64(vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)));
}
static inline rpu_aes rpu_aes_round(rpu_aes v, rpu_aes k) { return veorq_u8(vaesmcq_u8(vaeseq_u8(v, vdupq_n_u8(0))), k); }
static inline rpu_aes rpu_aes_last(rpu_aes v, rpu_aes k) { return veorq_u8(vaeseq_u8(v, vdupq_n_u8(0)), k); }
static inline void rpu_aes_store(uint32_t *out, rpu_aes v) { vst1q_u8((uint8_t *)out, v); }
#else
#define RPU_AES_BLOCKS 1
typedef struct { uint32_t column[4]; } rpu_aes;     /* byte 0 of a column is the lowest of its word */
extern uint32_t rpu_aes_table[256];     /* of byte s: its substitute S as the column (2 S, S, S, 3 S) that it mixes into */
static inline uint32_t rpu_rotated(uint32_t x, int bits) { return x << bits | x >> (-bits & 31); }
static inline rpu_aes rpu_aes_spread(const void *block) { rpu_aes v; memcpy(&v, block, sizeof v); return v; }
static inline rpu_aes rpu_aes_at(rpu_aes c, const uint32_t *p) { c.column[0] = *p; return c; }
static inline rpu_aes rpu_aes_xor(rpu_aes a, rpu_aes b)
{
    for (int j = 0; j < 4; j++)
        a.column[j] ^= b.column[j];
    return a;
}
static inline rpu_aes rpu_aes_add(rpu_aes a, rpu_aes b)
{
    for (int j = 0; j < 4; j += 2) {
        uint64_t sum = ((uint64_t)a.column[j + 1] << 32 | a.column[j]) + ((uint64_t)b.column[j + 1] << 32 | b.column[j]);
        a.column[j] = (uint32_t)sum;
        a.column[j + 1] = (uint32_t)(sum >> 32);
    }
    return a;
}
static inline rpu_aes rpu_aes_round(rpu_aes v, rpu_aes k)
{
    for (int j = 0; j < 4; j++)     /* row r comes from r columns further on */
        for (int r = 0; r < 4; r++)
            k.column[j] ^= rpu_rotated(rpu_aes_table[v.column[(j + r) % 4] >> 8 * r & 0xFF], 8 * r);
    return k;
}
static inline rpu_aes rpu_aes_last(rpu_aes v, rpu_aes k)
{
    for (int j = 0; j < 4; j++)
        for (int r = 0; r < 4; r++)
            k.column[j] ^= (rpu_aes_table[v.column[(j + r) % 4] >> 8 * r & 0xFF] >> 8 & 0xFF) << 8 * r;
    return k;
}
static inline void rpu_aes_store(uint32_t *out, rpu_aes v) { memcpy(out, &v, sizeof v); }
#endif

#if RPU_AES_BLOCKS == 1
typedef uint32_t rpu_aes_train;
static inline rpu_aes_train rpu_aes_from(uint32_t p) { return p; }
static inline rpu_aes_train rpu_aes_on(rpu_aes_train t) { return t + 1; }
static inline rpu_aes rpu_aes_with(rpu_aes c, rpu_aes_train t) { return rpu_aes_at(c, &t); }
#endif

/* The words of `registers` times RPU_AES_BLOCKS positions: given ones, or (NULL) those from `first` on. */
static inline void rpu_ars_group(const rpu_stream *s, const uint32_t *position, uint32_t first, uint32_t *out, int registers)
{
    static const uint64_t grows[2] = {0x9E3779B97F4A7C15u, 0xBB67AE8584CAA73Bu};
    rpu_aes v[RPU_COUNTERS / RPU_AES_BLOCKS], key = rpu_aes_spread(s->key);
    const rpu_aes counter = rpu_aes_spread(s->counter), growth = rpu_aes_spread(grows);
    rpu_aes_train train = rpu_aes_from(first);
    for (int b = 0; b < registers; b++, train = rpu_aes_on(train)) {
        v[b] = position ? rpu_aes_at(counter, position + RPU_AES_BLOCKS * b) : rpu_aes_with(counter, train);
        v[b] = rpu_aes_xor(v[b], key);
    }
    for (int round = 1; round < RPU_ROUNDS; round++) {
        key = rpu_aes_add(key, growth);
        for (int b = 0; b < registers; b++)
            v[b] = rpu_aes_round(v[b], key);
    }
    key = rpu_aes_add(key, growth);
    for (int b = 0; b < registers; b++)
        rpu_aes_store(out + 4 * RPU_AES_BLOCKS * b, rpu_aes_last(v[b], key));
}

#define RPU_AES_REGISTERS (RPU_AES_BLOCKS == 1 ? 8 : RPU_COUNTERS / RPU_AES_BLOCKS)     /* in flight at once: there are 16 */

/* The words of 16 positions: out[4 l + w] is word w of position[l]. */
static inline void rpu_ars_at(const rpu_stream *s, const uint32_t *position, uint32_t *out)
{
    for (int l = 0; l < RPU_COUNTERS; l += RPU_AES_REGISTERS * RPU_AES_BLOCKS)
        rpu_ars_group(s, position + l, 0, out + 4 * l, RPU_AES_REGISTERS);
}

/* The words of chunk `chunk`: those of the 16 positions from 16 chunk. */
static inline void rpu_ars_chunk(const rpu_stream *s, uint32_t chunk, uint32_t *out)
{
    for (uint32_t l = 0; l < RPU_COUNTERS; l += RPU_AES_REGISTERS * RPU_AES_BLOCKS)
        rpu_ars_group(s, NULL, chunk * RPU_COUNTERS + l, out + 4 * l, RPU_AES_REGISTERS);
}

/* A uniform number in (0, 1]: all 32 bits count near 0, float32 rounding elsewhere; never 0. */
static inline float rpu_uniform(uint32_t bits)
{
    return (float)bits * 0x1p-32f + 0x1p-33f;
}

#endif
