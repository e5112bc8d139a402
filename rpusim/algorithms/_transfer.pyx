"""The per-vector loop of algorithms that read one array and write what they read to another.

Decided: one call per batch without the interpreter. Vectors between two transfers go to the fast array as one batch,
which changes nothing, since the fast array takes its vectors in order.
"""

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from rpusim._core.array cimport ArrayCore

cnp.import_array()


def transfer_update(ArrayCore fast, ArrayCore reference, ArrayCore slow, cnp.ndarray x, cnp.ndarray d,
                    double fast_lr, double slow_lr, Py_ssize_t every, bint hadamard, uint64_t counter):
    """Update `fast` with (x, d) and, after every `every` vectors, `slow` by +slow_lr (fast - reference) u u^T.

    `counter` is the number of vectors before this call; the new number is returned."""
    cdef Py_ssize_t rows = fast.rows, columns = fast.columns, vectors, v = 0, n
    cdef const float *x_data = <const float *>cnp.PyArray_DATA(x)
    cdef const float *d_data = <const float *>cnp.PyArray_DATA(d)
    cdef float *u
    cdef float *read
    vectors = cnp.PyArray_SIZE(x) // columns
    if vectors == 0:
        return counter
    u = <float *>calloc(columns + rows, sizeof(float))
    if u == NULL:
        raise MemoryError("no memory for a transfer vector")
    read = u + columns
    locks = sorted({id(core): core.lock for core in (fast, reference, slow)}.items())
    for _, lock in locks:
        lock.acquire()
    try:
        with nogil:
            while v < vectors:
                n = every - <Py_ssize_t>(counter % <uint64_t>every)
                n = min(n, vectors - v)
                fast.update(x_data + v * columns, d_data + v * rows, n, fast_lr)
                v += n
                counter += n
                if counter % <uint64_t>every:
                    continue
                n = transfer_vector(u, columns, counter // <uint64_t>every - 1, hadamard)
                fast.read(u, read, 1, 0, reference)
                slow.update(u, read, 1, -slow_lr / columns if hadamard else -slow_lr)
                if n >= 0:
                    u[n] = 0.0
                if (counter // <uint64_t>every) % 1024 == 0:
                    with gil:
                        PyErr_CheckSignals()    # Ctrl-C stops long calls
    finally:
        free(u)
        for _, lock in locks:
            lock.release()
    return counter


cdef Py_ssize_t transfer_vector(float *u, Py_ssize_t columns, uint64_t k, bint hadamard) noexcept nogil:
    # Write the k-th transfer vector to `u` (zeros before); return the index of a unit vector, else -1.
    cdef uint64_t order = 1, bits
    cdef Py_ssize_t j
    cdef int odd
    if not hadamard:
        j = <Py_ssize_t>(k % <uint64_t>columns)
        u[j] = 1.0
        return j
    while order < <uint64_t>columns:
        order *= 2
    k %= order
    for j in range(columns):        # Sylvester's matrix: (-1)^(number of common bits of row and column)
        bits = k & <uint64_t>j
        odd = 0
        while bits:
            odd ^= 1
            bits &= bits - 1
        u[j] = -1.0 if odd else 1.0
    return -1
