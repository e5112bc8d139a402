"""The resistor network of one crossbar array: factors that last as long as the conductances, and solves.

Decided, and why:
- The numerical part is rpusim/_core/kernels/wires_impl.h, compiled per instruction set; here are memory, layout and threads.
- Vectors are independent, so threads take one each, and their number does not show in the bits. Currents of many vectors
  are found in blocks of RPU_STRIP, from the first vector of a call on, whatever the number of threads; a last block may have
  empty lanes, and fewer vectors than make that pay are solved one by one. Blocks agree with these within the tolerance; one
  that does not converge in float32 is done again, one by one.
- Inputs are scaled by a power of two to below 1: neither picovolts nor megavolts under- or overflow when squared.
- Interrupts are looked for after as many vectors as there are threads.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, frexp, ldexp
from libc.stdlib cimport free
from libc.string cimport memset

from rpusim._core.buffers cimport grow
from rpusim._core.kernels cimport (
    RPU_STRIP,
    RPU_WIRES_BLOCK_FACTORS,
    RPU_WIRES_BLOCK_WORK,
    RPU_WIRES_GRID,
    RPU_WIRES_WORK,
    active_kernels,
)
from rpusim._core.threads cimport num_threads, rpu_part, rpu_take, run_team

cdef enum:
    MAX_THREADS = 64
    WORK_PER_THREAD = 4096      # nodes below which another thread costs more than it gives
    LEAST_BLOCK = 4             # vectors below which a block costs more than they do one by one
    MOST_BYTES = 1 << 30        # that threads take together for blocks, unless one alone needs more


cdef double _largest(const double *v, Py_ssize_t n) noexcept nogil:
    cdef double largest = 0.0
    cdef Py_ssize_t k
    for k in range(n):
        largest = max(largest, fabs(v[k]))
    return largest


cdef struct Branches:
    # What follows from the nodes of ohmic devices, for every vector: currents of devices (rows, columns), what they are
    # together on every line, and the first node of every line less its terminal.
    const double *g
    double *device
    double *row_sums
    double *column_sums
    double *left
    double *above


cdef struct Solves:
    # Solves that a team shares, from number `first` to `last`, and what came of each.
    void *core
    const double *v             # of vectors and blocks: in (n_in each), out (n_out each), nodes to start from (`size` each)
    double *out
    double *starts
    const double *g             # of nodes, instead: conductances or NULL, both terminals (n_in, n_out), sources, both nodes
    const double *word
    const double *bit
    const double *emf
    double *u
    double *nodes
    Branches branches           # filled in where its g is not NULL
    Py_ssize_t vectors, n_in, n_out, size
    int transposed, known
    double *memory              # `share` doubles each
    Py_ssize_t share
    Py_ssize_t first, last
    rpu_wires_task tasks[MAX_THREADS]
    int failed[MAX_THREADS]
    int64_t next


cdef void _solve_blocks(void *task, int member) noexcept nogil:
    cdef Solves *t = <Solves *>task
    cdef Py_ssize_t b, k
    while True:
        k = <Py_ssize_t>rpu_take(&t.next)
        b = t.first + k
        if b >= t.last:
            return
        t.failed[k] = (<NetworkCore>t.core)._block(
            t.v + RPU_STRIP * b * t.n_in, t.out + RPU_STRIP * b * t.n_out, min(RPU_STRIP, t.vectors - RPU_STRIP * b),
            t.transposed, t.memory + k * t.share, t.tasks + k)


cdef void _solve_vectors(void *task, int member) noexcept nogil:
    cdef Solves *t = <Solves *>task
    cdef Py_ssize_t b, k
    while True:
        k = <Py_ssize_t>rpu_take(&t.next)
        b = t.first + k
        if b >= t.last:
            return
        t.failed[k] = (<NetworkCore>t.core)._read(
            t.v + b * t.n_in, t.out + b * t.n_out, t.transposed, NULL if t.starts == NULL else t.starts + b * t.size, t.known,
            t.memory + k * t.share, t.tasks + k)


cdef extern from *:
    """
    /* One word line; returns what its devices take together. Four sums do not wait for each other. */
    static double rpu_row_of_branches(const double *g, double word, const double *bit, double *u, double *nodes, double *device,
                                      double *column_sums, Py_ssize_t n)
    {
        double sum[4] = {0.0, 0.0, 0.0, 0.0};
        Py_ssize_t j = 0;
        for (; j + 4 <= n; j += 4) {
            double d[4];
            for (int k = 0; k < 4; k++)
                d[k] = g[j + k] * (nodes[j + k] - u[j + k] + (word - bit[j + k]));
            for (int k = 0; k < 4; k++)
                sum[k] += d[k];
            for (int k = 0; k < 4; k++) {
                device[j + k] = d[k];
                column_sums[j + k] += d[k];
                nodes[j + k] += word;
                u[j + k] += bit[j + k];
            }
        }
        for (; j < n; j++) {
            const double d = g[j] * (nodes[j] - u[j] + (word - bit[j]));
            sum[0] += d;
            device[j] = d;
            column_sums[j] += d;
            nodes[j] += word;
            u[j] += bit[j];
        }
        return (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
    """
    double rpu_row_of_branches(const double *g, double word, const double *bit, double *u, double *nodes, double *device,
                               double *column_sums, Py_ssize_t n) nogil


cdef void _branches(const Branches *t, Py_ssize_t vector, Py_ssize_t rows, Py_ssize_t columns, const double *word,
                    const double *bit, double *u, double *nodes) noexcept nogil:
    # Of one vector, while its nodes are in a cache; they get their terminals' voltages.
    cdef double *column_sums = t.column_sums + vector * columns
    cdef double *device = t.device + vector * rows * columns
    cdef Py_ssize_t i, j
    for j in range(columns):
        column_sums[j], t.above[vector * columns + j] = 0.0, u[j]
    for i in range(rows):
        t.left[vector * rows + i] = nodes[0]
        t.row_sums[vector * rows + i] = rpu_row_of_branches(
            t.g + i * columns, word[i], bit, u, nodes, device, column_sums, columns)
        device += columns
        nodes += columns
        u += columns


cdef void _solve_nodes(void *task, int member) noexcept nogil:
    cdef Solves *t = <Solves *>task
    cdef const double *g = NULL
    cdef const double *emf = NULL
    cdef Py_ssize_t b, k
    while True:
        k = <Py_ssize_t>rpu_take(&t.next)
        b = t.first + k
        if b >= t.last:
            return
        if t.g != NULL:
            g = t.g + b * t.size
            emf = t.emf + b * t.size
        t.failed[k] = (<NetworkCore>t.core)._solution(
            g, t.word + b * t.n_in, t.bit + b * t.n_out, emf, t.u + b * t.size, t.nodes + b * t.size, t.memory + k * t.share,
            t.tasks + k)
        if t.branches.g != NULL:
            _branches(&t.branches, b, t.n_in, t.n_out, t.word + b * t.n_in, t.bit + b * t.n_out, t.u + b * t.size,
                      t.nodes + b * t.size)


cdef class NetworkCore:
    # Buffers are empty at first: Cython zeroes the attributes of new objects.
    def __dealloc__(self):
        free(self.factors.data)
        free(self.work.data)
        free(self.doubles.data)
        free(self.starts.data)
        free(self.narrow.data)

    def __init__(self, words, bits, double tolerance, int64_t max_iterations):
        """Take the lines of both directions: (3, rows) and (3, columns) ohm, float64: between nodes, to the near terminal, to
        the far one."""
        cdef const double[:, ::1] w = words, b = bits
        self.kernels = active_kernels()
        self.lock = Lock()
        self.owners = (words, bits)
        self.rows, self.columns = w.shape[1], b.shape[1]
        self.net.words.inner, self.net.words.near_end, self.net.words.far_end = &w[0, 0], &w[1, 0], &w[2, 0]
        self.net.bits.inner, self.net.bits.near_end, self.net.bits.far_end = &b[0, 0], &b[1, 0], &b[2, 0]
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
        # doubles that a thread needs for a vector: for the kernel, and both terminals' voltages and currents
        return RPU_WIRES_WORK(&self.net) + 2 * (RPU_STRIP * self.net.strips + self.net.width)

    cdef void _place(self, rpu_wires *net, double *memory) noexcept nogil:
        # a network of this shape with its factors in `memory`
        cdef Py_ssize_t grid = self._grid()
        net[0] = self.net
        net.g, net.row_c, net.row_d = memory, memory + grid, memory + 2 * grid
        net.col_c, net.col_d = memory + 3 * grid, memory + 4 * grid

    cdef int factor(self, const double *g) except -1 nogil:
        self.narrowed = False
        self.kernels.wires_factor(&self.net, g, <double *>grow(&self.work, self._share() * sizeof(double)))
        return 0

    cdef int factor_float(self, const float *g) except -1 nogil:
        cdef Py_ssize_t k, count = self.rows * self.columns
        cdef double *wide = <double *>grow(&self.doubles, count * sizeof(double))
        for k in range(count):
            wide[k] = g[k]
        return self.factor(wide)

    cdef int _narrow(self) except -1 nogil:
        # the factors of blocks
        cdef Py_ssize_t rows = self.rows, columns = self.columns, width = self.net.width, size = rows * columns, i, j, k, at
        cdef double *wide
        cdef float *out
        cdef double up, down
        cdef int exponent = 0
        if self.narrowed:
            return 0
        wide = <double *>grow(&self.narrow, RPU_WIRES_BLOCK_FACTORS(&self.net) * sizeof(double))
        out = <float *>(wide + 3 * size)
        frexp(_largest(self.net.g, self._grid()), &exponent)
        self.unit = ldexp(1.0, exponent // 2)
        up, down = self.unit * self.unit, 1.0 / (self.unit * self.unit)
        for i in range(rows):
            for j in range(columns):
                at, k = i * columns + j, (i // RPU_STRIP * width + j) * RPU_STRIP + i % RPU_STRIP
                wide[at], wide[size + at], wide[2 * size + at] = self.net.g[k], self.net.row_c[k], self.net.row_d[k]
                out[at] = <float>(self.net.g[k] * down)
                out[size + at] = <float>self.net.row_c[k]
                out[2 * size + at] = <float>(self.net.row_d[k] * up)
                out[3 * size + at] = <float>self.net.col_c[i * width + j]
                out[4 * size + at] = <float>(self.net.col_d[i * width + j] * self.unit)
        self.block, self.narrowed = wide, True
        return 0

    cdef Py_ssize_t _blocks(self, const double *v, double *out, Py_ssize_t vectors, int transposed,
                            int *failed) except -1 nogil:
        # solves as many vectors as are worth a block; returns their number
        cdef Py_ssize_t n_in = self.columns if transposed else self.rows, n_out = self.rows if transposed else self.columns
        cdef Py_ssize_t count = (vectors + RPU_STRIP - LEAST_BLOCK) // RPU_STRIP
        cdef Py_ssize_t share = max(self._share(), RPU_WIRES_BLOCK_WORK(&self.net) + 2 * RPU_STRIP * (self.rows + self.columns))
        cdef Py_ssize_t threads = min(_threads_for(count, RPU_STRIP * self._grid()),
                                      max(1, MOST_BYTES // (share * <Py_ssize_t>sizeof(double))))
        cdef double *memory = <double *>grow(&self.work, threads * share * sizeof(double))
        cdef Solves solves
        self._narrow()
        solves.core, solves.out, solves.vectors = <void *>self, out, vectors
        solves.v = v
        solves.n_in, solves.n_out, solves.transposed = n_in, n_out, transposed
        solves.memory, solves.share = memory, share
        failed[0] = self._share_out(_solve_blocks, &solves, 0, count, threads)
        return min(RPU_STRIP * count, vectors)

    cdef int _block(self, const double *v, double *out, Py_ssize_t vectors, int transposed, double *memory,
                    rpu_wires_task *task) noexcept nogil:
        # up to RPU_STRIP vectors, together if they converge so; whether one has not converged
        cdef Py_ssize_t n_in = self.columns if transposed else self.rows, n_out = self.rows if transposed else self.columns
        cdef double *words = memory
        cdef double *bits = words + RPU_STRIP * self.rows
        cdef double *ends = bits if transposed else words
        cdef double unit[RPU_STRIP]
        cdef Py_ssize_t k, lane
        cdef int exponent, failed = 0
        cdef int64_t iterations = 0
        cdef double residual = 0.0
        memset(memory, 0, RPU_STRIP * (self.rows + self.columns) * sizeof(double))
        for lane in range(vectors):
            exponent = 0
            frexp(_largest(v + lane * n_in, n_in), &exponent)
            unit[lane] = ldexp(1.0, -max(-1000, min(exponent, 1000)))
            for k in range(n_in):
                ends[RPU_STRIP * k + lane] = unit[lane] * v[lane * n_in + k]
        task.word, task.bit = words, bits
        task.word_out = bits + RPU_STRIP * self.columns
        task.bit_out = task.word_out + RPU_STRIP * self.rows
        task.work = task.bit_out + RPU_STRIP * self.columns
        task.tolerance, task.max_iterations = self.tolerance, self.max_iterations
        task.block, task.block_unit = self.block, self.unit
        if self.kernels.wires_solve(&self.net, task):
            ends = task.word_out if transposed else task.bit_out
            for lane in range(vectors):
                for k in range(n_out):
                    out[lane * n_out + k] = (-1.0 if transposed else 1.0) * ends[RPU_STRIP * k + lane] / unit[lane]
            return 0
        for lane in range(vectors):
            failed |= self._read(v + lane * n_in, out + lane * n_out, transposed, NULL, 0, memory, task)
            iterations = max(iterations, task.iterations)
            if not task.residual <= residual:
                residual = task.residual
        task.iterations, task.residual = iterations, residual
        return failed

    cdef int solve(self, const double *v, double *out, Py_ssize_t vectors, int transposed, int warm) except -1 nogil:
        cdef Py_ssize_t n_in = self.columns if transposed else self.rows, n_out = self.rows if transposed else self.columns
        cdef Py_ssize_t grid = self._grid(), share = self._share(), first = 0
        cdef Py_ssize_t threads = _threads_for(vectors, grid)
        cdef double *starts = NULL
        cdef Solves solves
        cdef int failed = 0, known = warm and self.start_vectors == vectors and self.start_transposed == transposed
        if warm:
            starts = <double *>grow(&self.starts, vectors * grid * sizeof(double))     # as it is, where it was as large
            self.start_vectors = 0
        self.iterations = 0
        self.residual = 0.0
        if not warm and vectors >= LEAST_BLOCK and (self.words_resist if transposed else self.bits_resist):
            first = self._blocks(v, out, vectors, transposed, &failed)
        solves.core, solves.out, solves.starts, solves.size = <void *>self, out, starts, grid
        solves.v = v
        solves.n_in, solves.n_out, solves.transposed, solves.known = n_in, n_out, transposed, known
        solves.memory, solves.share = <double *>grow(&self.work, threads * share * sizeof(double)), share
        failed |= self._share_out(_solve_vectors, &solves, first, vectors, threads)
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
        task.ends, task.block = 0, NULL
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

    cdef int _share_out(self, rpu_part part, Solves *solves, Py_ssize_t first, Py_ssize_t count,
                        Py_ssize_t threads) except -1 nogil:
        # Solves number `first` to `count`, as many at a time as there are threads; whether one has not converged.
        cdef Py_ssize_t k
        cdef int failed = 0
        while first < count:
            solves.first, solves.last, solves.next = first, min(first + threads, count), 0
            run_team(part, solves, <int>(solves.last - first), 1e9)
            for k in range(solves.last - first):
                failed |= solves.failed[k]
            self._note(solves.tasks, solves.last - first)
            first = solves.last
            if first < count:
                with gil:
                    PyErr_CheckSignals()    # Ctrl-C stops long calls
        return failed

    cdef void _note(self, const rpu_wires_task *tasks, Py_ssize_t count) noexcept nogil:
        cdef Py_ssize_t k
        for k in range(count):
            self.iterations = max(self.iterations, tasks[k].iterations)
            if not tasks[k].residual <= self.residual:      # NaN too
                self.residual = tasks[k].residual

    def py_factor(self, const double[:, ::1] g):
        """Factor for new conductances (rows, columns)."""
        self.lock.begin()
        try:
            with nogil:
                self.factor(&g[0, 0])
        finally:
            self.lock.end()

    def py_solve(self, const double[:, ::1] v, double[:, ::1] out, bint transposed, bint warm):
        """Fill `out` with the currents of `v`; return whether all vectors have converged."""
        cdef int failed = 1
        self.lock.begin()
        try:
            with nogil:
                failed = self.solve(&v[0, 0], &out[0, 0], v.shape[0], transposed, warm)
        finally:
            self.lock.end()
        return not failed

    def py_read_float(self, const float[:, ::1] g, const float[:, ::1] v, float[:, ::1] out, bint transposed):
        """Factor for `g` and fill `out` with the currents of `v`, as compiled callers do; return whether all converged."""
        cdef int failed = 1
        self.lock.begin()
        try:
            with nogil:
                self.factor_float(&g[0, 0])
                failed = self.solve_float(&v[0, 0], &out[0, 0], v.shape[0], transposed, False)
        finally:
            self.lock.end()
        return not failed

    def py_solution(self, const double[:, ::1] word, const double[:, ::1] bit, double[:, :, ::1] u, double[:, :, ::1] v,
                    const double[:, :, ::1] g=None, const double[:, :, ::1] emf=None, const double[:, ::1] ohmic=None,
                    double[:, :, ::1] device=None, double[:, ::1] row_sums=None, double[:, ::1] column_sums=None,
                    double[:, ::1] left=None, double[:, ::1] above=None):
        """Fill `u` and `v` with the nodes of every vector, less their terminals; return whether all have converged.

        With `g` and `emf` (vectors, rows, columns) every vector has conductances of its own, and sources within devices. With
        `ohmic` conductances (rows, columns), nodes are whole voltages, and filled are the devices' currents, what they are
        together on every line, and the first node of every line less its terminal."""
        cdef Py_ssize_t vectors = word.shape[0], grid = self._grid(), share = self._share() + 8 * grid
        cdef Py_ssize_t threads = _threads_for(vectors, grid)
        cdef Solves solves
        cdef int failed = 0
        if vectors == 0:
            return True
        solves.core, solves.n_in, solves.n_out, solves.size = <void *>self, self.rows, self.columns, self.rows * self.columns
        solves.g = solves.emf = NULL
        solves.branches.g = NULL
        if ohmic is not None:
            solves.branches.g, solves.branches.device = &ohmic[0, 0], &device[0, 0, 0]
            solves.branches.row_sums, solves.branches.column_sums = &row_sums[0, 0], &column_sums[0, 0]
            solves.branches.left, solves.branches.above = &left[0, 0], &above[0, 0]
        if g is not None:
            solves.g, solves.emf = &g[0, 0, 0], &emf[0, 0, 0]
        solves.word, solves.bit, solves.u, solves.nodes = &word[0, 0], &bit[0, 0], &u[0, 0, 0], &v[0, 0, 0]
        self.lock.begin()
        try:
            with nogil:
                solves.memory, solves.share = <double *>grow(&self.work, threads * share * sizeof(double)), share
                self.iterations = 0
                self.residual = 0.0
                failed = self._share_out(_solve_nodes, &solves, 0, vectors, threads)
        finally:
            self.lock.end()
        return not failed


cdef Py_ssize_t _threads_for(Py_ssize_t vectors, Py_ssize_t grid) noexcept nogil:
    cdef Py_ssize_t useful = min(vectors, 1 + vectors * grid // WORK_PER_THREAD)
    return max(1, min(min(<Py_ssize_t>num_threads(), useful), MAX_THREADS))


cdef void _scale(double *x, double factor, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(count):
        x[k] *= factor
