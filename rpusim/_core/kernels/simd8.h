/* Eight numbers at once, v8 in float64 and f8 in float32: the same operations in all sets, on as many registers as they take.
 * Sums of eight are in one order. */
#ifndef RPU_SIMD8_H
#define RPU_SIMD8_H

#include <stdint.h>
#include <string.h>

#include "portable.h"
#include "wires.h"

/* ---- float64 --------------------------------------------------------------------------------------------------------- */

#if defined(RPU_USE_AVX512)
typedef __m512d vd;
#define VD_PARTS 1
#define VD_LOAD(p) _mm512_loadu_pd(p)
#define VD_STORE(p, a) _mm512_storeu_pd(p, a)
#define VD_SET(a) _mm512_set1_pd(a)
#define VD_FMA(a, b, c) _mm512_fmadd_pd(a, b, c)
#define VD_FNMA(a, b, c) _mm512_fnmadd_pd(a, b, c)
#elif defined(RPU_USE_AVX2)
typedef __m256d vd;
#define VD_PARTS 2
#define VD_LOAD(p) _mm256_loadu_pd(p)
#define VD_STORE(p, a) _mm256_storeu_pd(p, a)
#define VD_SET(a) _mm256_set1_pd(a)
#define VD_FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define VD_FNMA(a, b, c) _mm256_fnmadd_pd(a, b, c)
#else
typedef double vd;
#define VD_PARTS 8
#define VD_LOAD(p) (*(p))
#define VD_STORE(p, a) (*(p) = (a))
#define VD_SET(a) (a)
#if defined(__ARM_FEATURE_FMA)
#define VD_FMA(a, b, c) __builtin_fma(a, b, c)
#define VD_FNMA(a, b, c) __builtin_fma(-(a), b, c)
#else
#define VD_FMA(a, b, c) ((a) * (b) + (c))
#define VD_FNMA(a, b, c) ((c) - (a) * (b))
#endif
#endif
#define VD_WIDTH (RPU_STRIP / VD_PARTS)

typedef struct { vd part[VD_PARTS]; } v8;

#define V8_EACH(expression) v8 out; for (int k = 0; k < VD_PARTS; k++) out.part[k] = (expression); return out
static RPU_INLINE v8 v8_load(const double *p) { V8_EACH(VD_LOAD(p + k * VD_WIDTH)); }
static RPU_INLINE v8 v8_set(double a) { V8_EACH(VD_SET(a)); }
static RPU_INLINE v8 v8_add(v8 a, v8 b) { V8_EACH(a.part[k] + b.part[k]); }
static RPU_INLINE v8 v8_sub(v8 a, v8 b) { V8_EACH(a.part[k] - b.part[k]); }
static RPU_INLINE v8 v8_mul(v8 a, v8 b) { V8_EACH(a.part[k] * b.part[k]); }
static RPU_INLINE v8 v8_fma(v8 a, v8 b, v8 c) { V8_EACH(VD_FMA(a.part[k], b.part[k], c.part[k])); }     /* a b + c */
static RPU_INLINE v8 v8_fnma(v8 a, v8 b, v8 c) { V8_EACH(VD_FNMA(a.part[k], b.part[k], c.part[k])); }   /* c - a b */
static RPU_INLINE void v8_store(double *p, v8 a)
{
    for (int k = 0; k < VD_PARTS; k++)
        VD_STORE(p + k * VD_WIDTH, a.part[k]);
}

static RPU_INLINE double v8_sum(v8 a)
{
    double x[RPU_STRIP];
    v8_store(x, a);
    return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
}

/* Row i of 8 becomes column i. */
static RPU_INLINE void transpose8(v8 *a)
{
#if defined(RPU_USE_AVX512)
    v8 t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i].part[0] = _mm512_unpacklo_pd(a[i].part[0], a[i + 1].part[0]);
        t[i + 1].part[0] = _mm512_unpackhi_pd(a[i].part[0], a[i + 1].part[0]);
    }
    for (int odd = 0; odd < 2; odd++) {
        const vd t0 = t[odd].part[0], t2 = t[odd + 2].part[0], t4 = t[odd + 4].part[0], t6 = t[odd + 6].part[0];
        const vd s0 = _mm512_shuffle_f64x2(t0, t2, 0x88), s1 = _mm512_shuffle_f64x2(t4, t6, 0x88);
        const vd s2 = _mm512_shuffle_f64x2(t0, t2, 0xdd), s3 = _mm512_shuffle_f64x2(t4, t6, 0xdd);
        a[odd].part[0] = _mm512_shuffle_f64x2(s0, s1, 0x88);
        a[odd + 2].part[0] = _mm512_shuffle_f64x2(s2, s3, 0x88);
        a[odd + 4].part[0] = _mm512_shuffle_f64x2(s0, s1, 0xdd);
        a[odd + 6].part[0] = _mm512_shuffle_f64x2(s2, s3, 0xdd);
    }
