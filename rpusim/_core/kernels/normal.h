/* Standard normals by Box and Muller (1958), exact in law to float32: the radius uses 31 bits of its uniform (tail to
 * 6.66 sigma); the angle is a random quadrant (two signs) and 30 bits within it; polynomials are accurate to 3e-8 (own
 * minimax fits in float64; tests compare with float64 functions).
 * Decided against a ziggurat or a table: both branch or look up per draw, which vector registers do badly. The angle is
 * taken from the middle of its quadrant, so that sine and cosine need one short polynomial each and no swap, and the
 * logarithm comes with its factor -2: a third fewer operations than a general log and sincos (measured: 2.0 to 1.4 ns
 * per normal with AVX-512). Polynomials are split in halves (Estrin), not nested: the latency of the chain, not the number
 * of operations, was the limit (measured: 0.87 to 0.65 ns with AVX2). */
#ifndef RPU_NORMAL_H
#define RPU_NORMAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "ars.h"
#include "portable.h"
#include "stream.h"

static inline float rpu_bits_to_float(uint32_t i) { float f; memcpy(&f, &i, 4); return f; }
static inline uint32_t rpu_float_to_bits(float f) { uint32_t i; memcpy(&i, &f, 4); return i; }

/* a b + c, rounded once where the processor has the instruction. Everything else is rounded as IEEE 754 says, so the sets
 * that have it give the same bits as each other; without it (x86-64 before 2013) results differ by rounding. */
#if defined(RPU_USE_AVX512) || defined(RPU_USE_AVX2) || defined(__ARM_FEATURE_FMA)
#define RPU_FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define RPU_FMA(a, b, c) ((a) * (b) + (c))
#endif

/* Bits of x where `keep`, else 0. */
static RPU_INLINE float rpu_where(int keep, float x)
{
    return rpu_bits_to_float(rpu_float_to_bits(x) & (0u - (uint32_t)keep));
}

/* -2 ln(u) of u = (m + 1/2) / 2^31 with m the upper 31 bits (converting 32 unsigned bits takes AVX2 six operations, 31 bits
 * one): with u = 2^e (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), -2 ln(1 + f) = -2 f + f^2 R(f). */
