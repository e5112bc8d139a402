/* Kernels for x86-64 with AVX2, and AES on two blocks at once (since 2019). */
#include "kernels.h"
#ifdef RPU_X86_SETS
#define RPU_USE_AVX2
#define RPU_USE_VAES
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
RPU_TARGET_BEGIN("vaes,aes,avx2,fma,bmi,bmi2,popcnt,lzcnt")
#define RPU_SET vaes
#include "kernels_impl.h"
RPU_TARGET_END
#endif
