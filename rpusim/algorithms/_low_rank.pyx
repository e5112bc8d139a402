"""The per-vector loop of low-rank Tiki-Taka: two thin arrays learn, and their product is written to the weight.

Decided: every vector reads both thin arrays before either is updated, as back-propagation through the product has it. After a
transfer A is set to 0 and B drawn anew, from a stream keyed by the number of the transfer; the state is one counter. What is
transferred is read by arrays of their own where the transfer has its own periphery, else by A and B.
"""

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint64_t

import numpy as np

from rpusim._core.array cimport ArrayCore
from rpusim._core.devices cimport Devices
from rpusim._core.kernels cimport RPU_RESET, RPU_WRITE_ALL
from rpusim._core.lock cimport begin_all, end_all

cnp.import_array()

cdef enum:
    OF_B = 1 << 30          # lines of the stream of write noise


cdef class LowRankLoop:
    """W (rows, columns), A (rows, rank) and B (rank, columns)."""
    cdef ArrayCore w, a, b, a_out, b_out
    cdef readonly uint64_t vectors
    cdef Py_ssize_t every, rank
    cdef uint64_t key
    cdef double spread
    cdef float[::1] of_b, of_a, unit, column, row, draws, noise
    cdef list locks

    def __reduce__(self):
        raise TypeError("loops point into their arrays; copy the tile instead")

    def __init__(self, ArrayCore w, ArrayCore a, ArrayCore b, ArrayCore a_out, ArrayCore b_out, Py_ssize_t every,
                 double spread, uint64_t key):
        """After every `every` vectors the product, read by `a_out` and `b_out`, is written, and B drawn from N(0, spread^2)."""
        self.a_out, self.b_out = a_out, b_out
        self.w, self.a, self.b, self.every, self.spread, self.key = w, a, b, every, spread, key
        self.rank = a.devices.columns
        self.of_b, self.of_a = np.zeros(self.rank, dtype=np.float32), np.zeros(self.rank, dtype=np.float32)
        self.unit = np.zeros(self.rank, dtype=np.float32)
        self.column = np.zeros(w.devices.rows, dtype=np.float32)
        self.row = np.zeros(w.devices.columns, dtype=np.float32)
        self.draws = np.zeros(w.devices.columns + 64, dtype=np.float32)
        self.noise = np.zeros(max(w.devices.columns, self.rank) + 64, dtype=np.float32)
        self.vectors = 0
        self.locks = [lock for _, lock in sorted((id(core), core.lock) for core in {w, a, b, a_out, b_out})]

    def set_vectors(self, uint64_t vectors):
        """Set the number of vectors so far."""
        begin_all(self.locks)
        self.vectors = vectors
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
        cdef Py_ssize_t vectors = cnp.PyArray_SIZE(x) // self.w.devices.columns
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
            own_x, own_d = x + v * self.w.devices.columns, d + v * self.w.devices.rows
            self.b.reader.read(own_x, &self.of_b[0], 1, 0, None)
            self.a.reader.read(own_d, &self.of_a[0], 1, 1, None)
            self.a.updater.update(&self.of_b[0], own_d, 1, fast_rate)
            self.b.updater.update(own_x, &self.of_a[0], 1, fast_rate)
            self.vectors += 1
            if self.vectors % <uint64_t>self.every == 0:
                for k in range(self.rank):
                    self.unit[k] = 1.0
                    try:
                        self.a_out.reader.read(&self.unit[0], &self.column[0], 1, 0, None)
                        self.b_out.reader.read(&self.unit[0], &self.row[0], 1, 1, None)
                    finally:        # also after a Ctrl-C, or lines whose currents do not converge
                        self.unit[k] = 0.0
                    self.w.updater.update(&self.row[0], &self.column[0], 1, -transfer_rate)
                self.renew(self.vectors // <uint64_t>self.every)
            if self.vectors % 256 == 0:
                with gil:
                    PyErr_CheckSignals()    # Ctrl-C stops long calls
        return 0

    cdef void renew(self, uint64_t event) noexcept nogil:
        cdef Py_ssize_t i, j
        for i in range(self.a.devices.rows):
            self.draw_noise(self.a.devices, event, <unsigned int>i)
            for j in range(self.rank):
                self.a.devices.put(i, j, 0.0, self.noise[j])
        for i in range(self.rank):
            self.draw_noise(self.b.devices, event, OF_B | <unsigned int>i)
            self.b.devices.kernels.normals(self.key, RPU_RESET, event, <unsigned int>i, 0, (self.b.devices.columns + 63) // 64,
                                           &self.draws[0])
            for j in range(self.b.devices.columns):
                self.b.devices.put(i, j, <float>(self.spread * self.draws[j]), self.noise[j])

    cdef void draw_noise(self, Devices devices, uint64_t event, unsigned int line) noexcept nogil:
        # For what is read of a row that is written.
        if devices.has_write_noise():
            devices.kernels.normals(self.key, RPU_WRITE_ALL, event, line, 0, (devices.columns + 63) // 64, &self.noise[0])
