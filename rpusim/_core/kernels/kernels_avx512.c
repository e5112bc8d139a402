/* Kernels for x86-64 with AVX-512 (F, VL, BW, DQ: all servers since 2017). */
#include "kernels.h"
#ifdef RPU_X86_SETS
#define RPU_USE_AVX512
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
RPU_TARGET_BEGIN("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,bmi,bmi2,popcnt,lzcnt,prefer-vector-width=512")
#define RPU_SET avx512
#include "kernels_impl.h"
RPU_TARGET_END
#endif
