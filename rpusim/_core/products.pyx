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
    # y (n, m) = a (n, k) b (k, m): addresses, and how many numbers it is to the next row and column
    const float *a
    const float *b
    float *y
    Py_ssize_t n, k, m, a_row, a_column, b_row, b_column, y_row
    Py_ssize_t size, by_rows
    int64_t next


cdef void _whole(const Task *t, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t column, Py_ssize_t columns) noexcept nogil:
    # Rows and columns of the product by one call of NumPy's loop.
    cdef char **matrices = [<char *>(t.a + row * t.a_row), <char *>(t.b + column * t.b_column),
                            <char *>(t.y + row * t.y_row + column)]
    cdef cnp.npy_intp *shape = [1, rows, t.k, columns]
    cdef cnp.npy_intp *steps = [0, 0, 0, 4 * t.a_row, 4 * t.a_column, 4 * t.b_row, 4 * t.b_column, 4 * t.y_row, 4]
    numpy_product(matrices, shape, steps, NULL)


cdef void _pieces(void *task, int member) noexcept nogil:
    # Rows of the product, or columns, piece by piece.
    cdef Task *t = <Task *>task
    cdef Py_ssize_t first, lines = t.n if t.by_rows else t.m
    while True:
        first = <Py_ssize_t>rpu_take(&t.next) * t.size
        if first >= lines:
            return
        if t.by_rows:
            _whole(t, first, min(t.size, lines - first), 0, t.m)
        else:
            _whole(t, 0, t.n, first, min(t.size, lines - first))


cdef void _shared(Task *t) noexcept nogil:
    cdef Py_ssize_t lines, parts
    cdef int vector = t.n == 1 or t.m == 1
    # about: a product with one vector waits for memory
    cdef double ns = <double>t.n * t.k * t.m * (0.06 if vector else 0.03)
    cdef int most = rpu_blas_begin(), threads = num_threads()
    if most == 0:
        threads = 1                 # a BLAS with threads of its own, of which we know nothing
    elif not is_chosen():
        threads = min(threads, most)
    t.by_rows = t.n > t.m
    lines = t.n if t.by_rows else t.m
    threads = <int>min(<Py_ssize_t>threads, (lines + PIECE - 1) // PIECE)
    if threads <= 1 or ns < (WORTH_SHARING_VECTOR if vector else WORTH_SHARING):
        _whole(t, 0, t.n, 0, t.m)
    else:
        t.next = 0
        parts = threads if ns < WORTH_PARTS else 2 * threads        # those who come late find something left to do
        t.size = ((lines + parts - 1) // parts + PIECE - 1) // PIECE * PIECE
        run_team(_pieces, t, threads, ns)
    rpu_blas_end()


def matmul(a, b, out=None):
    """Return a b of float32 matrices, as `numpy.matmul`, shared by our threads."""
    cdef Task t
    cdef cnp.ndarray left = a, right = b, y
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ValueError(f"a and b must have shapes (n, k) and (k, m); got {np.shape(a)} and {np.shape(b)}")
    if cnp.PyArray_TYPE(left) != cnp.NPY_FLOAT32 or cnp.PyArray_TYPE(right) != cnp.NPY_FLOAT32:
        raise TypeError(f"a and b must be of float32; got {left.dtype} and {right.dtype}")
    if not (cnp.PyArray_IS_C_CONTIGUOUS(left) or cnp.PyArray_IS_F_CONTIGUOUS(left)):
        left = np.ascontiguousarray(left)
    if not (cnp.PyArray_IS_C_CONTIGUOUS(right) or cnp.PyArray_IS_F_CONTIGUOUS(right)):
        right = np.ascontiguousarray(right)
    t.n, t.k, t.m = left.shape[0], left.shape[1], right.shape[1]
    if out is None:
        out = np.empty((t.n, t.m), np.float32)
    y = out
    if cnp.PyArray_TYPE(y) != cnp.NPY_FLOAT32 or not y.flags.c_contiguous or y.ndim != 2 \
            or (y.shape[0], y.shape[1]) != (t.n, t.m):
        raise ValueError(f"out must be a float32 array of shape {(t.n, t.m)} in C order; got {y.dtype}, {np.shape(out)}")
    if t.n == 0 or t.m == 0:
        return out
    if t.k == 0:
        out[...] = 0.0
        return out
    t.a, t.b, t.y, t.y_row = <const float *>left.data, <const float *>right.data, <float *>y.data, t.m
    # (not NumPy's strides: those of an axis of one may be anything)
    t.a_row, t.a_column, t.b_row, t.b_column = t.k, 1, t.m, 1
    if not cnp.PyArray_IS_C_CONTIGUOUS(left):
        t.a_row, t.a_column = 1, t.n
    if not cnp.PyArray_IS_C_CONTIGUOUS(right):
        t.b_row, t.b_column = 1, t.k
    with nogil:
        _shared(&t)
    return out


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
    cdef Task t
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
    t.a, t.n, t.k, t.m, t.a_row, t.a_column = x, vectors, k, m, k, 1
    t.b, t.b_row, t.b_column, t.y, t.y_row = w, columns if transposed else 1, 1 if transposed else columns, y, m
    _shared(&t)
    if alpha != 1.0:
        for i in range(vectors * m):
            y[i] *= alpha


cdef void add_product(const float *w, Py_ssize_t rows, Py_ssize_t columns, const float *x, float *y, float *work,
                      Py_ssize_t vectors, int transposed, float alpha) noexcept nogil:
    cdef Py_ssize_t i
    product(w, rows, columns, x, work, vectors, transposed, 1.0)
    for i in range(vectors * (columns if transposed else rows)):
        y[i] += alpha * work[i]
