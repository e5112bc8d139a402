"""Work space, and arrays as users give them; see buffers.pyx."""

cimport numpy as cnp


cdef struct Buffer:
    void *data
    size_t size


# 64-byte aligned memory of at least `size` bytes; the old content is lost.
cdef void *grow(Buffer *buffer, size_t size) except NULL nogil
# Where the numbers of a C-contiguous float32 array are; NULL for None.
cdef const float *floats(array) except? NULL
# `out`, checked to take `n` results for each vector of `batch`, or a new array.
cdef cnp.ndarray output(out, cnp.ndarray batch, Py_ssize_t n)
# Whether two C-contiguous arrays share memory.
cdef bint overlap(cnp.ndarray a, cnp.ndarray b)
# `value` as a C-contiguous float32 array of shape (batch, n) or (n,), checked to be finite.
cpdef cnp.ndarray as_batch(str name, value, Py_ssize_t n)
# The checked vectors of an update of shape (rows, columns).
cpdef tuple as_batches(x, d, Py_ssize_t rows, Py_ssize_t columns)
