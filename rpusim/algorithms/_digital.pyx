"""The per-vector loop of algorithms that form the gradient digitally, chi += lr d x^T, and write it to an array row by row.

Decided, and why:
- One loop, one rule for what of chi becomes pulses: "truncate" keeps the rest in chi (mixed precision), "probabilistic"
  and "sign" spend it all (error-aware updates, Manhattan).
- A row is written by the array's own update, with the pulses as x and a unit vector as d, so that trains, noise and pulse
  counts are those of every other update. Of a pair of devices that only rise, both are written: by the same trains, and in
  opposite directions, of which each takes the pulses that are up.
- What depends on chance is a function of the key and the number of the vector or row; the state is chi and one counter.
"""

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, floor, rint, trunc
from libc.stdint cimport uint64_t

import numpy as np

from rpusim._core.array cimport ArrayCore
from rpusim._core.kernels cimport RPU_RESET_CHOICE, uniform
from rpusim._core.lock cimport begin_all, end_all

cnp.import_array()

cdef enum Rule:
    TRUNCATE
    PROBABILISTIC
    SIGN

RULES = {"truncate": TRUNCATE, "probabilistic": PROBABILISTIC, "sign": SIGN}

cdef enum:
    # lines of the stream of choices
    ROUND_X = 0
    ROUND_D = 1
    CHOOSE_ROW = 2
    CHOOSE_PULSE = 16       # and the row