static RPU_INLINE float rpu_minus_2_log(uint32_t bits)
{
    const uint32_t k = rpu_float_to_bits((float)(int32_t)(bits >> 1) + 0.5f) - 0x3F3504F3u;  /* borrows below sqrt(1/2) */
    const float e = (float)((int32_t)(k - (31u << 23)) >> 23);
    const float f = rpu_bits_to_float((k & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
    const float ff = f * f;
    const float r01 = RPU_FMA(f, -6.66679025e-1f, 9.99999821e-1f), r23 = RPU_FMA(f, -3.99241447e-1f, 5.00035107e-1f);
    const float r45 = RPU_FMA(f, -2.98359483e-1f, 3.31410170e-1f), r67 = RPU_FMA(f, -1.74696863e-1f, 2.86150426e-1f);
    const float r = RPU_FMA(ff * ff, RPU_FMA(ff, r67, r45), RPU_FMA(ff, r23, r01));
    return RPU_FMA(e, -1.38629436f, RPU_FMA(ff, r, -2.0f * f));
}

/* 2^y for y <= 126; below -126 it is 2^-126. Accurate to 2e-7 (own fit). */
static RPU_INLINE float rpu_exp2(float y)
{
    y = y > -126.0f ? y : -126.0f;
    const float shifted = y + 12582912.0f, f = y - (shifted - 12582912.0f);     /* 1.5 2^23: rounds to an integer */
    const uint32_t scale = (rpu_float_to_bits(shifted) + 127u) << 23;
    const float ff = f * f;
    const float c01 = RPU_FMA(f, 6.931471825e-1f, 1.000000119f), c23 = RPU_FMA(f, 5.550356954e-2f, 2.402210683e-1f);
    const float c45 = RPU_FMA(f, 1.339086331e-3f, 9.676031768e-3f);
    return RPU_FMA(ff * ff, c45, RPU_FMA(ff, c23, c01)) * rpu_bits_to_float(scale);
}

/* x^g for 0 <= x <= 1 and g >= 0, relative to 2e-7 (1 + g); 0 where x is 0 or below, or not a number. The logarithm is as
 * above, to base 2 and one degree lower: a step needs no more. */
static RPU_INLINE float rpu_pow(float x, float g)
{
    const uint32_t k = rpu_float_to_bits(x) - 0x3F3504F3u;
    const float e = (float)((int32_t)k >> 23), f = rpu_bits_to_float((k & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
    const float ff = f * f;
    const float c01 = RPU_FMA(f, -7.213758278e-1f, 1.442699697f), c23 = RPU_FMA(f, -3.589632212e-1f, 4.804662242e-1f);
    const float c456 = RPU_FMA(ff, 1.706569794e-1f, RPU_FMA(f, -2.726864558e-1f, 2.972508137e-1f));
    const float log2 = RPU_FMA(f, RPU_FMA(ff * ff, c456, RPU_FMA(ff, c23, c01)), e);
    return rpu_where(x > 0.0f, rpu_exp2(g * log2));
}

/* Two independent normals from the square of their radius and a word. */
static RPU_INLINE void rpu_normal_pair(float square, uint32_t b, float *z0, float *z1)
{
    const float t = (float)(int32_t)(b << 2) * 0x1p-31f;            /* psi = t pi/4, phi = pi/4 + psi in the quadrant */
    const float tt = t * t, t4 = tt * tt, radius = sqrtf(square);
    const float s = t * RPU_FMA(t4, RPU_FMA(tt, -2.53690528e-5f, 1.76060535e-3f),
                                RPU_FMA(tt, -5.70955967e-2f, 5.55360360e-1f));
    const float c = RPU_FMA(t4, RPU_FMA(tt, -2.25482669e-4f, 1.12075827e-2f),
                            RPU_FMA(tt, -2.18088881e-1f, 7.07106762e-1f));
    /* cos phi = c - s, sin phi = c + s, both positive; the two top bits of b are their signs */
    *z0 = rpu_bits_to_float(rpu_float_to_bits(radius * (c - s)) ^ (b & 0x80000000u));
    *z1 = rpu_bits_to_float(rpu_float_to_bits(radius * (c + s)) ^ (b << 1 & 0x80000000u));
}

/* Chunk `chunk` of a stream: 64 normals. Draw i comes from word i of the chunk; those of a pair are 16 apart, the square of
 * the radius from the first, the angle from the second. Logarithms first, then the rest: shorter chains, of which more are in
 * flight at once. */
#define RPU_PAIRS 16
static inline void rpu_normal_chunk(const rpu_stream *s, uint32_t chunk, float *restrict z)
{
    uint32_t words[RPU_CHUNK];
    float square[RPU_CHUNK / 2];
    rpu_ars_chunk(s, chunk, words);
    for (int first = 0; first < RPU_CHUNK; first += 2 * RPU_PAIRS) {
        RPU_SIMD
        for (int l = 0; l < RPU_PAIRS; l++)
            square[first / 2 + l] = rpu_minus_2_log(words[first + l]);
    }
    for (int first = 0; first < RPU_CHUNK; first += 2 * RPU_PAIRS) {
        RPU_SIMD
        for (int l = 0; l < RPU_PAIRS; l++)
            rpu_normal_pair(square[first / 2 + l], words[first + RPU_PAIRS + l], &z[first + l], &z[first + RPU_PAIRS + l]);
    }
}

/* Chunk `chunk` of a stream: 64 uniforms in (0, 1]. */
static inline void rpu_uniform_chunk(const rpu_stream *s, uint32_t chunk, float *restrict u)
{
    uint32_t words[RPU_CHUNK];
    rpu_ars_chunk(s, chunk, words);
    RPU_SIMD
    for (int l = 0; l < RPU_CHUNK; l++)
        u[l] = rpu_uniform(words[l]);
}

#endif
