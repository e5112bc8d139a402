/* What compilers have under names of their own, and the instructions of a set. */
#ifndef RPU_PORTABLE_H
#define RPU_PORTABLE_H

#include <stdint.h>

#if defined(RPU_USE_AVX512) || defined(RPU_USE_AVX2)
#include <immintrin.h>
#elif defined(RPU_USE_NEON_AES)
#include <arm_neon.h>
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>

#define restrict __restrict
#define RPU_SIMD
#define RPU_SIMD_SUM(count)
#define RPU_ONE_BY_ONE
#define RPU_FORGET(p)
#define RPU_OPAQUE(x) (void)(x);
#define RPU_NOINLINE __declspec(noinline)
#define RPU_PREFETCH(p)
#define RPU_INLINE __forceinline
static inline int rpu_lowest_bit(uint64_t m) { unsigned long k; _BitScanForward64(&k, m); return (int)k; }  /* 64 bits only */
#else
#define RPU_PREFETCH(p) __builtin_prefetch(p)
#define RPU_ONE_BY_ONE __asm__ volatile("");     /* keeps a loop from being made of gathers or scatters */
#define RPU_FORGET(p) __asm__("" : "+r"(p));    /* what was computed from p is computed again, not kept */
#define RPU_OPAQUE(x) __asm__("" : "+m"(x));    /* the compiler knows its value no longer */
#define RPU_NOINLINE __attribute__((noinline))
#define RPU_INLINE inline __attribute__((always_inline))    /* a call in a loop keeps it from becoming vectors */
#define RPU_PRAGMA(text) _Pragma(#text)
#define RPU_SIMD RPU_PRAGMA(omp simd)
#define RPU_SIMD_SUM(count) RPU_PRAGMA(omp simd reduction(+:count))
static inline int rpu_lowest_bit(uint64_t m) { return __builtin_ctzll(m); }
#endif

/* Two names as one, and a name as a string; names that are macros are expanded. */
#define RPU_STRING2(x) #x
#define RPU_STRING(x) RPU_STRING2(x)
#define RPU_JOIN2(a, b) a##b
#define RPU_JOIN(a, b) RPU_JOIN2(a, b)

/* How many bits are set. */
static inline int rpu_population(uint64_t m)
{
    m -= m >> 1 & 0x5555555555555555u;
    m = (m & 0x3333333333333333u) + (m >> 2 & 0x3333333333333333u);
    return (int)(((m + (m >> 4)) & 0x0F0F0F0F0F0F0F0Fu) * 0x0101010101010101u >> 56);
}

#endif