#elif defined(RPU_USE_AVX2)
    v8 t[8];
    for (int i = 0; i < 8; i += 4)
        for (int h = 0; h < 2; h++) {
            const vd ab0 = _mm256_unpacklo_pd(a[i].part[h], a[i + 1].part[h]);
            const vd ab1 = _mm256_unpackhi_pd(a[i].part[h], a[i + 1].part[h]);
            const vd cd0 = _mm256_unpacklo_pd(a[i + 2].part[h], a[i + 3].part[h]);
            const vd cd1 = _mm256_unpackhi_pd(a[i + 2].part[h], a[i + 3].part[h]);
            t[4 * h].part[i / 4] = _mm256_permute2f128_pd(ab0, cd0, 0x20);
            t[4 * h + 1].part[i / 4] = _mm256_permute2f128_pd(ab1, cd1, 0x20);
            t[4 * h + 2].part[i / 4] = _mm256_permute2f128_pd(ab0, cd0, 0x31);
            t[4 * h + 3].part[i / 4] = _mm256_permute2f128_pd(ab1, cd1, 0x31);
        }
    memcpy(a, t, sizeof t);
#else
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++) {
            const double x = a[i].part[j];
            a[i].part[j] = a[j].part[i];
            a[j].part[i] = x;
        }
#endif
}

static RPU_INLINE void v8_load_all(v8 *a, const double *p, int64_t stride)
{
    for (int i = 0; i < 8; i++)
        a[i] = v8_load(p + i * stride);
}

static RPU_INLINE void v8_store_all(const v8 *a, double *p, int64_t stride)
{
    for (int i = 0; i < 8; i++)
        v8_store(p + i * stride, a[i]);
}

/* ---- float32 --------------------------------------------------------------------------------------------------------- */

#if defined(RPU_USE_AVX512) || defined(RPU_USE_AVX2)
typedef struct { __m256 part[1]; } f8;
#define F8_EACH(expression) f8 out; const int k = 0; out.part[k] = (expression); return out
#define F8_LOAD(p) _mm256_loadu_ps(p)
#define F8_STORE(p, a) _mm256_storeu_ps(p, a)
#define F8_SET(a) _mm256_set1_ps(a)
#define F8_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define F8_FNMA(a, b, c) _mm256_fnmadd_ps(a, b, c)
#define F8_PARTS 1
#else
typedef struct { float part[8]; } f8;
#define F8_EACH(expression) f8 out; for (int k = 0; k < 8; k++) out.part[k] = (expression); return out
#define F8_LOAD(p) (*(p))
#define F8_STORE(p, a) (*(p) = (a))
#define F8_SET(a) (a)
#if defined(__ARM_FEATURE_FMA)
#define F8_FMA(a, b, c) __builtin_fmaf(a, b, c)
#define F8_FNMA(a, b, c) __builtin_fmaf(-(a), b, c)
#else
#define F8_FMA(a, b, c) ((a) * (b) + (c))
#define F8_FNMA(a, b, c) ((c) - (a) * (b))
#endif
#define F8_PARTS 8
#endif

static RPU_INLINE f8 f8_load(const float *p) { F8_EACH(F8_LOAD(p + k)); }
static RPU_INLINE f8 f8_set(float a) { F8_EACH(F8_SET(a)); }
static RPU_INLINE f8 f8_mul(f8 a, f8 b) { F8_EACH(a.part[k] * b.part[k]); }
static RPU_INLINE f8 f8_fma(f8 a, f8 b, f8 c) { F8_EACH(F8_FMA(a.part[k], b.part[k], c.part[k])); }     /* a b + c */
static RPU_INLINE f8 f8_fnma(f8 a, f8 b, f8 c) { F8_EACH(F8_FNMA(a.part[k], b.part[k], c.part[k])); }   /* c - a b */
static RPU_INLINE void f8_store(float *p, f8 a)
{
    for (int k = 0; k < F8_PARTS; k++)
        F8_STORE(p + k, a.part[k]);
}

static RPU_INLINE v8 v8_of(f8 a)
{
    v8 out;
#if defined(RPU_USE_AVX512)
    out.part[0] = _mm512_cvtps_pd(a.part[0]);
#elif defined(RPU_USE_AVX2)
    out.part[0] = _mm256_cvtps_pd(_mm256_castps256_ps128(a.part[0]));
    out.part[1] = _mm256_cvtps_pd(_mm256_extractf128_ps(a.part[0], 1));
#else
    for (int k = 0; k < 8; k++)
        out.part[k] = a.part[k];
#endif
    return out;
}

static RPU_INLINE f8 f8_of(v8 a)
{
    f8 out;
#if defined(RPU_USE_AVX512)
    out.part[0] = _mm512_cvtpd_ps(a.part[0]);
#elif defined(RPU_USE_AVX2)
    out.part[0] = _mm256_set_m128(_mm256_cvtpd_ps(a.part[1]), _mm256_cvtpd_ps(a.part[0]));
#else
    for (int k = 0; k < 8; k++)
        out.part[k] = (float)a.part[k];
#endif
    return out;
}

#endif
