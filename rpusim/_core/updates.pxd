"""Updates of one array as the compiled parts see them; see updates.pyx."""

from libc.stdint cimport int64_t

from rpusim._core.buffers cimport Buffer
from rpusim._core.devices cimport Devices
from rpusim._core.kernels cimport rpu_kernels, rpu_pulse_plan, rpu_pulse_scheme, rpu_trains
from rpusim._core.lock cimport Lock


cdef struct Keeping:
    # Lines of the array as the vectors of an update leave them, for who wants to read them later.
    bint columns                # else rows
    const int64_t *line         # of each vector; -1: none
    float *kept                 # where to, `stride` numbers for each vector; NULL: nothing is kept
    Py_ssize_t stride


cdef class Updater:
    cdef Devices devices
    cdef const rpu_kernels *kernels
    cdef Lock lock
    cdef Py_ssize_t rows, columns
    cdef rpu_pulse_scheme scheme
    cdef public object write_wires      # None, or sets the parameters of one update, before it: lines take from its pulses
    cdef int64_t[::1] fired             # how often columns, then rows, have fired; None: not counted
    cdef Keeping keeping                # of the next update, by who calls it and ends it
    cdef Buffer plans, trains, arena, scratch, work, lines
    # x (vectors, columns), d (vectors, rows), C-contiguous: w -= lr d^T x by pulses, vector after vector.
    cdef int update(self, const float *x, const float *d, Py_ssize_t vectors, double lr) except -1 nogil

    cdef int _update(self, const float *x, const float *d, Py_ssize_t vectors, double lr) except -1 nogil
    cdef int _plan(self, rpu_pulse_plan *plans, const float *x, const float *d, Py_ssize_t vectors, double lr) except -1 nogil
    cdef int _update_part(self, const rpu_pulse_plan *plans, const float *x, const float *d, Py_ssize_t first,
                          Py_ssize_t vectors, size_t bytes, int reverse) except -1 nogil
    cdef int _draw(self, rpu_trains *trains, const rpu_pulse_plan *plans, const float *x, const float *d, Py_ssize_t vectors,
                   size_t bytes) except -1 nogil
    cdef int _step(self, const rpu_trains *trains, Py_ssize_t vectors, int64_t pulses, int strips, int reverse) except -1 nogil
    cdef int _hear(self, Py_ssize_t vectors) except -1 nogil
    cdef int _update_counts(self, const rpu_pulse_plan *plans, const float *x, const float *d, Py_ssize_t vectors,
                            int reverse) except -1 nogil
    cdef void _update_ideal(self, const float *x, const float *d, Py_ssize_t vectors, double lr) noexcept nogil
