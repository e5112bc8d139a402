"""A lock that its owner may take again, like `threading.RLock`.

Decided, and why: taken and given back by compiled code, RLock costs 0.27 us, more than a third of a read of a small array,
since both are looked up and called as methods of Python; this one costs 0.07. Only the owner ever finds its own name in
`owner`, so that needs no protection. Ctrl-C ends waiting, where a system's locks can be interrupted (POSIX).

- Who has it may take it again, but not in the middle of a compiled call: handlers of signals, and destructors that the garbage
  collector runs, come into such a call where it looks for signals, and would free or overwrite what it works with. So a call
  that `begin`s refuses others, and `with`, from its own thread until its `end`; a `Look` is let in, as of a handler that saves
  a checkpoint.
- In Python by `with` alone: a Ctrl-C may come between `acquire()` and `try`, but not between the entry of a compiled `with` and
  its block.
- Threads that had it do not survive a fork: in the child a lock is free that was not the forking thread's.
"""

import os

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.pythread cimport (
    NOWAIT_LOCK, PY_LOCK_INTR, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_get_thread_ident,
    PyThread_release_lock, PyThread_type_lock,
)

cdef extern from "pythread.h":
    int PyThread_acquire_lock_timed(PyThread_type_lock, long long microseconds, int intr_flag) nogil


cdef int _forks = 0                 # that led to this process
cdef unsigned long _survivor = 0    # the thread that made the last one


def _forget():
    global _forks, _survivor
    _forks += 1
    _survivor = PyThread_get_thread_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@cython.final
cdef class Lock:
    def __cinit__(self):
        self.forks = _forks
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
        if self.forks != _forks:
            self._inherit()
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
        self._acquire_idle()
        return True

    def __exit__(self, *_):
        self.release()

    cdef int _acquire_idle(self) except -1:
        # Take it to change what it protects.
        self.acquire()
        if self.working:
            self.release()
            raise RuntimeError("an array or network must not be used or changed in the middle of its own call, as by a handler "
                               "of a signal or a destructor")
        return 0

    cdef int begin(self) except -1:
        self._acquire_idle()
        self.working = True
        return 0

    cdef int end(self) except -1:
        self.working = False
        return self.release()

    cdef int _inherit(self) except -1:
        # In a child of fork. The old lock may be taken for ever, so it is left.
        cdef PyThread_type_lock lock
        if self.depth == 0 or self.owner != _survivor:
            lock = PyThread_allocate_lock()
            if lock == NULL:
                raise MemoryError("no memory for a lock")
            self.lock, self.owner, self.depth, self.working = lock, 0, 0, False
        self.forks = _forks
        return 0


@cython.final
cdef class Look:
    """Around what looks at things that change together: has all of their locks. It is let in to calls of its own thread."""
    cdef list locks

    def __init__(self, *locks):
        self.locks = list(locks)

    def __enter__(self):
        cdef Py_ssize_t k
        for k in range(len(self.locks)):
            try:
                (<Lock>self.locks[k]).acquire()
            except BaseException:
                self._release(k)
                raise
        return True

    def __exit__(self, *_):
        self._release(len(self.locks))

    cdef int _release(self, Py_ssize_t n) except -1:
        cdef Py_ssize_t k
        for k in range(n):
            (<Lock>self.locks[k]).release()
        return 0


cdef int begin_all(list locks) except -1:
    cdef Py_ssize_t k
    for k in range(len(locks)):
        try:
            (<Lock>locks[k]).begin()
        except BaseException:       # of a Ctrl-C while waiting
            end_all(locks[:k])
            raise
    return 0


cdef int end_all(list locks) except -1:
    cdef Py_ssize_t k
    for k in range(len(locks)):
        (<Lock>locks[k]).end()
    return 0
