"""The devices of one array as the compiled parts see them; see devices.pyx."""

from libc.stdint cimport int64_t, uint64_t

from rpusim._core.buffers cimport Buffer
from rpusim._core.kernels cimport rpu_devices, rpu_kernels, rpu_model
from rpusim._core.lock cimport Lock


cdef class Devices:
    cdef const rpu_kernels *kernels
    cdef readonly Py_ssize_t rows, columns
    cdef int model                      # its number among the kernels; -1: devices without pulses
    cdef const rpu_model *its           # what the model is, and its kernels
    cdef rpu_devices view
    cdef dict owners                    # of what `view` points to
    cdef readonly Lock lock
    cdef float[:, ::1] w                # what is read
    cdef float[:, ::1] state            # what pulses change: w, but for write noise
    cdef float[::1] constants
    cdef const float[:, :] reset_level  # (rows, columns), or (1, 1) for all
    cdef float reset_std
    cdef double granularity
    cdef uint64_t key, train_key        # of all streams, and of pulse trains, which the devices of a cell may share
    cdef uint64_t updates               # vectors of updates, and operations on single devices, so far
    cdef int64_t pulses_up, pulses_down
    cdef Buffer scratch

    # Write one device: clip to its own bounds, and draw what is read of it with the standard normal `xi`.
    cdef void put(self, Py_ssize_t i, Py_ssize_t j, float value, float xi) noexcept nogil
    # Bring one device to its reset level, which is relative to `origin`.
    cdef void put_back(self, Py_ssize_t i, Py_ssize_t j, float origin, float xi, float xi_read) noexcept nogil
    cdef bint has_write_noise(self) noexcept nogil
    cdef int check_pulses(self, Py_ssize_t rows, Py_ssize_t columns) except -1
    cdef const float *_normals(self, int kind, uint64_t operation, int half) except NULL
