"""The per-vector loop of algorithms that read one array line by line and write what they read to the next.

Decided, and why:
- One call per batch without the interpreter. Vectors between two transfers go to the fast array as one batch, which
  changes nothing, since the fast array takes its vectors in order.
- Where every vector or so is followed by a transfer, the fast array would never see a batch, whose rows come to the caches
  once (measured, 512 x 512, 64 vectors: SHD 1.4 times the time of SGD per pulse, and 1.1 in this way). So it takes the batch
  first, and keeps the lines that transfers will read as they were when their turn came; then these follow in their order.
  That is the same where reads see one line only and nothing of a transfer comes back to the fast array: no resets, no
  choppers. Their streams are those of their own operations, so results are the same bits.
- One loop for the whole family: what an algorithm adds (buffer, choppers, running reference) is a stage that is off where
  it is not asked for. Each hand-over from one array to the next is a `Transfer`; more levels are a chain of them.
- What depends on chance (lines, choppers, resets) is a pure function of the key and of the number of the transfer, and
  everything periodic follows from the number of vectors, so that the state is the arrays, the buffers and two averages.
- Buffers are kept line by line (lines, length), so that a transfer walks memory in order whether lines are columns or rows.
"""

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, trunc
from libc.stdint cimport int64_t, uint64_t

import numpy as np

from rpusim._core.array cimport ArrayCore
from rpusim._core.devices cimport Devices
from rpusim._core.kernels cimport RPU_RESET, RPU_RESET_CHOICE, RPU_STOCHASTIC, RPU_WRITE_ALL, uniform
from rpusim._core.lock cimport begin_all, end_all

cnp.import_array()

cdef enum:
    CHUNK = 128             # vectors whose signs are turned at once
    KEPT = 64               # vectors of one batch whose transfers wait
    # lines of the stream of choices
    CHOOSE_LINE = 0
    CHOP_IN = 1
    CHOP_OUT = 2
    CHOOSE_RESET = 1 << 20

cdef enum Selection:
    CYCLIC
    RANDOM
    HADAMARD

cdef enum Baseline:
    NO_BASELINE
    FROZEN
    RUNNING

SELECTIONS = {"cyclic": CYCLIC, "random": RANDOM, "hadamard": HADAMARD}
BASELINES = {"none": NO_BASELINE, "frozen": FROZEN, "running": RUNNING}


