/* Kernels for arm64 with the instructions for AES (almost all). */
#include "kernels.h"
#ifdef RPU_ARM_SETS
#define RPU_USE_NEON_AES
#include <arm_neon.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#if defined(__clang__)
RPU_TARGET_BEGIN("aes")
#else
RPU_TARGET_BEGIN("+crypto")
#endif
#define RPU_SET neon_aes
#include "kernels_impl.h"
RPU_TARGET_END
#endif
