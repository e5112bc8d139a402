"""Windows of images: copied to vectors, added up to images again, and the largest value and the mean of each.

Decided, and why: one image at a time, a convolution in NumPy was a copy of a view of six axes and 25 additions of strided
views, and pooling some ten calls; together they took more than half of the time of training (measured: LeNet on digital
tiles 1.5 ms per image, now 0.3). Here a line of a window is a run of numbers on both sides, and what lies outside an image is
met there, without a padded copy. Images may have their channels innermost in memory, as convolutions leave them.
"""

cimport numpy as cnp
from libc.stdint cimport int32_t

import numpy as np

from rpusim._base.validation import plain_array

cnp.import_array()


cdef enum:
    AT_ONCE = 32        # windows of a row, whose vectors stay in the first-level cache
    CHANNELS = 16       # of a window of pooling, side by side


cdef struct Windows:
    Py_ssize_t height, width                        # of the kernel
    Py_ssize_t down, across                         # stride
    Py_ssize_t above, before                        # padding
    Py_ssize_t apart_down, apart_across             # dilation


cdef struct Images:
    float *data
    Py_ssize_t images, channels, height, width
    Py_ssize_t image_step, channel_step, row_step, column_step      # in numbers


cdef Windows _geometry(tuple numbers) except *:
    cdef Windows g
    g.height, g.width, g.down, g.across, g.above, g.before, g.apart_down, g.apart_across = numbers
    return g


cdef bint _is_plain(cnp.ndarray x):
    return cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32 and cnp.PyArray_ISALIGNED(x) and cnp.PyArray_ISNOTSWAPPED(x)


cdef cnp.ndarray _readable(value):
    # As float32 of any strides.
    array = plain_array("x and d", value, "real numbers")
    if not _is_plain(array):
        if array.dtype.kind not in "fiub":
            raise TypeError(f"signals must be real numbers; got dtype {array.dtype}")
        array = array.astype(np.float32)
    return array


cdef Images _images(str name, cnp.ndarray x, bint writes) except *:
    cdef Images a
    if not _is_plain(x) or cnp.PyArray_NDIM(x) != 4 or writes and not cnp.PyArray_ISWRITEABLE(x):
        raise ValueError(f"{name} must be a {'writeable ' if writes else ''}float32 array of four axes; got dtype {x.dtype}, "
                         f"shape {(<object>x).shape}")
    a.data = <float *>cnp.PyArray_DATA(x)
    a.images, a.channels, a.height, a.width = (<object>x).shape
    a.image_step, a.channel_step = cnp.PyArray_STRIDE(x, 0) // 4, cnp.PyArray_STRIDE(x, 1) // 4
    a.row_step, a.column_step = cnp.PyArray_STRIDE(x, 2) // 4, cnp.PyArray_STRIDE(x, 3) // 4
    return a


cdef float *_vectors(str name, cnp.ndarray v, Py_ssize_t count, Py_ssize_t length, bint writes, Py_ssize_t *step) except NULL:
    # Where `count` vectors of at least `length` numbers side by side are, `step` numbers apart.
    if (not _is_plain(v) or cnp.PyArray_NDIM(v) != 2 or cnp.PyArray_DIM(v, 0) != count or cnp.PyArray_DIM(v, 1) < length
            or count > 0 and length > 1 and cnp.PyArray_STRIDE(v, 1) != 4 or writes and not cnp.PyArray_ISWRITEABLE(v)):
        raise ValueError(f"{name} must be a {'writeable ' if writes else ''}float32 array of shape {(count, length)}, "
                         f"or wider, with rows in one piece; got dtype {v.dtype}, shape {(<object>v).shape}")
    step[0] = cnp.PyArray_STRIDE(v, 0) // 4
    return <float *>cnp.PyArray_DATA(v)


cdef int _check_inside(const Images *x, const Windows *g, Py_ssize_t rows, Py_ssize_t columns) except -1:
    if (rows < 1 or columns < 1 or (rows - 1) * g.down + g.height > x.height
            or (columns - 1) * g.across + g.width > x.width):
        raise ValueError(f"windows must lie within the images, of {x.height} x {x.width}; got {rows} x {columns} of "
                         f"{g.height} x {g.width}")
    return 0