cdef class Transfer:
    """Hand-over from `source` (minus `reference`, where there is one) to `target`, after every `every` vectors.

    A line i of the source is read, v; from it
        value = s (v - baseline),   s = the product of the choppers of line and element
    and then either the target moves by rate value e_i^T, or value is collected in a buffer and the target moves by pulses.
    """
    cdef ArrayCore source, target
    cdef Devices reference      # None: there is none
    cdef list cores             # of this level and the deeper ones
    cdef Transfer deeper
    cdef Py_ssize_t lines, length, every, reads
    cdef bint columns, buffered, forget, accumulate, regular, random_chops, over_fast_rate
    cdef Selection selection
    cdef Baseline baseline
    cdef uint64_t key
    cdef double in_chop, out_chop, momentum, leak, cap, track, reset_prob, step_lr
    cdef Py_ssize_t period, warm_up
    cdef int max_pulses
    cdef float[:, ::1] buffer, mean, frozen
    cdef signed char[::1] line_chop, element_chop, flipped
    cdef float[::1] u, y, draws, read_draws, choices
    cdef const float *kept      # the next line, as it was; or NULL

    def __reduce__(self):
        raise TypeError("loops point into their arrays; copy the tile instead")

    def __init__(self, ArrayCore source, ArrayCore reference, ArrayCore target, Transfer deeper, level, uint64_t key,
                 dict state):
        """`level` is a `Level`, `state` its buffers."""
        self.source, self.target, self.deeper = source, target, deeper
        self.reference = None if reference is None else reference.devices
        self.cores = [core for core in (source, reference, target) if core is not None]
        self.cores += deeper.cores if deeper is not None else []
        self.columns, self.every, self.reads = level.columns, level.every, level.reads
        self.lines, self.length = level.lines((source.devices.rows, source.devices.columns))
        self.selection, self.baseline = SELECTIONS[level.selection], BASELINES[level.baseline]
        self.key = key
        self.in_chop, self.random_chops, self.regular = level.in_chop, level.random_chops, level.regular_chops
        self.out_chop, self.period, self.warm_up = level.out_chop, level.period, level.warm_up
        self.buffered, self.momentum, self.forget = level.buffered, level.momentum, level.forget
        self.accumulate, self.leak, self.cap = level.accumulate, level.leak, level.cap
        self.max_pulses, self.step_lr = level.max_pulses, level.step_lr
        self.track, self.over_fast_rate = level.track, level.over_fast_rate
        self.reset_prob = level.reset_prob
        nothing = np.zeros((1, 1), dtype=np.float32)
        self.buffer = state.get("buffer", nothing)
        self.mean = state.get("mean", nothing)
        self.frozen = state.get("frozen", nothing)
        self.line_chop = state.get("line_chop")
        self.element_chop = state.get("element_chop")
        self.flipped = state.get("flipped")
        self.u = np.zeros(self.lines, dtype=np.float32)
        self.y = np.zeros(self.length, dtype=np.float32)
        if self.reset_prob > 0.0:
            self.draws, self.read_draws, self.choices = np.zeros((3, self.length + 64), dtype=np.float32)

    @property
    def chops(self):
        """Whether signs are turned at all."""
        return self.line_chop is not None

    cdef bint can_wait(self) noexcept nogil:
        # Whether transfers may follow after all vectors of a batch; see the top.
        return (self.reads == 1 and self.selection != HADAMARD and self.reset_prob == 0.0 and self.line_chop is None
                and self.source.devices.model >= 0 and self.source.updater.scheme.type == RPU_STOCHASTIC
                and self.source.reader.reads_lines(0 if self.columns else 1))

    cdef Py_ssize_t line_of(self, uint64_t event, Py_ssize_t r) noexcept nogil:
        # What read r of transfer `event` reads.
        cdef Py_ssize_t start
        if self.selection == RANDOM:
            start = <Py_ssize_t>(uniform(self.key, RPU_RESET_CHOICE, event, CHOOSE_LINE, 0) * self.lines)
            return (start + r) % self.lines
        return <Py_ssize_t>((event * <uint64_t>self.reads + <uint64_t>r) % <uint64_t>self.lines)

    cdef Py_ssize_t until(self, uint64_t counter) noexcept nogil:
        # Vectors from number `counter` to the next transfer of this or a deeper level.
        cdef Py_ssize_t n = self.every - <Py_ssize_t>(counter % <uint64_t>self.every)
        if self.deeper is not None:
            n = min(n, self.deeper.until(counter))
        return n

    cdef int advance(self, uint64_t counter, double *rate, double fast_rate) except -1 nogil:
        # Do what is due after `counter` vectors; `rate` holds a number for each level.
        cdef Py_ssize_t r
        cdef uint64_t event
        if counter % <uint64_t>self.every == 0:
            event = counter // <uint64_t>self.every - 1
            for r in range(self.reads):
                self.hand_over(event * <uint64_t>self.reads + <uint64_t>r, self.line_of(event, r), rate[0], fast_rate)
        if self.deeper is not None:
            self.deeper.advance(counter, rate + 1, fast_rate)
        return 0

    cdef int hand_over(self, uint64_t number, Py_ssize_t line, double rate, double fast_rate) except -1 nogil:
        cdef float *u = &self.u[0]
        cdef float *y = &self.y[0]
        if self.selection == HADAMARD:
            hadamard_vector(u, self.lines, number)
            rate = rate / <double>self.lines
        else:
            u[line] = 1.0
        try:
            self.source.reader.earlier, self.source.reader.earlier_line = self.kept, line
            try:
                self.source.reader.read(u, y, 1, 0 if self.columns else 1, self.reference)
            finally:
                self.source.reader.earlier = NULL
            self.use(number, line, rate, fast_rate)
        finally:            # also after a Ctrl-C, or lines whose currents do not converge
            u[line] = 0.0
        if self.line_chop is not None:
            self.chop(number, line)
        return 0

    cdef int use(self, uint64_t number, Py_ssize_t line, double rate, double fast_rate) except -1 nogil:
        # What was read of a line goes on.
        cdef float *u = &self.u[0]
        cdef float *y = &self.y[0]
        if self.reset_prob > 0.0:
            self.reset(number, line)
        if self.baseline == FROZEN and self.flipped[line]:
            self.frozen[line, :] = self.mean[line, :]
            self.flipped[line] = 0
        self.values(line)
        if self.buffered:
            if self.over_fast_rate:
                rate = rate / fast_rate if fast_rate > 0.0 else 0.0
            if self.collect(line, rate) and number // <uint64_t>self.lines >= <uint64_t>self.warm_up:
                self.write(u, y, self.step_lr)
        else:
            self.write(u, y, -rate)
        return 0

    cdef int write(self, float *u, float *y, double lr) except -1 nogil:
        if self.columns:
            self.target.updater.update(u, y, 1, lr)
        else:
            self.target.updater.update(y, u, 1, lr)
        return 0

    cdef void values(self, Py_ssize_t line) noexcept nogil:
        # y <- s (y - baseline). A running mean sees this read before it is subtracted, a frozen one is older.
        cdef Py_ssize_t j
        cdef float raw
        if self.baseline != NO_BASELINE:
            for j in range(self.length):
                raw = self.y[j]
                self.mean[line, j] = <float>((1.0 - self.track) * self.mean[line, j] + self.track * raw)
                self.y[j] = raw - (self.frozen[line, j] if self.baseline == FROZEN else self.mean[line, j])
        if self.line_chop is not None:
            for j in range(self.length):
                if self.line_chop[line] * self.element_chop[j] < 0:
                    self.y[j] = -self.y[j]

    cdef bint collect(self, Py_ssize_t line, double gain) noexcept nogil:
        # H <- (1 - leak gain) H + gain y; where |H| reaches 1, y becomes minus the whole pulses that are taken out, else 0.
        cdef Py_ssize_t j
        cdef double h, n
        cdef bint found = False
        for j in range(self.length):
            h = gain * self.y[j]
            if self.accumulate:
                h += (1.0 - self.leak * gain) * self.buffer[line, j]
            self.y[j] = 0.0
            if fabs(h) >= 1.0:
                n = min(max(trunc(h), -<double>self.max_pulses), <double>self.max_pulses)
                h = self.momentum * h if self.forget else h - (1.0 - self.momentum) * n
                self.y[j] = <float>-n
                found = True
            if self.cap > 0.0:
                h = min(max(h, -self.cap), self.cap)
            self.buffer[line, j] = <float>h
        return found

    cdef void chop(self, uint64_t number, Py_ssize_t line) noexcept nogil:
        # Turn the choppers that are due after this transfer.
        cdef uint64_t sweep = number // <uint64_t>self.lines
        cdef Py_ssize_t j
        cdef bint turn = False
        if self.regular:
            turn = sweep % <uint64_t>self.period + 1 == <uint64_t>self.period
        if self.random_chops and not turn:
            turn = uniform(self.key, RPU_RESET_CHOICE, number, CHOP_IN, 0) < self.in_chop
        if turn:
            self.line_chop[line] = -self.line_chop[line]
            if self.baseline == FROZEN:
                self.flipped[line] = 1
            elif self.baseline == RUNNING:
                self.frozen[line, :] = self.mean[line, :]
        if self.out_chop > 0.0 and line == self.lines - 1:
            for j in range(self.length):
                if uniform(self.key, RPU_RESET_CHOICE, number, CHOP_OUT, j) < self.out_chop:
                    self.element_chop[j] = -self.element_chop[j]

    cdef void reset(self, uint64_t number, Py_ssize_t line) noexcept nogil:
        # Each device of the line goes, with probability `reset_prob`, to its reset level, relative to its reference.
        cdef Py_ssize_t j, row, column, chunks = (self.length + 63) // 64
        cdef float origin = 0.0
        self.source.devices.kernels.uniforms(self.key, RPU_RESET_CHOICE, number, CHOOSE_RESET, 0, chunks, &self.choices[0])
        self.source.devices.kernels.normals(self.key, RPU_RESET, number, CHOOSE_RESET, 0, chunks, &self.draws[0])
        if self.source.devices.has_write_noise():
            self.source.devices.kernels.normals(self.key, RPU_WRITE_ALL, number, CHOOSE_RESET, 0, chunks, &self.read_draws[0])
        for j in range(self.length):
            if self.choices[j] <= self.reset_prob:
                row, column = (j, line) if self.columns else (line, j)
                if self.reference is not None:
                    origin = self.reference.w[row, column]
                self.source.devices.put_back(row, column, origin, self.draws[j], self.read_draws[j])


