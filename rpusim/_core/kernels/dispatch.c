/* Which kernels run: the best set the processor has, unless a name is asked for. */
#include <stddef.h>
#include <string.h>

#include "kernels.h"

extern const rpu_kernels rpu_kernels_baseline;
#ifdef RPU_X86_SETS
extern const rpu_kernels rpu_kernels_avx2, rpu_kernels_avx512;
#endif

#define RPU_NAME(name) #name,
const char *const rpu_model_names[RPU_N_MODELS] = {RPU_MODELS(RPU_NAME)};

static int runs(const rpu_kernels *k)
{
#ifdef RPU_X86_SETS
    __builtin_cpu_init();
    if (k == &rpu_kernels_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("bmi2");
    if (k == &rpu_kernels_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#endif
    return k == &rpu_kernels_baseline;
}

static const rpu_kernels *const sets[] = {
#ifdef RPU_X86_SETS
    &rpu_kernels_avx512, &rpu_kernels_avx2,
#endif
    &rpu_kernels_baseline,
};
#define N_SETS ((int)(sizeof sets / sizeof sets[0]))

const rpu_kernels *rpu_select(const char *name)
{
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
