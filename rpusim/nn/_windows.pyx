"""Windows of images: copied to vectors, added up to images again, and the largest value of each.

Decided, and why: one image at a time, a convolution in NumPy was a copy of a view of six axes and 25 additions of strided
views, and pooling some ten calls; together they took more than half of the time of training (measured: LeNet on digital
tiles 1.5 ms per image, now 0.75). Here each window is one loop, and what lies outside an image is met there, without a
padded copy.
"""

cimport numpy as cnp

cnp.import_array()


cdef struct Windows:
    Py_ssize_t height, width                        # of the kernel
    Py_ssize_t down, across                         # stride
    Py_ssize_t above, before                        # padding
    Py_ssize_t apart_down, apart_across             # dilation


cdef struct Images:
    float *data
    Py_ssize_t images, channels, height, width
    Py_ssize_t image_step, channel_step, row_step, column_step      # in numbers


cdef Images _images(str name, cnp.ndarray x, bint writes) except *:
    # Of a float32 array of any strides.
    cdef Images a
    if (cnp.PyArray_TYPE(x) != cnp.NPY_FLOAT32 or cnp.PyArray_NDIM(x) != 4 or not cnp.PyArray_ISALIGNED(x)
            or writes and not cnp.PyArray_ISWRITEABLE(x)):
        raise ValueError(f"{name} must be a {'writeable ' if writes else ''}float32 array of four axes; got dtype {x.dtype}, "
                         f"shape {(<object>x).shape}")
    a.data = <float *>cnp.PyArray_DATA(x)
    a.images, a.channels, a.height, a.width = (<object>x).shape
    a.image_step, a.channel_step = cnp.PyArray_STRIDE(x, 0) // 4, cnp.PyArray_STRIDE(x, 1) // 4
    a.row_step, a.column_step = cnp.PyArray_STRIDE(x, 2) // 4, cnp.PyArray_STRIDE(x, 3) // 4
    return a


cdef float *_vectors(str name, cnp.ndarray v, Py_ssize_t count, Py_ssize_t length, Py_ssize_t *step) except NULL:
    # Where `count` vectors of at least `length` numbers side by side are, `step` numbers apart.
    if (cnp.PyArray_TYPE(v) != cnp.NPY_FLOAT32 or cnp.PyArray_NDIM(v) != 2 or not cnp.PyArray_ISALIGNED(v)
            or cnp.PyArray_DIM(v, 0) != count or cnp.PyArray_DIM(v, 1) < length
            or count > 0 and length > 1 and cnp.PyArray_STRIDE(v, 1) != 4):
        raise ValueError(f"{name} must be a float32 array of shape {(count, length)}, or wider; got dtype {v.dtype}, "
                         f"shape {(<object>v).shape}")
    step[0] = cnp.PyArray_STRIDE(v, 0) // 4
    return <float *>cnp.PyArray_DATA(v)


