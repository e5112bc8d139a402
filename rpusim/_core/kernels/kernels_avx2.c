/* Kernels for x86-64 with AVX2, and AES on blocks one by one. */
#include "kernels.h"
#ifdef RPU_X86_SETS
#define RPU_USE_AVX2
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
RPU_TARGET_BEGIN("aes,avx2,fma,bmi,bmi2,popcnt,lzcnt")
#define RPU_SET avx2
#include "kernels_impl.h"
RPU_TARGET_END
#endif