cdef extern from *:
    """
    /* `count` runs of `width` numbers, `across` and `step` apart: a copy to v, or, last run first, an addition from it. */
    #define RPU_RUNS(W, DO) \\
        for (Py_ssize_t q = count - 1; q >= 0; q--) { \\
            float *l = line + q * across, *r = v + q * step; \\
            for (Py_ssize_t j = 0; j < (W); j++) DO; \\
        }
    #define RPU_EACH_WIDTH(DO) \\
        switch (width) { \\
        case 1: RPU_RUNS(1, DO) break; \\
        case 2: RPU_RUNS(2, DO) break; \\
        case 3: RPU_RUNS(3, DO) break; \\
        case 4: RPU_RUNS(4, DO) break; \\
        case 5: RPU_RUNS(5, DO) break; \\
        case 7: RPU_RUNS(7, DO) break; \\
        default: RPU_RUNS(width, DO) \\
        }
    static void rpu_copy_runs(float *line, Py_ssize_t across, float *v, Py_ssize_t step, Py_ssize_t count, Py_ssize_t width)
    {
        RPU_EACH_WIDTH(r[j] = l[j])
    }
    /* Of n numbers each: take what is larger, or the first that is no number, and note its place. */
    static inline void rpu_larger(const float *x, Py_ssize_t step, Py_ssize_t n, int32_t place, float *most, int32_t *found)
    {
        for (Py_ssize_t k = 0; k < n; k++) {
            const float value = x[k * step];
            const int take = (value > most[k]) | ((value != value) & (most[k] == most[k]));
            most[k] = take ? value : most[k];
            found[k] = take ? place : found[k];
        }
    }
    static void rpu_add_runs(float *line, Py_ssize_t across, float *v, Py_ssize_t step, Py_ssize_t count, Py_ssize_t width)
    {
        RPU_EACH_WIDTH(l[j] += r[j])
    }
    """
    void rpu_larger(const float *x, Py_ssize_t step, Py_ssize_t n, int32_t place, float *most, int32_t *found) nogil
    void rpu_copy_runs(float *line, Py_ssize_t across, float *v, Py_ssize_t step, Py_ssize_t count, Py_ssize_t width) nogil
    void rpu_add_runs(float *line, Py_ssize_t across, float *v, Py_ssize_t step, Py_ssize_t count, Py_ssize_t width) nogil


cdef void _run(const Images *x, const Windows *g, float *line, Py_ssize_t left, float *vector, bint back) noexcept nogil:
    # One line of one window, parts of which may lie outside the image.
    cdef Py_ssize_t j, at
    for j in range(g.width):
        at = left + j * g.apart_across
        if 0 <= at < x.width:
            if back:
                line[at * x.column_step] += vector[j]
            else:
                vector[j] = line[at * x.column_step]
        elif not back:
            vector[j] = 0.0


