"""See lock.pyx."""

cimport cython
from cpython.pythread cimport PyThread_type_lock


@cython.final
cdef class Lock:
    cdef PyThread_type_lock lock
    cdef unsigned long owner
    cdef Py_ssize_t depth       # how often the owner has it
    cdef bint working           # the owner is in a call that nobody may come into
    cdef int forks              # that led to the process in which it was taken last
    cpdef bint acquire(self) except -1
    cpdef int release(self) except -1
    # Around a compiled call, or a change: refused to its owner within another such call.
    cdef int begin(self) except -1
    cdef int end(self) except -1
    cdef int _acquire_idle(self) except -1
    cdef int _inherit(self) except -1


# Of all, in their order; of none if waiting for one is interrupted.
cdef int begin_all(list locks) except -1
cdef int end_all(list locks) except -1
