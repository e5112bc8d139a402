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
/* Asked of the processor itself (Intel SDM, volume 2, CPUID and XGETBV): the runtime libraries of some compilers answer
 * __builtin_cpu_supports with 0, whatever there is. */
enum { HAS_AVX2 = 1, HAS_VAES = 2, HAS_AVX512 = 4 };

static int bits_of(uint32_t word, uint32_t wanted) { return (word & wanted) == wanted; }

static int processor(void)
{
    uint32_t a, b, c, d, c1, saved, high;
    int found = 0;
    if (!__get_cpuid(1, &a, &b, &c1, &d) || !bits_of(c1, 1u << 12 | 1u << 23 | 1u << 25 | 1u << 27 | 1u << 28))
        return 0;       /* FMA, POPCNT, AES, OSXSAVE, AVX */
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    if (!bits_of(saved, 0x6) || !__get_cpuid(0x80000001, &a, &b, &c, &d) || !bits_of(c, 1u << 5) ||
        !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;       /* registers that the system saves; LZCNT */
    if (bits_of(b, 1u << 3 | 1u << 5 | 1u << 8))                        /* BMI1, AVX2, BMI2 */
        found |= HAS_AVX2 | (bits_of(c, 1u << 9) ? HAS_VAES : 0);
    if (bits_of(saved, 0xE6) && bits_of(b, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31))      /* F, DQ, BW, VL */
        found |= HAS_AVX512;
    return found;
}
#endif

static int runs(const rpu_kernels *k)
{
#if defined(RPU_X86_SETS)
    const int has = processor();
    const int needs = k == &rpu_kernels_avx512 ? HAS_AVX512 | HAS_VAES | HAS_AVX2 : k == &rpu_kernels_vaes ? HAS_VAES | HAS_AVX2
                      : k == &rpu_kernels_avx2 ? HAS_AVX2
                                               : 0;
    return (has & needs) == needs;
#else
#if defined(RPU_ARM_SETS) && defined(__linux__)
    if (k == &rpu_kernels_neon_aes)
        return (getauxval(AT_HWCAP) & 1 << 3) != 0;     /* HWCAP_AES */
#elif defined(RPU_ARM_SETS) && defined(__APPLE__)
    if (k == &rpu_kernels_neon_aes)
        return 1;
#endif
    return k == &rpu_kernels_baseline;
#endif
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
