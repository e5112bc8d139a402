"""A lock that its owner may take again, like `threading.RLock`.

Decided, and why: taken and given back by compiled code, RLock costs 0.27 us, more than a third of a read of a small array,
since both are looked up and called as methods of Python; this one costs 0.07. Only the owner ever finds its own name in
`owner`, so that needs no protection. Ctrl-C ends waiting, where a system's locks can be interrupted (POSIX).
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.pythread cimport (
    NOWAIT_LOCK, PY_LOCK_INTR, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_get_thread_ident,
    PyThread_release_lock, PyThread_type_lock,
)

cdef extern from "pythread.h":
    int PyThread_acquire_lock_timed(PyThread_type_lock, long long microseconds, int intr_flag) nogil


@cython.final
cdef class Lock:
    def __cinit__(self):
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError("no memory for a lock")

    def __dealloc__(self):
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    cpdef bint acquire(self) except -1:
        """Take it; wait while another thread has it."""
        cdef unsigned long me = PyThread_get_thread_ident()
        cdef int interrupted
        if self.depth == 0 or self.owner != me:
            while not PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
                with nogil:
                    interrupted = PyThread_acquire_lock_timed(self.lock, -1, 1) == PY_LOCK_INTR
                if not interrupted:
                    break
                PyErr_CheckSignals()
            self.owner = me
        self.depth += 1
        return True

    cpdef int release(self) except -1:
        """Give it back, as often as it was taken."""
        if self.depth == 0 or self.owner != <unsigned long>PyThread_get_thread_ident():
            raise RuntimeError("a lock can be released only by the thread that has it")
        self.depth -= 1
        if self.depth == 0:
            self.owner = 0
            PyThread_release_lock(self.lock)
        return 0

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *_):
        self.release()


cdef int acquire_all(list locks) except -1:
    cdef Py_ssize_t k
    for k in range(len(locks)):
        try:
            (<Lock>locks[k]).acquire()
        except BaseException:       # of a Ctrl-C while waiting
            release_all(locks[:k])
            raise
    return 0


cdef int release_all(list locks) except -1:
    cdef Py_ssize_t k
    for k in range(len(locks)):
        (<Lock>locks[k]).release()
    return 0
