"""The trainer's element-wise kernels for NumPy arrays, in one call each; see rpusim/_core/kernels/elementwise.h."""

cimport numpy as cnp
from libc.stdint cimport int64_t

from rpusim._base.validation import plain_array

from rpusim._core.kernels cimport active_kernels

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    cnp.ndarray PyArray_NewLikeArray(cnp.ndarray prototype, cnp.NPY_ORDER order, cnp.PyArray_Descr *descr, int subok)


cdef inline cnp.ndarray _plain(value, int kind):
    # As a C-contiguous array of this type. What is one is passed on as it is, and not handed to NumPy to find that out.
    if (cnp.PyArray_CheckExact(value) and cnp.PyArray_TYPE(<cnp.ndarray>value) == kind
            and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>value)):
        return value
    array = plain_array("x and d", value, "real numbers")
    if array.dtype.kind not in ("fiub" if kind == cnp.NPY_FLOAT32 else "iu"):
        what = "signals must be real numbers" if kind == cnp.NPY_FLOAT32 else "labels must be integers"
        raise TypeError(f"{what}; got dtype {array.dtype}")
    return cnp.PyArray_FROM_OTF(array, kind, cnp.NPY_ARRAY_IN_ARRAY | cnp.NPY_ARRAY_FORCECAST)


cdef inline cnp.ndarray _floats(value):
    return _plain(value, cnp.NPY_FLOAT32)


cdef inline cnp.ndarray _like(cnp.ndarray x):
    return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.NPY_FLOAT32, 0)


cdef cnp.ndarray _dense(value):
    # As float32 in one piece of memory, with the axes in any order: what has this is not put into another one.
    if cnp.PyArray_CheckExact(value) and cnp.PyArray_TYPE(<cnp.ndarray>value) == cnp.NPY_FLOAT32 \
            and cnp.PyArray_ISBEHAVED_RO(<cnp.ndarray>value) and not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>value):
        like = PyArray_NewLikeArray(<cnp.ndarray>value, cnp.NPY_KEEPORDER, NULL, 0)
        if _same_layout(like, <cnp.ndarray>value):
            return value
    return _floats(value)


cdef bint _same_layout(cnp.ndarray a, cnp.ndarray b):
    cdef int k
    for k in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_STRIDE(a, k) != cnp.PyArray_STRIDE(b, k):
            return False
    return True


ctypedef void (*Function)(const float *, int64_t, float *) noexcept nogil
ctypedef void (*Gradient)(const float *, const float *, int64_t, float *) noexcept nogil


cdef cnp.ndarray _of(Function function, x):
    cdef cnp.ndarray a = _dense(x)
    cdef cnp.ndarray y = PyArray_NewLikeArray(a, cnp.NPY_KEEPORDER, NULL, 0)
    function(<const float *>cnp.PyArray_DATA(a), cnp.PyArray_SIZE(a), <float *>cnp.PyArray_DATA(y))
    return y


cdef cnp.ndarray _back(Gradient gradient, y, d):
    cdef cnp.ndarray a = _dense(y), b = _dense(d)
    if not cnp.PyArray_SAMESHAPE(a, b):
        raise ValueError(f"d must have shape {(<object>a).shape}; got {(<object>b).shape}")
    cdef cnp.ndarray z = PyArray_NewLikeArray(a, cnp.NPY_KEEPORDER, NULL, 0)
    if not _same_layout(a, b):
        cnp.PyArray_CopyInto(z, b)
        b = z
    gradient(<const float *>cnp.PyArray_DATA(a), <const float *>cnp.PyArray_DATA(b), cnp.PyArray_SIZE(a),
             <float *>cnp.PyArray_DATA(z))
    return z


def sigmoid(x):
    """Return 1 / (1 + e^-x)."""
    return _of(active_kernels().sigmoid, x)


def sigmoid_gradient(y, d):
    """Return y (1 - y) d, of arrays of the same shape."""
    return _back(active_kernels().sigmoid_gradient, y, d)