cdef void _windows_of_a_row(const Images *x, const Windows *g, Py_ssize_t image, Py_ssize_t row, Py_ssize_t column,
                            Py_ssize_t count, float *vectors, Py_ssize_t step, bint back) noexcept nogil:
    # Between some windows of a row and their vectors, in order of channel and place: a copy, or, back, an addition, which is
    # from the last window to the first, so that a pixel gets what is first in its windows first.
    cdef Py_ssize_t top = row * g.down - g.above, left = column * g.across - g.before, c, i, j, q, y, first = 0, last
    cdef Py_ssize_t reach = (g.width - 1) * g.apart_across + 1
    cdef bint runs = x.column_step == 1 and g.apart_across == 1
    cdef float *line
    # windows that lie within the image from side to side
    if left < 0:
        first = min(count, (-left + g.across - 1) // g.across)
    last = count if left + (count - 1) * g.across + reach <= x.width else max(
        first, min(count, (x.width - reach - left) // g.across + 1 if x.width >= reach + left else 0))
    for c in range(x.channels):
        for i in range(g.height):
            y = top + i * g.apart_down
            if 0 <= y < x.height:
                line = x.data + image * x.image_step + c * x.channel_step + y * x.row_step
                for q in range(count - 1, last - 1, -1):
                    _run(x, g, line, left + q * g.across, vectors + q * step, back)
                if runs and back:
                    rpu_add_runs(line + left + first * g.across, g.across, vectors + first * step, step, last - first, g.width)
                elif runs:
                    rpu_copy_runs(line + left + first * g.across, g.across, vectors + first * step, step, last - first, g.width)
                else:
                    for q in range(last - 1, first - 1, -1):
                        _run(x, g, line, left + q * g.across, vectors + q * step, back)
                for q in range(first - 1, -1, -1):
                    _run(x, g, line, left + q * g.across, vectors + q * step, back)
            elif not back:
                for q in range(count):
                    for j in range(g.width):
                        vectors[q * step + j] = 0.0
            vectors += g.width


cdef void _all_windows(const Images *x, const Windows *g, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t columns,
                       float *vectors, Py_ssize_t step, bint back) noexcept nogil:
    cdef Py_ssize_t b, r, q
    for b in range(x.images):
        for r in range(rows):
            q = 0
            while q < columns:
                _windows_of_a_row(x, g, b, first + r, q, min(<Py_ssize_t>AT_ONCE, columns - q),
                                  vectors + ((b * rows + r) * columns + q) * step, step, back)
                q += AT_ONCE


def gather(x, tuple windows, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t columns, cnp.ndarray out):
    """Write the windows of images (images, channels, height, width) to `out` (images rows columns, channels places or more).

    The order is that of image, row, column, from row `first` on, and that of channel and place of the kernel. `windows` are
    kernel, stride, padding and dilation, two numbers each. Outside the image is 0."""
    cdef cnp.ndarray source = _readable(x)
    cdef Images a = _images("x", source, False)
    cdef Windows g = _geometry(windows)
    cdef Py_ssize_t step
    cdef float *vectors = _vectors("out", out, a.images * rows * columns, a.channels * g.height * g.width, True, &step)
    with nogil:
        _all_windows(&a, &g, first, rows, columns, vectors, step, False)


def scatter(vectors, tuple windows, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t columns, cnp.ndarray out):
    """Add windows, in the order of `gather`, up to images `out` (images, channels, height, width): its adjoint."""
    cdef cnp.ndarray source = _readable(vectors)
    cdef Images a = _images("out", out, True)
    cdef Windows g = _geometry(windows)
    cdef Py_ssize_t step
    cdef float *v = _vectors("vectors", source, a.images * rows * columns, a.channels * g.height * g.width, False, &step)
    with nogil:
        _all_windows(&a, &g, first, rows, columns, v, step, True)


cdef cnp.ndarray _per_window(const Images *a, Py_ssize_t rows, Py_ssize_t columns, int kind):
    cdef cnp.npy_intp[4] shape
    shape[0], shape[1], shape[2], shape[3] = a.images, a.channels, rows, columns
    return cnp.PyArray_EMPTY(4, shape, kind, 0)


def largest(x, tuple windows, Py_ssize_t rows, Py_ssize_t columns):
    """Return the largest value of each window, float32 (images, channels, rows, columns), and its place (int32), the first one
    where several are; one that is no number where there is one. Of `windows` padding and dilation do not count."""
    cdef cnp.ndarray source = _readable(x)
    cdef Images a = _images("x", source, False)
    cdef Windows g = _geometry(windows)
    cdef Py_ssize_t b, c, r, q, i, j, n, k
    _check_inside(&a, &g, rows, columns)
    cdef cnp.ndarray top = _per_window(&a, rows, columns, cnp.NPY_FLOAT32)
    cdef cnp.ndarray where = _per_window(&a, rows, columns, cnp.NPY_INT32)
    cdef float *best = <float *>cnp.PyArray_DATA(top)
    cdef int32_t *place = <int32_t *>cnp.PyArray_DATA(where)
    cdef float *corner
    cdef float *line
    cdef float[CHANNELS] most
    cdef int32_t[CHANNELS] found
    with nogil:
        for b in range(a.images):
            c = 0
            while c < a.channels:
                n = min(<Py_ssize_t>CHANNELS, a.channels - c)
                for r in range(rows):
                    for q in range(columns):
                        corner = (a.data + b * a.image_step + c * a.channel_step + r * g.down * a.row_step
                                  + q * g.across * a.column_step)
                        for k in range(n):
                            most[k], found[k] = corner[k * a.channel_step], 0
                        for i in range(g.height):
                            for j in range(g.width):
                                line = corner + i * a.row_step + j * a.column_step
                                if a.channel_step == 1:
                                    rpu_larger(line, 1, n, <int32_t>(i * g.width + j), most, found)
                                else:
                                    rpu_larger(line, a.channel_step, n, <int32_t>(i * g.width + j), most, found)
                        for k in range(n):
                            best[(k * rows + r) * columns + q] = most[k]
                            place[(k * rows + r) * columns + q] = found[k]
                best += n * rows * columns
                place += n * rows * columns
                c += n
    return top, where


def to_places(d, cnp.ndarray places, tuple windows, cnp.ndarray out):
    """Add d (images, channels, rows, columns) up to images `out`, each at the place that `largest` found."""
    cdef cnp.ndarray given = _readable(d)
    cdef Images a = _images("out", out, True), source = _images("d", given, False)
    cdef Windows g = _geometry(windows)
    cdef Py_ssize_t b, c, r, q, k = 0
    if (cnp.PyArray_TYPE(places) != cnp.NPY_INT32 or not cnp.PyArray_ISCARRAY_RO(places)
            or not cnp.PyArray_SAMESHAPE(places, given) or (source.images, source.channels) != (a.images, a.channels)):
        raise ValueError(f"d must have the shape {(<object>places).shape} of places; got {(<object>given).shape}")
    _check_inside(&a, &g, source.height, source.width)
    cdef int32_t *place = <int32_t *>cnp.PyArray_DATA(places)
    cdef cnp.ndarray table = np.add.outer(np.arange(g.height) * a.row_step, np.arange(g.width) * a.column_step).astype(np.intp)
    cdef cnp.npy_intp *offsets = <cnp.npy_intp *>cnp.PyArray_DATA(table)
    cdef float *corner
    cdef float *values
    with nogil:
        for b in range(a.images):
            for c in range(a.channels):
                for r in range(source.height):
                    corner = a.data + b * a.image_step + c * a.channel_step + r * g.down * a.row_step
                    values = source.data + b * source.image_step + c * source.channel_step + r * source.row_step
                    for q in range(source.width):
                        corner[q * g.across * a.column_step + offsets[place[k]]] += values[q * source.column_step]
                        k += 1


def mean(x, tuple windows, Py_ssize_t rows, Py_ssize_t columns):
    """Return the mean of each window, float32 (images, channels, rows, columns). Of `windows` padding and dilation do not
    count."""
    cdef cnp.ndarray source = _readable(x)
    cdef Images a = _images("x", source, False)
    cdef Windows g = _geometry(windows)
    cdef Py_ssize_t b, c, r, q, i, j
    _check_inside(&a, &g, rows, columns)
    cdef cnp.ndarray found = _per_window(&a, rows, columns, cnp.NPY_FLOAT32)
    cdef float *out = <float *>cnp.PyArray_DATA(found)
    cdef float *corner
    cdef float *line
    cdef float total, places = <float>(g.height * g.width)
    with nogil:
        for b in range(a.images):
            for c in range(a.channels):
                for r in range(rows):
                    corner = a.data + b * a.image_step + c * a.channel_step + r * g.down * a.row_step
                    if columns < g.width:       # few windows: one after another
                        for q in range(columns):
                            total = 0.0
                            for i in range(g.height):
                                line = corner + i * a.row_step + q * g.across * a.column_step
                                for j in range(g.width):
                                    total += line[j * a.column_step]
                            out[q] = total
                    else:
                        for q in range(columns):
                            out[q] = 0.0
                        for i in range(g.height):
                            for j in range(g.width):
                                line = corner + i * a.row_step + j * a.column_step
                                for q in range(columns):
                                    out[q] += line[q * g.across * a.column_step]
                    for q in range(columns):
                        out[q] /= places
                    out += columns
    return found


def spread(d, tuple windows, cnp.ndarray out):
    """Add d (images, channels, rows, columns) / places up to images `out`, at all places of each window: the adjoint of
    `mean`."""
    cdef cnp.ndarray given = _readable(d)
    cdef Images a = _images("out", out, True), source = _images("d", given, False)
    cdef Windows g = _geometry(windows)
    cdef Py_ssize_t b, c, r, q, i, j
    if (source.images, source.channels) != (a.images, a.channels):
        raise ValueError(f"d must have as many images and channels as out, {(a.images, a.channels)}; got shape "
                         f"{(<object>given).shape}")
    _check_inside(&a, &g, source.height, source.width)
    cdef float *line
    cdef float *values
    cdef float places = <float>(g.height * g.width)
    with nogil:
        for b in range(a.images):
            for c in range(a.channels):
                for r in range(source.height):
                    values = source.data + b * source.image_step + c * source.channel_step + r * source.row_step
                    for i in range(g.height):
                        for j in range(g.width):
                            line = (a.data + b * a.image_step + c * a.channel_step + (r * g.down + i) * a.row_step
                                    + j * a.column_step)
                            for q in range(source.width):
                                line[q * g.across * a.column_step] += values[q * source.column_step] / places
