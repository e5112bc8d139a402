"""Work space that grows, and arrays as users give them."""

import numpy as np

cimport numpy as cnp
from libc.float cimport FLT_MAX
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc

from rpusim._base.validation import signal as checked_signal

from rpusim._core.kernels cimport active_kernels

cnp.import_array()


cdef cnp.ndarray _narrowed(cnp.ndarray array):
    # float64 as float32: NumPy's own cast, without its care for warnings.
    cdef cnp.ndarray out = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(array), cnp.PyArray_DIMS(array), cnp.NPY_FLOAT32, 0)
    cdef const double *wide = <const double *>cnp.PyArray_DATA(array)
    cdef float *narrow = <float *>cnp.PyArray_DATA(out)
    cdef Py_ssize_t k
    for k in range(cnp.PyArray_SIZE(array)):
        narrow[k] = <float>wide[k]
    return out


cpdef cnp.ndarray as_batch(str name, value, Py_ssize_t n):
    """Return `value` as a C-contiguous float32 array of shape (batch, n) or (n,), checked to be finite.

    What already is such an array is passed on as it is; the general case is `rpusim._base.validation.signal`."""
    cdef cnp.ndarray array, narrow
    cdef int ndim
    if cnp.PyArray_CheckExact(value):
        array = <cnp.ndarray>value
        ndim = cnp.PyArray_NDIM(array)
        if (cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT32 and cnp.PyArray_ISCARRAY_RO(array) and (ndim == 1 or ndim == 2)
                and cnp.PyArray_DIM(array, ndim - 1) == n
                and active_kernels().all_finite(<const float *>cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array))):
            return array
        if (cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT64 and cnp.PyArray_ISCARRAY_RO(array) and (ndim == 1 or ndim == 2)
                and cnp.PyArray_DIM(array, ndim - 1) == n):
            narrow = _narrowed(array)
            if active_kernels().all_finite(<const float *>cnp.PyArray_DATA(narrow), cnp.PyArray_SIZE(narrow)):
                return narrow
    try:
        ndim = np.ndim(value)
    except Exception:
        ndim = 2        # ragged, or no array: the next line says so
    return checked_signal(name, value, (n,) if ndim == 1 else (None, n))


def is_finite_signal(value, float largest=FLT_MAX):
    """Return whether `value` is a C-contiguous array of float32, of finite numbers of at most this size."""
    cdef cnp.ndarray array
    if not cnp.PyArray_CheckExact(value) or cnp.PyArray_TYPE(<cnp.ndarray>value) != cnp.NPY_FLOAT32:
        return False
    array = <cnp.ndarray>value
    if not cnp.PyArray_ISCARRAY_RO(array):
        return False
    if not active_kernels().all_finite(<const float *>cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array)):
        return False
    return largest == FLT_MAX or active_kernels().abs_max(
        <const float *>cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array)) <= largest


cpdef tuple as_batches(x, d, Py_ssize_t rows, Py_ssize_t columns):
    """Return the checked vectors of an update of shape (rows, columns): as many in `d` as in `x`."""
    cdef cnp.ndarray x_batch = as_batch("x", x, columns)
    cdef cnp.ndarray d_batch = as_batch("d", d, rows)
    cdef int ndim = cnp.PyArray_NDIM(x_batch)
    if ndim != cnp.PyArray_NDIM(d_batch) or ndim == 2 and cnp.PyArray_DIM(x_batch, 0) != cnp.PyArray_DIM(d_batch, 0):
        raise ValueError(f"d must have as many vectors as x, whose shape is {(<object>x_batch).shape}; got shape "
                         f"{(<object>d_batch).shape}")
    return x_batch, d_batch


cdef bint _takes(cnp.ndarray out, cnp.ndarray batch, Py_ssize_t n):
    # Whether `out` is a float32 array that can take, in place, `n` results for each vector of `batch`.
    cdef int ndim = cnp.PyArray_NDIM(batch)
    return (cnp.PyArray_TYPE(out) == cnp.NPY_FLOAT32 and cnp.PyArray_ISCARRAY(out) and cnp.PyArray_NDIM(out) == ndim
            and cnp.PyArray_DIM(out, ndim - 1) == n
            and (ndim == 1 or cnp.PyArray_DIM(out, 0) == cnp.PyArray_DIM(batch, 0)))


cdef cnp.ndarray output(out, cnp.ndarray batch, Py_ssize_t n):
    cdef int ndim = cnp.PyArray_NDIM(batch)
    cdef cnp.npy_intp[2] shape
    if out is None:
        shape[0], shape[ndim - 1] = cnp.PyArray_DIM(batch, 0), n
        return cnp.PyArray_EMPTY(ndim, shape, cnp.NPY_FLOAT32, 0)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a float32 array; got {type(out).__name__}")
    if not _takes(out, batch, n):
        wanted = (*(<object>batch).shape[:ndim - 1], n)
        raise ValueError(
            f"out must be a writeable C-contiguous float32 array of shape {wanted}; got dtype {out.dtype}, shape {out.shape}"
        )
    return out


cdef bint overlap(cnp.ndarray a, cnp.ndarray b):
    cdef char *first = <char *>cnp.PyArray_DATA(a)
    cdef char *second = <char *>cnp.PyArray_DATA(b)
    return first < second + cnp.PyArray_NBYTES(b) and second < first + cnp.PyArray_NBYTES(a)


cdef const float *floats(array) except? NULL:
    if array is None:
        return NULL
    if not (array.dtype == np.float32 and array.flags.c_contiguous and array.size):
        raise TypeError("a table must be a C-contiguous float32 array")
    return <const float *>cnp.PyArray_DATA(<cnp.ndarray?>array)


cdef void *grow(Buffer *buffer, size_t size) except NULL nogil:
    cdef void *old
    if buffer.size < size + 64 or buffer.data == NULL:
        old = buffer.data
        buffer.data, buffer.size = NULL, 0      # before it is freed: a fork may come at any time
        free(old)
        buffer.data = malloc(size + size // 2 + 64)
        if buffer.data == NULL:
            with gil:
                raise MemoryError(f"no memory for a buffer of {size} bytes")
        buffer.size = size + size // 2 + 64
    return <void *>((<uintptr_t>buffer.data + 63) & ~<uintptr_t>63)
