"""The per-vector loop of low-rank Tiki-Taka: two thin arrays learn, and their product is written to the weight.

Decided: every vector reads both thin arrays before either is updated, as back-propagation through the product has it. After a
transfer A is set to 0 and B drawn anew, from a stream keyed by the number of the transfer; the state is one counter.
"""

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint64_t

import numpy as np

from rpusim._core.array cimport ArrayCore
from rpusim._core.kernels cimport RPU_RESET, RPU_WRITE_ALL
from rpusim._core.lock cimport begin_all, end_all

cnp.import_array()

cdef enum:
    OF_B = 1 << 30          # lines of the stream of write noise


cdef class LowRankLoop:
    """W (rows, columns), A (rows, rank) and B (rank, columns)."""
    cdef ArrayCore w, a, b
    cdef readonly uint64_t vectors
    cdef Py_ssize_t every, rank
    cdef uint64_t key
    cdef double spread
    cdef const float[:, ::1] low_a, high_a, low_b, high_b
    cdef float[::1] of_b, of_a, unit, column, row, draws, noise
    cdef list locks

    def __reduce__(self):
        raise TypeError("loops point into their arrays; copy the tile instead")

    def __init__(self, ArrayCore w, ArrayCore a, ArrayCore b, Py_ssize_t every, double spread, uint64_t key):
        """After every `every` vectors the product is written, and B drawn from N(0, spread^2)."""
        self.w, self.a, self.b, self.every, self.spread, self.key = w, a, b, every, spread, key
        self.rank = a.columns
        self.of_b, self.of_a = np.zeros(self.rank, dtype=np.float32), np.zeros(self.rank, dtype=np.float32)
        self.unit = np.zeros(self.rank, dtype=np.float32)
        self.column = np.zeros(w.rows, dtype=np.float32)
        self.row = np.zeros(w.columns, dtype=np.float32)
        self.draws = np.zeros(w.columns + 64, dtype=np.float32)
        self.noise = np.zeros(max(w.columns, self.rank) + 64, dtype=np.float32)
        self.vectors = 0
        self.locks = [lock for _, lock in sorted((id(core), core.lock) for core in (w, a, b))]

    def set_vectors(self, uint64_t vectors):
        """Set the number of vectors so far."""
        begin_all(self.locks)
        self.vectors = vectors
        end_all(self.locks)

    def set_bounds(self, const float[:, ::1] low_a, const float[:, ::1] high_a, const float[:, ::1] low_b,
                   const float[:, ::1] high_b):
        """Give the bounds of the devices of A and B."""
        begin_all(self.locks)         # which a loop that runs in another thread has
        try:
            self.low_a, self.high_a, self.low_b, self.high_b = low_a, high_a, low_b, high_b
        finally:
            end_all(self.locks)

    def start(self, uint64_t event):
        """Set A to 0 and draw B, as after transfer number `event`."""
        begin_all(self.locks)
        try:
            self.renew(event)
        finally:
            end_all(self.locks)

    def run(self, cnp.ndarray x, cnp.ndarray d, double fast_rate, double transfer_rate):
        """Take the vectors x and d: A and B learn with `fast_rate`, W moves by transfer_rate A B."""
        cdef const float *x_data = <const float *>cnp.PyArray_DATA(x)
        cdef const float *d_data = <const float *>cnp.PyArray_DATA(d)
        cdef Py_ssize_t vectors = cnp.PyArray_SIZE(x) // self.w.columns
        begin_all(self.locks)
        try:
            with nogil:
                self.learn(x_data, d_data, vectors, fast_rate, transfer_rate)
        finally:
            end_all(self.locks)

    cdef int learn(self, const float *x, const float *d, Py_ssize_t vectors, double fast_rate,
                   double transfer_rate) except -1 nogil:
        cdef Py_ssize_t v, k
        cdef const float *own_x
        cdef const float *own_d
        for v in range(vectors):
            own_x, own_d = x + v * self.w.columns, d + v * self.w.rows
            self.b.read(own_x, &self.of_b[0], 1, 0, None)
            self.a.read(own_d, &self.of_a[0], 1, 1, None)
            self.a.update(&self.of_b[0], own_d, 1, fast_rate)
            self.b.update(own_x, &self.of_a[0], 1, fast_rate)
            self.vectors += 1
            if self.vectors % <uint64_t>self.every == 0:
                for k in range(self.rank):
                    self.unit[k] = 1.0
                    try:
                        self.a.read(&self.unit[0], &self.column[0], 1, 0, None)
                        self.b.read(&self.unit[0], &self.row[0], 1, 1, None)
                    finally:        # also after a Ctrl-C, or lines whose currents do not converge
                        self.unit[k] = 0.0
                    self.w.update(&self.row[0], &self.column[0], 1, -transfer_rate)
                self.renew(self.vectors // <uint64_t>self.every)
            if self.vectors % 256 == 0:
                with gil:
                    PyErr_CheckSignals()    # Ctrl-C stops long calls
        return 0

    cdef void renew(self, uint64_t event) noexcept nogil:
        cdef Py_ssize_t i, j, chunks = (self.b.columns + 63) // 64
        for i in range(self.a.rows):
            for j in range(self.rank):
                self.a.state[i, j] = min(max(<float>0.0, self.low_a[i, j]), self.high_a[i, j])
            self.written(self.a, i, event, 0)
        for i in range(self.rank):
            self.b.kernels.normals(self.key, RPU_RESET, event, <unsigned int>i, 0, chunks, &self.draws[0])
            for j in range(self.b.columns):
                self.b.state[i, j] = min(max(<float>(self.spread * self.draws[j]), self.low_b[i, j]), self.high_b[i, j])
            self.written(self.b, i, event, OF_B)

    cdef void written(self, ArrayCore core, Py_ssize_t i, uint64_t event, unsigned int which) noexcept nogil:
        # What is read of a row that was written: its state, with new write noise where the devices have that.
        cdef Py_ssize_t j
        if core.cells.visible == NULL:
            return
        core.kernels.normals(self.key, RPU_WRITE_ALL, event, which | <unsigned int>i, 0, (core.columns + 63) // 64,
                             &self.noise[0])
        for j in range(core.columns):
            core.w[i, j] = core.state[i, j] + core.cells.write_noise * self.noise[j]