cdef class DigitalLoop:
    """chi (rows, columns) of `target`, and its transfers."""
    cdef ArrayCore target, minus
    cdef list locks
    cdef float[:, ::1] chi
    cdef float[::1] x, d, pulses, unit, draws
    cdef readonly uint64_t vectors
    cdef Py_ssize_t every, rows_per_transfer
    cdef bint random_rows, late, x_stochastic, d_stochastic
    cdef Rule rule
    cdef int x_levels, d_levels
    cdef double granularity, rate, most, threshold, dead_zone
    cdef uint64_t key

    def __reduce__(self):
        raise TypeError("loops point into their arrays; copy the tile instead")

    def __init__(self, ArrayCore target, float[:, ::1] chi, uint64_t key, *, str rule, Py_ssize_t every,
                 Py_ssize_t rows_per_transfer, bint random_rows=False, bint late=False, int x_levels=0, int d_levels=0,
                 bint x_stochastic=False, bint d_stochastic=False, double granularity=1.0, double rate=1.0,
                 double most=1.0, double threshold=1.0, double dead_zone=0.0, ArrayCore minus=None):
        """`x_levels`, `d_levels`: quantisation levels on either side of 0 (0: none). A unit of pulses is `granularity`
        of chi, and is written with learning rate `rate`; at most `most` units per row and transfer. `minus`: what is written
        in the other direction, or None."""
        self.target, self.minus, self.chi, self.key = target, minus, chi, key
        both = [target] if minus is None else sorted((target, minus), key=id)     # as all take them
        self.locks = [core.lock for core in both]
        self.rule, self.every, self.rows_per_transfer = RULES[rule], every, rows_per_transfer
        self.random_rows, self.late = random_rows, late
        self.x_levels, self.d_levels, self.x_stochastic, self.d_stochastic = x_levels, d_levels, x_stochastic, d_stochastic
        self.granularity, self.rate, self.most = granularity, rate, most
        self.threshold, self.dead_zone = threshold, dead_zone
        self.x = np.zeros(target.devices.columns, dtype=np.float32)
        self.d = np.zeros(target.devices.rows, dtype=np.float32)
        self.pulses = np.zeros(target.devices.columns, dtype=np.float32)
        self.unit = np.zeros(target.devices.rows, dtype=np.float32)
        self.draws = np.zeros(target.devices.columns + 64, dtype=np.float32)
        self.vectors = 0

    def set_vectors(self, uint64_t vectors):
        """Set the number of vectors so far."""
        begin_all(self.locks)
        self.vectors = vectors
        end_all(self.locks)

    def run(self, cnp.ndarray x, cnp.ndarray d, double lr):
        """Take the vectors x and d, with learning rate `lr`."""
        cdef const float *x_data = <const float *>cnp.PyArray_DATA(x)
        cdef const float *d_data = <const float *>cnp.PyArray_DATA(d)
        cdef Py_ssize_t vectors = cnp.PyArray_SIZE(x) // self.target.devices.columns
        begin_all(self.locks)
        try:
            with nogil:
                self.learn(x_data, d_data, vectors, lr)
        finally:
            end_all(self.locks)

    cdef int learn(self, const float *x, const float *d, Py_ssize_t vectors, double lr) except -1 nogil:
        cdef Py_ssize_t v, rows = self.target.devices.rows, columns = self.target.devices.columns
        cdef const float *own_x
        cdef const float *own_d
        cdef uint64_t due
        for v in range(vectors):
            own_x, own_d = x + v * columns, d + v * rows
            if self.x_levels:
                self.quantise(own_x, &self.x[0], columns, self.x_levels, self.x_stochastic, ROUND_X)
                own_x = &self.x[0]
            if self.d_levels:
                self.quantise(own_d, &self.d[0], rows, self.d_levels, self.d_stochastic, ROUND_D)
                own_d = &self.d[0]
            self.target.devices.kernels.rank_one_rows(&self.chi[0, 0], rows, columns, own_x, own_d, 1, <float>-lr, 0, rows)
            self.vectors += 1
            due = self.vectors - 1 if self.late else self.vectors
            if due > 0 and due % <uint64_t>self.every == 0:
                self.transfer(due // <uint64_t>self.every - 1)
            if self.vectors % 256 == 0:
                with gil:
                    PyErr_CheckSignals()    # Ctrl-C stops long calls
        return 0

    cdef void quantise(self, const float *v, float *out, Py_ssize_t n, int levels, bint stochastic,
                       unsigned int line) noexcept nogil:
        # Levels at multiples of max|v| / levels.
        cdef double top = self.target.devices.kernels.abs_max(v, n), width = top / levels, scaled
        cdef Py_ssize_t j
        for j in range(n):
            scaled = v[j] / width if width > 0.0 else 0.0
            if stochastic:
                scaled += uniform(self.key, RPU_RESET_CHOICE, self.vectors, line, j) - 0.5
            out[j] = <float>(min(max(rint(scaled), <double>-levels), <double>levels) * width)

    cdef int transfer(self, uint64_t event) except -1 nogil:
        cdef Py_ssize_t r, start, rows = self.target.devices.rows
        start = <Py_ssize_t>((event * <uint64_t>self.rows_per_transfer) % <uint64_t>rows)
        if self.random_rows:
            start = <Py_ssize_t>(uniform(self.key, RPU_RESET_CHOICE, event, CHOOSE_ROW, 0) * rows)
        for r in range(self.rows_per_transfer):
            self.write((start + r) % rows, event)
        return 0

    cdef int write(self, Py_ssize_t row, uint64_t event) except -1 nogil:
        cdef Py_ssize_t j, columns = self.target.devices.columns
        cdef double h, n, size
        cdef double top = self.target.devices.kernels.abs_max(&self.chi[row, 0], columns)
        cdef bint found = False
        if top == 0.0 or (self.rule == TRUNCATE and top < self.granularity):
            return 0
        if self.rule == PROBABILISTIC:
            self.target.devices.kernels.uniforms(self.key, RPU_RESET_CHOICE, event, <unsigned int>(CHOOSE_PULSE + row), 0,
                                                 (columns + 63) // 64, &self.draws[0])
        for j in range(columns):
            h = self.chi[row, j]
            n = 0.0
            if self.rule == TRUNCATE:
                if fabs(h) >= self.granularity:
                    n = min(max(trunc(h / self.granularity), -self.most), self.most)
                    self.chi[row, j] = <float>(h - n * self.granularity)
            else:
                self.chi[row, j] = 0.0
                size = fabs(h)
                if self.rule == SIGN:
                    n = 1.0 if size > self.dead_zone else 0.0
                elif size > 0.0:
                    size = size / self.granularity
                    if size < self.threshold:       # all or nothing
                        if self.draws[j] * self.threshold <= size:
                            n = self.threshold
                    else:                           # whole pulses, the last of them by chance
                        n = floor(size)
                        if self.draws[j] <= size - n:
                            n += 1.0
                    n = min(n, self.most)
                if h < 0.0:
                    n = -n
            self.pulses[j] = <float>n
            if n != 0.0:
                found = True
        if found:
            self.unit[row] = 1.0
            try:
                if self.minus is not None:
                    self.minus.updater.update(&self.pulses[0], &self.unit[0], 1, -self.rate)
                self.target.updater.update(&self.pulses[0], &self.unit[0], 1, self.rate)
            finally:                # also after a Ctrl-C
                self.unit[row] = 0.0
        return 0