cdef class TransferLoop:
    """Updates of the fast array, and the transfers that follow from them.

    With `auto_scale` the rate of the fast array is divided by running means of max|x| and max|d|, so that the largest
    gradients take a fixed number of pulses."""
    cdef Transfer first
    cdef ArrayCore fast
    cdef readonly uint64_t vectors
    cdef bint auto_scale
    cdef double decay
    cdef public double x_mean, d_mean       # negative before the first vector
    cdef list locks
    cdef float[:, ::1] x_turned, d_turned, kept
    cdef int64_t[::1] kept_lines

    def __reduce__(self):
        raise TypeError("loops point into their arrays; copy the tile instead")

    def __init__(self, Transfer first, bint auto_scale=False, double decay=0.0):
        """`first` is the level that reads the fast array; `decay` the weight of a new vector in the running means."""
        self.first, self.fast = first, first.source
        self.auto_scale, self.decay = auto_scale, decay
        self.x_mean = self.d_mean = -1.0
        self.vectors = 0
        self.kept = None
        self.locks = [lock for _, lock in sorted({id(core): core.lock for core in first.cores}.items())]
        if first.chops:
            self.x_turned = np.zeros((CHUNK, self.fast.devices.columns), dtype=np.float32)
            self.d_turned = np.zeros((CHUNK, self.fast.devices.rows), dtype=np.float32)

    def set_vectors(self, uint64_t vectors):
        """Set the number of vectors so far."""
        begin_all(self.locks)
        self.vectors = vectors
        end_all(self.locks)

    def run(self, cnp.ndarray x, cnp.ndarray d, double fast_rate, double[::1] rates):
        """Take the vectors x and d: the fast array learns with `fast_rate`, level k hands over with rates[k]."""
        cdef const float *x_data = <const float *>cnp.PyArray_DATA(x)
        cdef const float *d_data = <const float *>cnp.PyArray_DATA(d)
        cdef Py_ssize_t vectors = cnp.PyArray_SIZE(x) // self.fast.devices.columns
        cdef bint waits
        begin_all(self.locks)
        try:
            self.first.kept = self.fast.reader.earlier = self.fast.updater.keeping.kept = NULL     # as in `Updater.py_update`
            waits = vectors > self.first.every and not self.auto_scale and self.first.can_wait()
            if waits and self.kept is None:
                self.kept = np.empty((KEPT, self.first.length + 16), dtype=np.float32)      # no power of two: cache sets
                self.kept_lines = np.empty(KEPT, dtype=np.int64)
            if waits and fast_rate != 0.0:
                with nogil:
                    self.learn_at_once(x_data, d_data, vectors, fast_rate, &rates[0])
            elif vectors:
                with nogil:
                    self.learn(x_data, d_data, vectors, fast_rate, &rates[0])
        finally:
            end_all(self.locks)

    cdef int learn_at_once(self, const float *x, const float *d, Py_ssize_t vectors, double rate,
                           double *rates) except -1 nogil:
        # As below, where transfers can wait.
        cdef Py_ssize_t v = 0, n, q, columns = self.fast.devices.columns, rows = self.fast.devices.rows
        cdef uint64_t counter, every = <uint64_t>self.first.every
        while v < vectors:
            n = min(vectors - v, <Py_ssize_t>KEPT)
            for q in range(n):
                counter = self.vectors + <uint64_t>q + 1
                self.kept_lines[q] = self.first.line_of(counter // every - 1, 0) if counter % every == 0 else -1
            self.fast.updater.keeping.columns = self.first.columns
            self.fast.updater.keeping.line = &self.kept_lines[0]
            self.fast.updater.keeping.stride = self.kept.shape[1]
            self.fast.updater.keeping.kept = &self.kept[0, 0]
            try:
                self.fast.updater.update(x + v * columns, d + v * rows, n, rate)
            finally:
                self.fast.updater.keeping.kept = NULL
            v += n
            counter = self.vectors
            self.vectors += <uint64_t>n
            try:
                for q in range(n):
                    self.first.kept = &self.kept[q, 0]
                    self.first.advance(counter + <uint64_t>q + 1, rates, fabs(rate))
            finally:
                self.first.kept = NULL
            with gil:
                PyErr_CheckSignals()    # Ctrl-C stops long calls
        return 0

    cdef int learn(self, const float *x, const float *d, Py_ssize_t vectors, double fast_rate, double *rates) except -1 nogil:
        cdef Py_ssize_t v = 0, n, limit = vectors, columns = self.fast.devices.columns, rows = self.fast.devices.rows
        cdef double rate = fast_rate
        cdef bint chops = self.first.line_chop is not None
        if chops:
            limit = CHUNK
        if self.auto_scale:
            limit = 1
        while v < vectors:
            n = min(self.first.until(self.vectors), min(vectors - v, limit))
            if self.auto_scale:
                rate = self.scaled(x + v * columns, d + v * rows, fast_rate)
            if chops:
                self.turn(x + v * columns, d + v * rows, n)
                self.fast.updater.update(&self.x_turned[0, 0], &self.d_turned[0, 0], n, rate)
            else:
                self.fast.updater.update(x + v * columns, d + v * rows, n, rate)
            v += n
            self.vectors += <uint64_t>n
            self.first.advance(self.vectors, rates, fabs(rate))
            if self.vectors % 1024 < <uint64_t>n:
                with gil:
                    PyErr_CheckSignals()    # Ctrl-C stops long calls
        return 0

    cdef double scaled(self, const float *x, const float *d, double rate) noexcept nogil:
        # The rate of the fast array for one vector, and the running means that it is relative to.
        cdef double top = self.fast.devices.kernels.abs_max(x, self.fast.devices.columns)
        if top > 0.0:
            self.x_mean = top if self.x_mean < 0.0 else (1.0 - self.decay) * self.x_mean + self.decay * top
        top = self.fast.devices.kernels.abs_max(d, self.fast.devices.rows)
        if top > 0.0:
            self.d_mean = top if self.d_mean < 0.0 else (1.0 - self.decay) * self.d_mean + self.decay * top
        if self.x_mean <= 0.0 or self.d_mean <= 0.0:
            return 0.0
        # beyond 1e30, which only vanishing signals ask for, float32 would overflow
        return min(max(rate / (self.x_mean * self.d_mean), -1e30), 1e30)

    cdef void turn(self, const float *x, const float *d, Py_ssize_t n) noexcept nogil:
        # Copy n vectors with the signs of the choppers.
        cdef Py_ssize_t v, j, columns = self.fast.devices.columns, rows = self.fast.devices.rows
        cdef signed char[::1] of_x = self.first.line_chop if self.first.columns else self.first.element_chop
        cdef signed char[::1] of_d = self.first.element_chop if self.first.columns else self.first.line_chop
        for v in range(n):
            for j in range(columns):
                self.x_turned[v, j] = -x[v * columns + j] if of_x[j] < 0 else x[v * columns + j]
            for j in range(rows):
                self.d_turned[v, j] = -d[v * rows + j] if of_d[j] < 0 else d[v * rows + j]


cdef void hadamard_vector(float *u, Py_ssize_t n, uint64_t k) noexcept nogil:
    # Row k, cyclic, of Sylvester's matrix of the next power of two, cut to n.
    cdef uint64_t order = 1, bits
    cdef Py_ssize_t j
    cdef int odd
    while order < <uint64_t>n:
        order *= 2
    k %= order
    for j in range(n):              # (-1)^(number of common bits of row and column)
        bits = k & <uint64_t>j
        odd = 0
        while bits:
            odd ^= 1
            bits &= bits - 1
        u[j] = -1.0 if odd else 1.0