def tanh(x):
    """Return tanh(x)."""
    return _of(active_kernels().tanh, x)


def tanh_gradient(y, d):
    """Return (1 - y^2) d, of arrays of the same shape."""
    return _back(active_kernels().tanh_gradient, y, d)


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


cdef inline cnp.ndarray _of_shape(str name, value, cnp.ndarray like, int parts):
    # A plain array of as many rows as `like`, `parts` times as long.
    cdef cnp.ndarray a = _floats(value)
    cdef Py_ssize_t batch = cnp.PyArray_DIM(like, 0), n = parts * cnp.PyArray_DIM(like, 1)
    if cnp.PyArray_NDIM(a) != 2 or cnp.PyArray_DIM(a, 0) != batch or cnp.PyArray_DIM(a, 1) != n:
        raise ValueError(f"{name} must have shape {(batch, n)}; got {(<object>a).shape}")
    return a


def lstm(a, before):
    """Return h, c, the gates (i, f, o, g) and tanh(c) after one step of cells, all (batch, n), the gates (batch, 4 n).

    `a` (batch, 4 n) are the gates before their functions, `before` (batch, n) is c before. Where it can be, the memory of `a`
    is that of the gates."""
    cdef cnp.ndarray c0 = _floats(before)
    if cnp.PyArray_NDIM(c0) != 2:
        raise ValueError(f"before must have shape (any, any); got {(<object>c0).shape}")
    cdef cnp.ndarray gates = _of_shape("a", a, c0, 4)
    if not cnp.PyArray_ISWRITEABLE(gates):
        gates = gates.copy()
    cdef cnp.ndarray c = _like(c0), squashed = _like(c0), h = _like(c0)
    cdef Py_ssize_t k, n = cnp.PyArray_DIM(c0, 1)
    for k in range(cnp.PyArray_DIM(c0, 0)):
        active_kernels().lstm(<const float *>cnp.PyArray_DATA(c0) + k * n, n, <float *>cnp.PyArray_DATA(gates) + 4 * k * n,
                              <float *>cnp.PyArray_DATA(c) + k * n, <float *>cnp.PyArray_DATA(squashed) + k * n,
                              <float *>cnp.PyArray_DATA(h) + k * n)
    return h, c, gates, squashed


def lstm_gradient(gates, before, squashed, dh, dc, cnp.ndarray delta):
    """Write the gradient of a to `delta` (batch, 4 n) and return that of c before, from what `lstm` returned and the gradients
    of h and c."""
    cdef cnp.ndarray c0 = _floats(before)
    if cnp.PyArray_NDIM(c0) != 2:
        raise ValueError(f"before must have shape (any, any); got {(<object>c0).shape}")
    cdef cnp.ndarray all_gates = _of_shape("gates", gates, c0, 4), tanh = _of_shape("squashed", squashed, c0, 1)
    cdef cnp.ndarray d_h = _of_shape("dh", dh, c0, 1), d_c = _of_shape("dc", dc, c0, 1)
    cdef cnp.ndarray dc_before = _like(c0)
    cdef Py_ssize_t k, n = cnp.PyArray_DIM(c0, 1)
    if _of_shape("delta", delta, c0, 4) is not delta or not cnp.PyArray_ISWRITEABLE(delta):
        raise ValueError("delta must be a writeable C-contiguous float32 array")
    for k in range(cnp.PyArray_DIM(c0, 0)):
        active_kernels().lstm_gradient(
            <const float *>cnp.PyArray_DATA(all_gates) + 4 * k * n, <const float *>cnp.PyArray_DATA(c0) + k * n,
            <const float *>cnp.PyArray_DATA(tanh) + k * n, n, <const float *>cnp.PyArray_DATA(d_h) + k * n,
            <const float *>cnp.PyArray_DATA(d_c) + k * n, <float *>cnp.PyArray_DATA(delta) + 4 * k * n,
            <float *>cnp.PyArray_DATA(dc_before) + k * n)
    return dc_before
