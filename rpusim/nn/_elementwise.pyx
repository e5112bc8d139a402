"""The trainer's element-wise kernels for NumPy arrays, in one call each; see rpusim/_core/kernels/elementwise.h."""

cimport numpy as cnp

from rpusim._core.kernels cimport active_kernels

cnp.import_array()


cdef inline cnp.ndarray _plain(value, int kind):
    # As a C-contiguous array of this type. What is one is passed on as it is, and not handed to NumPy to find that out.
    if (cnp.PyArray_CheckExact(value) and cnp.PyArray_TYPE(<cnp.ndarray>value) == kind
            and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>value)):
        return value
    return cnp.PyArray_FROM_OTF(value, kind, cnp.NPY_ARRAY_IN_ARRAY | cnp.NPY_ARRAY_FORCECAST)


cdef inline cnp.ndarray _floats(value):
    return _plain(value, cnp.NPY_FLOAT32)


cdef inline cnp.ndarray _like(cnp.ndarray x):
    return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.NPY_FLOAT32, 0)


def sigmoid(x):
    """Return 1 / (1 + e^-x)."""
    cdef cnp.ndarray a = _floats(x)
    cdef cnp.ndarray y = _like(a)
    active_kernels().sigmoid(<const float *>cnp.PyArray_DATA(a), cnp.PyArray_SIZE(a), <float *>cnp.PyArray_DATA(y))
    return y


def sigmoid_gradient(y, d):
    """Return y (1 - y) d, of arrays of the same shape."""
    cdef cnp.ndarray a = _floats(y), b = _floats(d)
    cdef cnp.ndarray z = _like(a)
    if cnp.PyArray_SIZE(a) != cnp.PyArray_SIZE(b):
        raise ValueError(f"d must have shape {(<object>a).shape}; got {(<object>b).shape}")
    active_kernels().sigmoid_gradient(<const float *>cnp.PyArray_DATA(a), <const float *>cnp.PyArray_DATA(b),
                                      cnp.PyArray_SIZE(a), <float *>cnp.PyArray_DATA(z))
    return z


def cross_entropy(outputs, labels):
    """Return the sum of log(sum_j e^y_j) - y_label over the samples of (batch, classes), and the gradient of each.

    Labels (batch,) from 0 to classes - 1."""
    cdef cnp.ndarray y = _floats(outputs)
    cdef cnp.ndarray label = _plain(labels, cnp.NPY_INTP)
    cdef cnp.ndarray gradient
    cdef Py_ssize_t k, batch, classes
    cdef double loss = 0.0
    if cnp.PyArray_NDIM(y) != 2 or cnp.PyArray_SIZE(label) != cnp.PyArray_DIM(y, 0) or cnp.PyArray_DIM(y, 1) == 0:
        raise ValueError(f"outputs must have a row for each of {cnp.PyArray_SIZE(label)} labels; got shape {(<object>y).shape}")
    gradient = _like(y)
    batch, classes = cnp.PyArray_DIM(y, 0), cnp.PyArray_DIM(y, 1)
    cdef const float *rows = <const float *>cnp.PyArray_DATA(y)
    cdef float *out = <float *>cnp.PyArray_DATA(gradient)
    cdef const cnp.npy_intp *wanted = <const cnp.npy_intp *>cnp.PyArray_DATA(label)
    for k in range(batch):
        if not 0 <= wanted[k] < classes:
            raise ValueError(f"labels must be from 0 to {classes - 1}; got {wanted[k]} at index {k}")
        loss += active_kernels().cross_entropy(rows + k * classes, classes, wanted[k], out + k * classes)
    return loss, gradient
