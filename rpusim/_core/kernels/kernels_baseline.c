/* Kernels for any processor of the architecture: SSE2 on x86-64, NEON on arm64; AES by a table. */
#define RPU_SET baseline
#include "kernels_impl.h"
