"""Products of float32 matrices, which are the reads of arrays.

Decided, and why:
- By the BLAS that NumPy brings, through the compiled loop of `numpy.matmul`: what users compare with, with no other library to
  load. Products of a few numbers are plain loops.
- Large ones are shared by our own team of threads, with the BLAS at one thread while such a call lasts; see kernels/team.h for
  why there must not be two teams. That setting of a BLAS is the process's: products of others that run at the same time in
  other threads take one thread, too, and give the same results. It is found where NumPy's BLAS is an OpenBLAS, as in its wheels
  (but for those of macOS on arm64, and on Windows); others do as they do.
- Where nobody has set our threads, what the BLAS is set to limits them here (OPENBLAS_NUM_THREADS, threadpoolctl).
"""

import os
import sys

import numpy as np

cimport numpy as cnp
from libc.stdint cimport int64_t

from rpusim._core.threads cimport is_chosen, num_threads, rpu_take, run_team

cnp.import_array()

cdef extern from "kernels/blas.h":
    int rpu_blas_begin() nogil
    void rpu_blas_end() nogil
    void rpu_blas_forget() nogil
    int rpu_blas_find(const char *library)
    int rpu_blas_threads()

cdef enum:
    SMALL_PRODUCT = 512         # multiply-adds below which a plain loop beats a BLAS call
    WORTH_SHARING = 15_000      # nanoseconds below which a product is not shared
    WORTH_SHARING_VECTOR = 50_000   # and one with a single vector, for which the matrix changes place from cache to cache
    WORTH_PARTS = 150_000
    PIECE = 16                  # rows, columns or vectors that a BLAS takes at once

ctypedef void (*Loop)(char **, cnp.npy_intp *, cnp.npy_intp *, void *) noexcept nogil


cdef Loop _float32_loop(function) except NULL:
    # The compiled loop of a ufunc of two arguments for float32, which may be called without the interpreter.
    return <Loop><void *>(<cnp.ufunc?>function).functions[function.types.index("ff->f")]


cdef Loop numpy_product = _float32_loop(np.matmul)


def blas_threads():
    """Return what the BLAS of NumPy is set to between calls of ours; 0 where it cannot be told."""
    return rpu_blas_threads()


def _forget():
    rpu_blas_forget()


for _name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
    if getattr(sys.modules.get(_name), "__file__", None):
        rpu_blas_find(os.fsencode(sys.modules[_name].__file__))
        break
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


cdef struct Task:
    const float *w
    const float *x
    float *y
    Py_ssize_t rows, columns, vectors
    int transposed
    Py_ssize_t pieces, size, by_vectors
    int64_t next


cdef void _whole(const float *w, Py_ssize_t columns, const float *x, Py_ssize_t x_step, float *y, Py_ssize_t y_step,
                 Py_ssize_t vectors, Py_ssize_t k, Py_ssize_t m, int transposed) noexcept nogil:
    # y = x w^T (or x w), one product of (vectors, k) with (k, m): NumPy is told how far it is to the next row and column.
    cdef char **matrices = [<char *>x, <char *>w, <char *>y]
    cdef cnp.npy_intp *shape = [1, vectors, k, m]
    cdef cnp.npy_intp *steps = [0, 0, 0, 4 * x_step, 4, 4 * columns, 4, 4 * y_step, 4]
    if not transposed:
        steps[5], steps[6] = 4, 4 * columns
    numpy_product(matrices, shape, steps, NULL)


cdef void _pieces(void *task, int member) noexcept nogil:
    # The vectors, or what they give, piece by piece.
    cdef Task *t = <Task *>task
    cdef Py_ssize_t k = t.rows if t.transposed else t.columns, m = t.columns if t.transposed else t.rows
    cdef Py_ssize_t first, n
    while True:
        first = <Py_ssize_t>rpu_take(&t.next) * t.size
        if t.by_vectors:
            if first >= t.vectors:
                return
            n = min(t.size, t.vectors - first)
            _whole(t.w, t.columns, t.x + first * k, k, t.y + first * m, m, n, k, m, t.transposed)
        else:
            if first >= m:
                return
            n = min(t.size, m - first)
            _whole(t.w + (first if t.transposed else first * t.columns), t.columns, t.x, k, t.y + first, m, t.vectors, k, n,
                   t.transposed)


cdef void _shared(const float *w, Py_ssize_t rows, Py_ssize_t columns, const float *x, float *y, Py_ssize_t vectors,
                  int transposed) noexcept nogil:
    cdef Py_ssize_t k = rows if transposed else columns, m = columns if transposed else rows, lines, n
    # about: a product with one vector waits for memory
    cdef double ns = <double>rows * columns * vectors * (0.06 if vectors == 1 else 0.03)
    cdef int most = rpu_blas_begin(), threads = num_threads()
    cdef Task task
    if most == 0:
        threads = 1                 # a BLAS with threads of its own, of which we know nothing
    elif not is_chosen():
        threads = min(threads, most)
    task.by_vectors = vectors > m
    lines = vectors if task.by_vectors else m
    threads = <int>min(<Py_ssize_t>threads, (lines + PIECE - 1) // PIECE)
    if threads <= 1 or ns < (WORTH_SHARING_VECTOR if vectors == 1 else WORTH_SHARING):
        _whole(w, columns, x, k, y, m, vectors, k, m, transposed)
    else:
        task.w, task.x, task.y, task.rows, task.columns, task.vectors = w, x, y, rows, columns, vectors
        task.transposed, task.next = transposed, 0
        n = threads if ns < WORTH_PARTS else 2 * threads        # those who come late find something left to do
        task.size = ((lines + n - 1) // n + PIECE - 1) // PIECE * PIECE
        run_team(_pieces, &task, threads, ns)
    rpu_blas_end()


cdef Py_ssize_t _only_nonzero(const float *x, Py_ssize_t n) noexcept nogil:
    # Index of the only element that is not zero; -1 if there are none or several.
    cdef Py_ssize_t j, found = -1
    for j in range(n):
        if x[j] != 0.0:
            if found >= 0:
                return -1
            found = j
    return found


cdef void product(const float *w, Py_ssize_t rows, Py_ssize_t columns, const float *x, float *y, Py_ssize_t vectors,
                  int transposed, float alpha) noexcept nogil:
    cdef Py_ssize_t m = columns if transposed else rows, k = rows if transposed else columns, v, i, j
    cdef float total
    if vectors == 1 and not transposed:
        j = _only_nonzero(x, columns)
        if j >= 0:                  # a unit vector, as transfers use: one column, not a product
            for i in range(rows):
                y[i] = alpha * (w[i * columns + j] * x[j])
            return
    if rows * columns * vectors <= SMALL_PRODUCT:
        for v in range(vectors):
            for i in range(m):
                total = 0.0
                if transposed:
                    for j in range(k):
                        total += w[j * columns + i] * x[v * k + j]
                else:
                    for j in range(k):
                        total += w[i * columns + j] * x[v * k + j]
                y[v * m + i] = alpha * total
        return
    _shared(w, rows, columns, x, y, vectors, transposed)
    if alpha != 1.0:
        for i in range(vectors * m):
            y[i] *= alpha


cdef void add_product(const float *w, Py_ssize_t rows, Py_ssize_t columns, const float *x, float *y, float *work,
                      Py_ssize_t vectors, int transposed, float alpha) noexcept nogil:
    cdef Py_ssize_t i
    product(w, rows, columns, x, work, vectors, transposed, 1.0)
    for i in range(vectors * (columns if transposed else rows)):
        y[i] += alpha * work[i]
