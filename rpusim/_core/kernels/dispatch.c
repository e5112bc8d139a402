/* Which kernels run: the best set the processor has, unless a name is asked for. */
#include <stddef.h>
#include <string.h>

#include "kernels.h"

#if defined(RPU_X86_SETS)
#include <cpuid.h>
#elif defined(RPU_ARM_SETS) && defined(__linux__)
#include <sys/auxv.h>
#endif

extern const rpu_kernels rpu_kernels_baseline;
#if defined(RPU_X86_SETS)
extern const rpu_kernels rpu_kernels_avx2, rpu_kernels_vaes, rpu_kernels_avx512;
#elif defined(RPU_ARM_SETS)
extern const rpu_kernels rpu_kernels_neon_aes;
#endif

uint32_t rpu_aes_table[256];    /* see ars.h */

static uint32_t doubled(uint32_t a) { return (a << 1 ^ (a & 0x80 ? 0x11B : 0)) & 0xFF; }

/* FIPS 197: the substitute of a byte is its inverse in GF(2^8), bits mixed. p runs through the powers of 3, q through those of
 * 1/3, so q is the inverse of p. */
static void fill_table(void)
{
    uint32_t p = 1, q = 1, s;
    do {
        p ^= doubled(p);
        q ^= q << 1;
        q ^= q << 2;
        q ^= q << 4;
        q = (q ^ (q & 0x80 ? 0x09 : 0)) & 0xFF;
        s = q * 0x101;
        s = (s ^ s >> 7 ^ s >> 6 ^ s >> 5 ^ s >> 4 ^ 0x63) & 0xFF;
        rpu_aes_table[p] = doubled(s) | s << 8 | s << 16 | (doubled(s) ^ s) << 24;
    } while (p != 1);
    s = 0x63;   /* 0 has no inverse */
    rpu_aes_table[0] = doubled(s) | s << 8 | s << 16 | (doubled(s) ^ s) << 24;
}

#ifdef RPU_X86_SETS
/* Not every compiler knows it by name. */
static int has_vaes(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c >> 9 & 1);
}
#endif

static int runs(const rpu_kernels *k)
{
#if defined(RPU_X86_SETS)
    __builtin_cpu_init();
    if (k == &rpu_kernels_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && runs(&rpu_kernels_vaes);
    if (k == &rpu_kernels_vaes)
        return has_vaes() && runs(&rpu_kernels_avx2);
    if (k == &rpu_kernels_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
               __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("aes");
#elif defined(RPU_ARM_SETS) && defined(__linux__)
    if (k == &rpu_kernels_neon_aes)
        return (getauxval(AT_HWCAP) & 1 << 3) != 0;     /* HWCAP_AES */
#elif defined(RPU_ARM_SETS) && defined(__APPLE__)
    if (k == &rpu_kernels_neon_aes)
        return 1;
#endif
    return k == &rpu_kernels_baseline;
}

static const rpu_kernels *const sets[] = {
#if defined(RPU_X86_SETS)
    &rpu_kernels_avx512, &rpu_kernels_vaes, &rpu_kernels_avx2,
#elif defined(RPU_ARM_SETS)
    &rpu_kernels_neon_aes,
#endif
    &rpu_kernels_baseline,
};
#define N_SETS ((int)(sizeof sets / sizeof sets[0]))

const rpu_kernels *rpu_select(const char *name)
{
    if (rpu_aes_table[0] == 0)
        fill_table();
    for (int k = 0; k < N_SETS; k++)
        if (runs(sets[k]) && (name == NULL || strcmp(name, sets[k]->name) == 0))
            return sets[k];
    return NULL;
}

const char *const *rpu_available(void)
{
    static const char *names[N_SETS + 1];
    int n = 0;
    for (int k = 0; k < N_SETS; k++)
        if (runs(sets[k]))
            names[n++] = sets[k]->name;
    names[n] = NULL;
    return names;
}
