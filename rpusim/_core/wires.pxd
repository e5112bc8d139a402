"""The resistor network of one crossbar array as the compiled parts see it."""

from libc.stdint cimport int64_t

from rpusim._core.buffers cimport Buffer
from rpusim._core.kernels cimport rpu_kernels, rpu_wires, rpu_wires_task
from rpusim._core.lock cimport Lock
from rpusim._core.threads cimport rpu_part


cdef struct Solves


cdef class NetworkCore:
    cdef const rpu_kernels *kernels
    cdef rpu_wires net
    cdef int words_resist, bits_resist  # at all their terminals
    cdef object owners
    cdef readonly Py_ssize_t rows, columns
    cdef readonly Lock lock
    cdef readonly double tolerance
    cdef readonly int64_t max_iterations
    cdef readonly int64_t iterations    # of the last call: of the vector that took longest
    cdef readonly double residual       # and the largest of all
    cdef Buffer factors, work, doubles, starts, narrow
    cdef int narrowed                   # `narrow` holds the factors of blocks:
    cdef const double *block
    cdef double unit                    # how they are scaled
    cdef Py_ssize_t start_vectors       # whose nodes are in `starts`
    cdef int start_transposed
    # Takes over new conductances (rows, columns) in siemens, finite and not negative.
    cdef int factor(self, const double *g) except -1 nogil
    cdef int factor_float(self, const float *g) except -1 nogil
    # Currents in ampere of voltages in volt: v (vectors, rows) -> out (vectors, columns), or the reverse where transposed.
    # Returns 1 where a vector has not converged (`iterations` and `residual` say how far it came), else 0. `warm`: start from
    # the nodes of the last such call, of as many vectors in the same direction, if there was one, and keep the nodes.
    # One thread at a time per core; without the lock.
    cdef int solve(self, const double *v, double *out, Py_ssize_t vectors, int transposed, int warm) except -1 nogil
    cdef int solve_float(self, const float *v, float *out, Py_ssize_t vectors, int transposed, int warm) except -1 nogil

    cdef Py_ssize_t _grid(self) noexcept nogil
    cdef Py_ssize_t _share(self) noexcept nogil
    cdef void _place(self, rpu_wires *net, double *memory) noexcept nogil
    cdef int _vector(self, const rpu_wires *net, const double *word, const double *bit, double *emf, double *u, double *v,
                     int warm, double *memory, rpu_wires_task *task, double *unit) noexcept nogil
    cdef int _read(self, const double *v, double *out, int transposed, double *start, int warm, double *memory,
                   rpu_wires_task *task) noexcept nogil
    cdef int _narrow(self) except -1 nogil
    cdef Py_ssize_t _blocks(self, const double *v, double *out, Py_ssize_t vectors, int transposed, int *failed) except -1 nogil
    cdef int _block(self, const double *v, double *out, Py_ssize_t vectors, int transposed, double *memory,
                    rpu_wires_task *task) noexcept nogil
    cdef int _solution(self, const double *g, const double *word, const double *bit, const double *emf, double *u, double *v,
                       double *memory, rpu_wires_task *task) noexcept nogil
    cdef int _share_out(self, rpu_part part, Solves *solves, Py_ssize_t first, Py_ssize_t count,
                        Py_ssize_t threads) except -1 nogil
    cdef void _note(self, const rpu_wires_task *tasks, Py_ssize_t count) noexcept nogil
