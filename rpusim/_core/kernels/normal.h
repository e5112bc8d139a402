/* Standard normals by Box and Muller (1958), exact in law to float32: the radius uses all 32 bits of its uniform
 * (tail to 6.76 sigma), the angle is reduced in integers, and log, sin and cos are polynomials accurate to 1-2 units in
 * the last place (coefficients: own least-squares minimax fits in float64; tests compare with float64 functions).
 * Decided against a ziggurat or a table: both branch or look up per draw, which vector registers do badly. */
#ifndef RPU_NORMAL_H
#define RPU_NORMAL_H

#include <math.h>
#include <string.h>
#include "philox.h"

#define RPU_LOG_P0 3.33333135e-1f
#define RPU_LOG_P1 -2.50000089e-1f
#define RPU_LOG_P2 2.00021192e-1f
#define RPU_LOG_P3 -1.66679963e-1f
#define RPU_LOG_P4 1.42195523e-1f
#define RPU_LOG_P5 -1.24055892e-1f
#define RPU_LOG_P6 1.18881628e-1f
#define RPU_LOG_P7 -1.16756514e-1f
#define RPU_LOG_P8 6.74663857e-2f
#define RPU_SIN_1 -1.66666552e-1f
#define RPU_SIN_2 8.33216030e-3f
#define RPU_SIN_3 -1.95152825e-4f
#define RPU_COS_2 4.16666456e-2f
#define RPU_COS_3 -1.38873165e-3f
#define RPU_COS_4 2.44331568e-5f
#define RPU_ANGLE_UNIT 1.46291808e-9f  /* 2 pi / 2^32 */

static inline float rpu_bits_to_float(uint32_t i) { float f; memcpy(&f, &i, 4); return f; }
static inline uint32_t rpu_float_to_bits(float f) { uint32_t i; memcpy(&i, &f, 4); return i; }

/* ln(u) for normal positive u: u = 2^e m with m in [sqrt(1/2), sqrt(2)), ln m = f - f^2/2 + f^3 P(f), f = m - 1. */
static inline float rpu_log(float u)
{
    const uint32_t bits = rpu_float_to_bits(u) - 0x3F3504F3u;       /* exponent borrows so that m >= sqrt(1/2) */
    const float e = (float)((int32_t)bits >> 23);
    const float f = rpu_bits_to_float((bits & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
    float p = RPU_LOG_P8;
    p = p * f + RPU_LOG_P7;
    p = p * f + RPU_LOG_P6;
    p = p * f + RPU_LOG_P5;
    p = p * f + RPU_LOG_P4;
    p = p * f + RPU_LOG_P3;
    p = p * f + RPU_LOG_P2;
    p = p * f + RPU_LOG_P1;
    p = p * f + RPU_LOG_P0;
    const float ff = f * f;
    const float low = p * f * ff + e * -2.12194440e-4f - 0.5f * ff;  /* ln 2 = 0.693359375 - 2.12194440e-4 */
    return e * 0.693359375f + (f + low);
}

/* Two independent normals from two words. */
static inline void rpu_normal_pair(uint32_t a, uint32_t b, float *z0, float *z1)
{
    const float radius = sqrtf(-2.0f * rpu_log(rpu_uniform(a)));
    const uint32_t quadrant = (b + 0x20000000u) >> 30;              /* nearest multiple of pi/2 */
    const float t = (float)(int32_t)(b - (quadrant << 30)) * RPU_ANGLE_UNIT;  /* in [-pi/4, pi/4) */
    const float tt = t * t;
    const float s = t + t * tt * (RPU_SIN_1 + tt * (RPU_SIN_2 + tt * RPU_SIN_3));
    const float c = 1.0f - 0.5f * tt + tt * tt * (RPU_COS_2 + tt * (RPU_COS_3 + tt * RPU_COS_4));
    const float x = (quadrant & 1u) ? s : c;
    const float y = (quadrant & 1u) ? c : s;
    /* cos is negative in quadrants 1 and 2, sin in 2 and 3: flip signs by their bit. */
    *z0 = radius * rpu_bits_to_float(rpu_float_to_bits(x) ^ (((quadrant + 1u) & 2u) << 30));
    *z1 = radius * rpu_bits_to_float(rpu_float_to_bits(y) ^ ((quadrant & 2u) << 30));
}

/* Chunk `chunk` of a stream: 64 normals. Draw 16 w + l comes from word w of counter 16 chunk + l. */
static inline void rpu_normal_chunk(rpu_stream s, uint32_t chunk, float *restrict z)
{
    uint32_t words[4][RPU_LANES];
    rpu_philox_chunk(s, chunk, words);
    for (int w = 0; w < 4; w += 2) {
        RPU_SIMD
        for (int l = 0; l < RPU_LANES; l++)
            rpu_normal_pair(words[w][l], words[w + 1][l], &z[w * RPU_LANES + l], &z[(w + 1) * RPU_LANES + l]);
    }
}

/* Chunk `chunk` of a stream: 64 uniforms in (0, 1]. */
static inline void rpu_uniform_chunk(rpu_stream s, uint32_t chunk, float *restrict u)
{
    uint32_t words[4][RPU_LANES];
    rpu_philox_chunk(s, chunk, words);
    for (int w = 0; w < 4; w++) {
        RPU_SIMD
        for (int l = 0; l < RPU_LANES; l++)
            u[w * RPU_LANES + l] = rpu_uniform(words[w][l]);
    }
}

#endif
