"""The trainer's element-wise kernels for NumPy arrays, in one call each; see rpusim/_core/kernels/elementwise.h."""

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

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


cdef float *_row(cnp.ndarray a, Py_ssize_t i, Py_ssize_t j) noexcept:
    # Where a[i, j] begins, of three axes, the last in one piece.
    return <float *>(<char *>cnp.PyArray_DATA(a) + i * cnp.PyArray_STRIDE(a, 0) + j * cnp.PyArray_STRIDE(a, 1))


cdef int _check_steps(str name, cnp.ndarray a, Py_ssize_t first, Py_ssize_t second, Py_ssize_t last) except -1:
    if (cnp.PyArray_NDIM(a) != 3 or cnp.PyArray_TYPE(a) != cnp.NPY_FLOAT32 or not cnp.PyArray_ISCARRAY(a)
            or cnp.PyArray_DIM(a, 0) < first or cnp.PyArray_DIM(a, 1) < second or cnp.PyArray_DIM(a, 2) < last):
        raise ValueError(f"{name} must be a writeable float32 array of at least {(first, second, last)}; got dtype {a.dtype}, "
                         f"shape {(<object>a).shape}")
    return 0


def lstm_forward(cnp.ndarray vectors, Py_ssize_t n, cnp.ndarray start, cnp.ndarray c, cnp.ndarray gates, cnp.ndarray squashed,
                 cnp.ndarray out, forward, read):
    """Go through the steps of cells, with h (batch, units) to `start` from and c[0] its cells.

    `vectors` (time, batch, columns) get h of the step before from place n on. forward(vector, a) fills the gates before their
    functions; where it is None, read(t) returns them. Filled are `out` (batch, time, units) with h, and with what the way back
    needs `c` (time + 1, batch, units), `gates` (time, batch, 4 units) and `squashed` (time, batch, units); where that is not
    wanted these have but 2, 1 and 1 steps, and are used again."""
    cdef Py_ssize_t time = cnp.PyArray_DIM(vectors, 0), batch = cnp.PyArray_DIM(vectors, 1), units = cnp.PyArray_DIM(out, 2)
    cdef Py_ssize_t t, k, kept = cnp.PyArray_DIM(gates, 0) >= time, at, before, after
    cdef float *h
    _check_steps("vectors", vectors, time, batch, n + units)
    _check_steps("c", c, time + 1 if kept else 2, batch, units)
    _check_steps("gates", gates, time if kept else 1, batch, 4 * units)
    _check_steps("squashed", squashed, time if kept else 1, batch, units)
    _check_steps("out", out, batch, time, units)
    if ((<object>start).shape != (batch, units) or cnp.PyArray_TYPE(start) != cnp.NPY_FLOAT32
            or not cnp.PyArray_ISCARRAY_RO(start)):
        raise ValueError(f"start must be a float32 array of shape {(batch, units)}; got {(<object>start).shape}")
    for t in range(time):
        at, before, after = t, t, t + 1
        if not kept:
            at, before, after = 0, t % 2, (t + 1) % 2
        for k in range(batch):
            h = <float *>cnp.PyArray_DATA(start) + k * units if t == 0 else _row(out, k, t - 1)
            memcpy(_row(vectors, t, k) + n, h, units * sizeof(float))
        if forward is None:
            gates[at] = read(t)
        else:
            forward(vectors[t], gates[at])
            PyErr_CheckSignals()
        for k in range(batch):
            active_kernels().lstm(_row(c, before, k), units, _row(gates, at, k), _row(c, after, k), _row(squashed, at, k),
                                  _row(out, k, t))
    return time % 2 if not kept else time


def lstm_backward(cnp.ndarray d, Py_ssize_t n, cnp.ndarray c, cnp.ndarray gates, cnp.ndarray squashed, cnp.ndarray deltas, z,
                  backward, read_back):
    """Go back through the steps of `lstm_forward` with the gradient d (batch, time, units) of h.

    Filled are the gradients `deltas` (time, batch, 4 units) of the gates and, unless it is None, z (batch, time, n) of the
    inputs. backward(delta) returns the gradient of the vector; where it is None, read_back(t, delta) does."""
    cdef Py_ssize_t batch = cnp.PyArray_DIM(d, 0), time = cnp.PyArray_DIM(d, 1), units = cnp.PyArray_DIM(d, 2), t, k, j
    cdef cnp.ndarray dh = _like(c[0]), dc = _like(c[0]), dc_before = _like(c[0]), back, inputs = z
    cdef float *own
    cdef float *given
    cdef bint wanted = z is not None
    _check_steps("d", d, batch, time, units)
    _check_steps("deltas", deltas, time, batch, 4 * units)
    _check_steps("c", c, time + 1, batch, units)
    _check_steps("gates", gates, time, batch, 4 * units)
    _check_steps("squashed", squashed, time, batch, units)
    if wanted:
        _check_steps("z", inputs, batch, time, n)
    memset(cnp.PyArray_DATA(dh), 0, cnp.PyArray_NBYTES(dh))
    memset(cnp.PyArray_DATA(dc), 0, cnp.PyArray_NBYTES(dc))
    for t in range(time - 1, -1, -1):
        for k in range(batch):
            own, given = <float *>cnp.PyArray_DATA(dh) + k * units, _row(d, k, t)
            for j in range(units):
                own[j] += given[j]
            active_kernels().lstm_gradient(
                _row(gates, t, k), _row(c, t, k), _row(squashed, t, k), units, own,
                <float *>cnp.PyArray_DATA(dc) + k * units, _row(deltas, t, k), <float *>cnp.PyArray_DATA(dc_before) + k * units)
        dc, dc_before = dc_before, dc
        if backward is None:
            back = _floats(read_back(t, deltas[t]))
        else:
            back = backward(deltas[t])
            PyErr_CheckSignals()
        if (<object>back).shape[0] != batch or (<object>back).shape[1] < n + units or not cnp.PyArray_ISCARRAY_RO(back):
            raise ValueError(f"gradients of vectors must have shape {(batch, n + units)}; got {(<object>back).shape}")
        for k in range(batch):
            given = <float *>cnp.PyArray_DATA(back) + k * cnp.PyArray_DIM(back, 1)
            memcpy(<float *>cnp.PyArray_DATA(dh) + k * units, given + n, units * sizeof(float))
            if wanted:
                memcpy(_row(inputs, k, t), given, n * sizeof(float))
