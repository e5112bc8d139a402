"""The resistor network of one crossbar array: factors that last as long as the conductances, and solves.

Decided, and why:
- The numerical part is rpusim/_core/kernels/wires_impl.h, compiled per instruction set; here are memory, layout and threads.
- Vectors are independent, so threads take one each, and neither their number nor the split of a batch shows in the bits.
- Inputs are scaled by a power of two to below 1: neither picovolts nor megavolts under- or overflow when squared.
- Interrupts are looked for after as many vectors as there are threads.
"""

from threading import RLock

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange
from libc.math cimport fabs, frexp, ldexp
from libc.stdlib cimport free
from libc.string cimport memset

from rpusim._core.array cimport grow, num_threads
from rpusim._core.kernels cimport RPU_STRIP, RPU_WIRES_GRID, RPU_WIRES_WORK, active_kernels

cdef enum:
    MAX_THREADS = 64
    WORK_PER_THREAD = 4096      # nodes below which another thread costs more than it gives


cdef double _largest(const double *v, Py_ssize_t n) noexcept nogil:
    cdef double largest = 0.0
    cdef Py_ssize_t k
    for k in range(n):
        largest = max(largest, fabs(v[k]))
    return largest


cdef class NetworkCore:
    def __cinit__(self):
        self.factors.data = self.work.data = self.doubles.data = self.starts.data = NULL
        self.factors.size = self.work.size = self.doubles.size = self.starts.size = 0

    def __dealloc__(self):
        free(self.factors.data)
        free(self.work.data)
        free(self.doubles.data)
        free(self.starts.data)

    def __init__(self, words, bits, double tolerance, int64_t max_iterations):
        """Take the lines of both directions: (3, rows) and (3, columns) ohm, float64: between nodes, to the near terminal, to
        the far one."""
        cdef const double[:, ::1] w = words, b = bits
        self.kernels = active_kernels()
        self.lock = RLock()
        self.owners = (words, bits)
        self.rows, self.columns = w.shape[1], b.shape[1]
        self.net.words.inner, self.net.words.near, self.net.words.far = &w[0, 0], &w[1, 0], &w[2, 0]
        self.net.bits.inner, self.net.bits.near, self.net.bits.far = &b[0, 0], &b[1, 0], &b[2, 0]
        self.words_resist, self.bits_resist = words[1:].min() > 0.0, bits[1:].min() > 0.0
        self.net.rows, self.net.columns = self.rows, self.columns
        self.net.strips = (self.rows + RPU_STRIP - 1) // RPU_STRIP
        self.net.width = (self.columns + RPU_STRIP - 1) // RPU_STRIP * RPU_STRIP
        if self.net.width % 64 == 0:
            self.net.width += RPU_STRIP     # rows at powers of two share too few sets of a cache
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.iterations = 0
        self.residual = 0.0
        self.start_vectors = 0
        self._place(&self.net, <double *>grow(&self.factors, 5 * self._grid() * sizeof(double)))

    cdef Py_ssize_t _grid(self) noexcept nogil:
        return RPU_WIRES_GRID(&self.net)

    cdef Py_ssize_t _share(self) noexcept nogil:
        # doubles that a thread needs: for the kernel, and both terminals' voltages and currents
        return RPU_WIRES_WORK(&self.net) + 2 * (RPU_STRIP * self.net.strips + self.net.width)

    cdef void _place(self, rpu_wires *net, double *memory) noexcept nogil:
        # a network of this shape with its factors in `memory`
        cdef Py_ssize_t grid = self._grid()
        net[0] = self.net
        net.g, net.row_c, net.row_d = memory, memory + grid, memory + 2 * grid
        net.col_c, net.col_d = memory + 3 * grid, memory + 4 * grid

    cdef int factor(self, const double *g) except -1 nogil:
        self.kernels.wires_factor(&self.net, g, <double *>grow(&self.work, self._share() * sizeof(double)))
        return 0

    cdef int factor_float(self, const float *g) except -1 nogil:
        cdef Py_ssize_t k, count = self.rows * self.columns
        cdef double *wide = <double *>grow(&self.doubles, count * sizeof(double))
        for k in range(count):
            wide[k] = g[k]
        return self.factor(wide)

    cdef int solve(self, const double *v, double *out, Py_ssize_t vectors, int transposed, int warm) except -1 nogil:
        cdef Py_ssize_t n_in = self.columns if transposed else self.rows, n_out = self.rows if transposed else self.columns
        cdef Py_ssize_t grid = self._grid(), share = self._share(), first = 0, last, b
        cdef Py_ssize_t threads = _threads_for(vectors, grid)
        cdef double *memory = <double *>grow(&self.work, threads * share * sizeof(double))
        cdef double *starts = NULL
        cdef rpu_wires_task tasks[MAX_THREADS]
        cdef int failed = 0, known = warm and self.start_vectors == vectors and self.start_transposed == transposed
        if warm:
            starts = <double *>grow(&self.starts, vectors * grid * sizeof(double))     # as it is, where it was as large
            self.start_vectors = 0
        self.iterations = 0
        self.residual = 0.0
        while first < vectors:
            last = min(first + threads, vectors)
            for b in prange(first, last, num_threads=threads, schedule="static", chunksize=1):
                failed |= self._read(v + b * n_in, out + b * n_out, transposed, NULL if starts == NULL else starts + b * grid,
                                     known, memory + (b - first) * share, &tasks[b - first])
            self._note(tasks, last - first)
            first = last
            if first < vectors:
                with gil:
                    PyErr_CheckSignals()    # Ctrl-C stops long calls
        if warm and not failed:
            self.start_vectors, self.start_transposed = vectors, transposed
        return failed

    cdef int solve_float(self, const float *v, float *out, Py_ssize_t vectors, int transposed, int warm) except -1 nogil:
        cdef Py_ssize_t n_in = vectors * (self.columns if transposed else self.rows)
        cdef Py_ssize_t n_out = vectors * (self.rows if transposed else self.columns), k
        cdef double *wide = <double *>grow(&self.doubles, (n_in + n_out) * sizeof(double))
        cdef int failed
        for k in range(n_in):
            wide[k] = v[k]
        failed = self.solve(wide, wide + n_in, vectors, transposed, warm)
        for k in range(n_out):
            out[k] = <float>wide[n_in + k]
        return failed

    cdef int _vector(self, const rpu_wires *net, const double *word, const double *bit, double *emf, double *u, double *v,
                     int warm, double *memory, rpu_wires_task *task, double *unit) noexcept nogil:
        # Solves for one vector in units of 1 / unit volt; word, bit: NULL where they are 0; u, v: grids or NULL.
        cdef Py_ssize_t tall = RPU_STRIP * net.strips, k
        cdef double *words = memory
        cdef double *bits = words + tall
        cdef double largest = 0.0
        cdef int exponent = 0
        memset(memory, 0, (tall + net.width) * sizeof(double))
        task.word, task.bit, task.emf, task.u, task.v = words, bits, emf, u, v
        task.word_out = bits + net.width
        task.bit_out = task.word_out + tall
        task.work = task.bit_out + net.width
        task.ends = 0
        if u == NULL and v == NULL:
            task.ends = self.bits_resist if bit == NULL else self.words_resist
        task.warm, task.tolerance, task.max_iterations = warm, self.tolerance, self.max_iterations
        if word != NULL:
            largest = _largest(word, net.rows)
        if bit != NULL:
            largest = max(largest, _largest(bit, net.columns))
        frexp(largest, &exponent)
        unit[0] = ldexp(1.0, -max(-1000, min(exponent, 1000)))
        if word != NULL:
            for k in range(net.rows):
                words[k] = unit[0] * word[k]
        if bit != NULL:
            for k in range(net.columns):
                bits[k] = unit[0] * bit[k]
        if warm:
            _scale(u, unit[0], self._grid())
        if emf != NULL:
            _scale(emf, unit[0], self._grid())
        k = not self.kernels.wires_solve(net, task)
        if u != NULL:
            _scale(u, 1.0 / unit[0], self._grid())
        if v != NULL:
            _scale(v, 1.0 / unit[0], self._grid())
        return k

    cdef int _read(self, const double *v, double *out, int transposed, double *start, int warm, double *memory,
                   rpu_wires_task *task) noexcept nogil:
        cdef const double *word = NULL
        cdef const double *bit = NULL
        cdef double unit
        cdef Py_ssize_t k
        cdef int failed
        if transposed:
            bit = v
        else:
            word = v
        failed = self._vector(&self.net, word, bit, NULL, start, NULL, warm, memory, task, &unit)
        if transposed:
            for k in range(self.rows):
                out[k] = -task.word_out[k] / unit
        else:
            for k in range(self.columns):
                out[k] = task.bit_out[k] / unit
        return failed

    cdef int _solution(self, const double *g, const double *word, const double *bit, const double *emf, double *u, double *v,
                       double *memory, rpu_wires_task *task) noexcept nogil:
        # Nodes less their terminals; with conductances and sources of its own where g is not NULL.
        cdef Py_ssize_t grid = self._grid(), width = self.net.width, i, j
        cdef double *tall_u = memory
        cdef double *tall_v = tall_u + grid
        cdef double *strips = tall_v + grid
        cdef double unit
        cdef int failed
        cdef rpu_wires net = self.net
        memory = strips + 6 * grid
        if g != NULL:
            self._place(&net, strips + grid)
            self.kernels.wires_factor(&net, g, memory)
            memset(strips, 0, grid * sizeof(double))
            for i in range(self.rows):
                for j in range(self.columns):
                    strips[(i // RPU_STRIP * width + j) * RPU_STRIP + i % RPU_STRIP] = emf[i * self.columns + j]
        failed = self._vector(&net, word, bit, strips if g != NULL else NULL, tall_u, tall_v, 0, memory, task, &unit)
        for i in range(self.rows):
            for j in range(self.columns):
                u[i * self.columns + j] = tall_u[i * width + j]
                v[i * self.columns + j] = tall_v[i * width + j]
        return failed

    cdef void _note(self, const rpu_wires_task *tasks, Py_ssize_t count) noexcept nogil:
        cdef Py_ssize_t k
        for k in range(count):
            self.iterations = max(self.iterations, tasks[k].iterations)
            if not tasks[k].residual <= self.residual:      # NaN too
                self.residual = tasks[k].residual

    def py_factor(self, const double[:, ::1] g):
        """Factor for new conductances (rows, columns)."""
        with self.lock, nogil:
            self.factor(&g[0, 0])

    def py_solve(self, const double[:, ::1] v, double[:, ::1] out, bint transposed, bint warm):
        """Fill `out` with the currents of `v`; return whether all vectors have converged."""
        cdef int failed = 1
        with self.lock, nogil:
            failed = self.solve(&v[0, 0], &out[0, 0], v.shape[0], transposed, warm)
        return not failed

    def py_read_float(self, const float[:, ::1] g, const float[:, ::1] v, float[:, ::1] out, bint transposed):
        """Factor for `g` and fill `out` with the currents of `v`, as compiled callers do; return whether all converged."""
        cdef int failed = 1
        with self.lock, nogil:
            self.factor_float(&g[0, 0])
            failed = self.solve_float(&v[0, 0], &out[0, 0], v.shape[0], transposed, False)
        return not failed

    def py_solution(self, const double[:, ::1] word, const double[:, ::1] bit, double[:, :, ::1] u, double[:, :, ::1] v,
                    const double[:, :, ::1] g=None, const double[:, :, ::1] emf=None):
        """Fill `u` and `v` with the nodes of every vector, less their terminals; return whether all have converged.

        With `g` and `emf` (vectors, rows, columns) every vector has conductances of its own, and sources within devices."""
        cdef Py_ssize_t vectors = word.shape[0], grid = self._grid(), share = self._share() + 8 * grid, first = 0, last, b
        cdef Py_ssize_t threads = _threads_for(vectors, grid)
        cdef double *memory
        cdef rpu_wires_task tasks[MAX_THREADS]
        cdef int failed = 0, own = g is not None
        with self.lock, nogil:
            memory = <double *>grow(&self.work, threads * share * sizeof(double))
            self.iterations = 0
            self.residual = 0.0
            while first < vectors:
                last = min(first + threads, vectors)
                for b in prange(first, last, num_threads=threads, schedule="static", chunksize=1):
                    failed |= self._solution(&g[b, 0, 0] if own else NULL, &word[b, 0], &bit[b, 0],
                                             &emf[b, 0, 0] if own else NULL, &u[b, 0, 0], &v[b, 0, 0],
                                             memory + (b - first) * share, &tasks[b - first])
                self._note(tasks, last - first)
                first = last
                with gil:
                    PyErr_CheckSignals()
        return not failed


cdef Py_ssize_t _threads_for(Py_ssize_t vectors, Py_ssize_t grid) noexcept nogil:
    cdef Py_ssize_t useful = min(vectors, 1 + vectors * grid // WORK_PER_THREAD)
    return max(1, min(min(<Py_ssize_t>num_threads(), useful), MAX_THREADS))


cdef void _scale(double *x, double factor, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(count):
        x[k] *= factor
