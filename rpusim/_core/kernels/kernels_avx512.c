/* Kernels for x86-64 with AVX-512 (F, VL, BW, DQ) and AES on four blocks at once (since 2019). */
#include "kernels.h"
#ifdef RPU_X86_SETS
#define RPU_USE_AVX512
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#if defined(__clang__)     /* whose targets know no width of vectors */
RPU_TARGET_BEGIN("vaes,aes,avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,bmi,bmi2,popcnt,lzcnt")
#else
RPU_TARGET_BEGIN("vaes,aes,avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,bmi,bmi2,popcnt,lzcnt,prefer-vector-width=512")
#endif
#define RPU_SET avx512
#include "kernels_impl.h"
RPU_TARGET_END
#endif