cdef void _one_window(const Images *x, const Windows *g, Py_ssize_t image, Py_ssize_t row, Py_ssize_t column, float *vector,
                      bint back) noexcept nogil:
    # Between the window at `row` and `column` and a vector, in order of channel and place: a copy, or, back, an addition.
    cdef Py_ssize_t top = row * g.down - g.above, left = column * g.across - g.before
    cdef Py_ssize_t step = g.apart_across * x.column_step, c, i, j, y
    # places of the kernel that lie inside
    cdef Py_ssize_t first = 0 if left >= 0 else (-left + g.apart_across - 1) // g.apart_across
    cdef Py_ssize_t last = 0 if left >= x.width else min(g.width, (x.width - 1 - left) // g.apart_across + 1)
    cdef float *line
    for c in range(x.channels):
        for i in range(g.height):
            y = top + i * g.apart_down
            if 0 <= y < x.height and first < last:
                line = x.data + image * x.image_step + c * x.channel_step + y * x.row_step + left * x.column_step
                if back:
                    for j in range(first, last):
                        line[j * step] += vector[j]
                else:
                    for j in range(first):
                        vector[j] = 0.0
                    for j in range(first, last):
                        vector[j] = line[j * step]
                    for j in range(last, g.width):
                        vector[j] = 0.0
            elif not back:
                for j in range(g.width):
                    vector[j] = 0.0
            vector += g.width


cdef int _check_inside(const Images *x, const Windows *g, Py_ssize_t rows, Py_ssize_t columns) except -1:
    if (rows < 1 or columns < 1 or (rows - 1) * g.down + g.height > x.height
            or (columns - 1) * g.across + g.width > x.width):
        raise ValueError(f"windows must lie within the images, of {x.height} x {x.width}; got {rows} x {columns} of "
                         f"{g.height} x {g.width}")
    return 0


cdef Windows _geometry(tuple numbers) except *:
    cdef Windows g
    g.height, g.width, g.down, g.across, g.above, g.before, g.apart_down, g.apart_across = numbers
    return g


def gather(cnp.ndarray x, tuple windows, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t columns, cnp.ndarray out):
    """Write the windows of images (images, channels, height, width) to `out` (images rows columns, channels places or more).

    The order is that of image, row, column, from row `first` on, and that of channel and place of the kernel. `windows` are
    kernel, stride, padding and dilation, two numbers each. Outside the image is 0."""
    cdef Images a = _images("x", x, False)
    cdef Windows g = _geometry(windows)
    cdef Py_ssize_t step, b, r, q
    cdef float *vector = _vectors("out", out, a.images * rows * columns, a.channels * g.height * g.width, &step)
    with nogil:
        for b in range(a.images):
            for r in range(rows):
                for q in range(columns):
                    _one_window(&a, &g, b, first + r, q, vector, False)
                    vector += step


def scatter(cnp.ndarray vectors, tuple windows, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t columns, cnp.ndarray out):
    """Add windows, in the order of `gather`, up to images `out` (images, channels, height, width): its adjoint."""
    cdef Images a = _images("out", out, True)
    cdef Windows g = _geometry(windows)
    cdef Py_ssize_t step, b, r, q
    cdef float *vector = _vectors("vectors", vectors, a.images * rows * columns, a.channels * g.height * g.width, &step)
    with nogil:
        for b in range(a.images):
            for r in range(rows):
                for q in range(columns):
                    _one_window(&a, &g, b, first + r, q, vector, True)
                    vector += step


def largest(cnp.ndarray x, tuple windows, Py_ssize_t rows, Py_ssize_t columns):
    """Return the largest value of each window, float32 (images, channels, rows, columns), and its place (int32), the first one
    where several are; one that is no number where there is one. No padding."""
    cdef Images a = _images("x", x, False)
    cdef Windows g = _geometry(windows)
    cdef cnp.npy_intp[4] shape
    cdef Py_ssize_t b, c, r, q, i, j, k = 0
    _check_inside(&a, &g, rows, columns)
    shape[0], shape[1], shape[2], shape[3] = a.images, a.channels, rows, columns
    cdef cnp.ndarray top = cnp.PyArray_EMPTY(4, shape, cnp.NPY_FLOAT32, 0)
    cdef cnp.ndarray where = cnp.PyArray_EMPTY(4, shape, cnp.NPY_INT32, 0)
    cdef float *best = <float *>cnp.PyArray_DATA(top)
    cdef cnp.npy_int32 *place = <cnp.npy_int32 *>cnp.PyArray_DATA(where)
    cdef float *corner
    cdef float value, most
    cdef cnp.npy_int32 found
    with nogil:
        for b in range(a.images):
            for c in range(a.channels):
                for r in range(rows):
                    for q in range(columns):
                        corner = (a.data + b * a.image_step + c * a.channel_step + r * g.down * a.row_step
                                  + q * g.across * a.column_step)
                        most, found = corner[0], 0
                        for i in range(g.height):
                            for j in range(g.width):
                                value = corner[i * a.row_step + j * a.column_step]
                                if value > most or value != value and most == most:
                                    most, found = value, <cnp.npy_int32>(i * g.width + j)
                        best[k], place[k] = most, found
                        k += 1
    return top, where


def to_places(cnp.ndarray d, cnp.ndarray places, tuple windows, cnp.ndarray out):
    """Add d (images, channels, rows, columns) up to images `out`, each at the place that `largest` found."""
    cdef Images a = _images("out", out, True), source = _images("d", d, False)
    cdef Windows g = _geometry(windows)
    cdef Py_ssize_t b, c, r, q, k = 0
    if (cnp.PyArray_TYPE(places) != cnp.NPY_INT32 or not cnp.PyArray_ISCARRAY_RO(places)
            or (<object>places).shape != (<object>d).shape or (source.images, source.channels) != (a.images, a.channels)):
        raise ValueError(f"d must have the shape {(<object>places).shape} of places; got {(<object>d).shape}")
    _check_inside(&a, &g, source.height, source.width)
    cdef cnp.npy_int32 *place = <cnp.npy_int32 *>cnp.PyArray_DATA(places)
    with nogil:
        for b in range(a.images):
            for c in range(a.channels):
                for r in range(source.height):
                    for q in range(source.width):
                        a.data[b * a.image_step + c * a.channel_step + (r * g.down + place[k] // g.width) * a.row_step
                               + (q * g.across + place[k] % g.width) * a.column_step] += source.data[
                                   b * source.image_step + c * source.channel_step + r * source.row_step
                                   + q * source.column_step]
                        k += 1
