/* How many threads the BLAS of NumPy works with, while calls of ours last.
 *
 * Decided: found by name in the library that NumPy's core was linked with, so that no other BLAS in the process is touched. Known
 * are the names of OpenBLAS, as it is and as in wheels. Where there is none (MKL, Accelerate, Windows) it does as it does. */
#ifndef RPU_BLAS_H
#define RPU_BLAS_H

#include <stddef.h>
#include <stdint.h>

#include "team.h"

static struct {
    void (*set)(int);
    int (*get)(void);
    int32_t lock;
    int calls;              /* that last; between them the BLAS is as others have set it */
    int before;             /* what it was set to before them */
} rpu_blas;

#if defined(_WIN32)
static void *rpu_symbol(const char *library, const char *name) { (void)library; (void)name; return NULL; }
#else
#include <dlfcn.h>
/* A function of a library that is loaded, or of those that it needs. */
static void *rpu_symbol(const char *library, const char *name)
{
    void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    return handle == NULL ? NULL : dlsym(handle, name);
}
#endif

static int rpu_blas_find(const char *library)
{
    static const char *const names[][2] = {
        {"scipy_openblas_set_num_threads64_", "scipy_openblas_get_num_threads64_"},
        {"scipy_openblas_set_num_threads", "scipy_openblas_get_num_threads"},
        {"openblas_set_num_threads64_", "openblas_get_num_threads64_"},
        {"openblas_set_num_threads", "openblas_get_num_threads"},
    };
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        void *set = rpu_symbol(library, names[k][0]), *get = rpu_symbol(library, names[k][1]);
        if (set != NULL && get != NULL) {
            rpu_blas.get = (int (*)(void))get;
            rpu_blas.set = (void (*)(int))set;
            return 1;
        }
    }
    return 0;
}

/* It works with one thread from here on, until as many calls of `rpu_blas_end`. Returns what it was set to; 0: nobody knows. */
static int rpu_blas_begin(void)
{
    int before;
    if (rpu_blas.set == NULL)
        return 0;
    rpu_lock(&rpu_blas.lock);
    if (rpu_blas.calls++ == 0) {
        rpu_blas.before = rpu_blas.get();
        if (rpu_blas.before != 1)
            rpu_blas.set(1);
    }
    before = rpu_blas.before;
    rpu_unlock(&rpu_blas.lock);
    return before;
}

static void rpu_blas_end(void)
{
    if (rpu_blas.set == NULL)
        return;
    rpu_lock(&rpu_blas.lock);
    if (--rpu_blas.calls == 0 && rpu_blas.before != 1 && rpu_blas.get() == 1)   /* else somebody has set it since */
        rpu_blas.set(rpu_blas.before);
    rpu_unlock(&rpu_blas.lock);
}

/* What it is set to between calls of ours; 0: nobody knows. */
static int rpu_blas_threads(void)
{
    int n = rpu_blas_begin();
    rpu_blas_end();
    return n;
}

/* In a child of fork: calls of other threads are none of its. */
static void rpu_blas_forget(void)
{
    rpu_blas.lock = 0;
    if (rpu_blas.calls > 0 && rpu_blas.before != 1)
        rpu_blas.set(rpu_blas.before);
    rpu_blas.calls = 0;
}

#endif
