"""See lock.pyx."""

cimport cython
from cpython.pythread cimport PyThread_type_lock


@cython.final
cdef class Lock:
    cdef PyThread_type_lock lock
    cdef unsigned long owner
    cdef Py_ssize_t depth       # how often the owner has it
    cpdef bint acquire(self) except -1
    cpdef int release(self) except -1


# All of them, in their order; none if waiting for one is interrupted.
cdef int acquire_all(list locks) except -1
cdef int release_all(list locks) except -1
