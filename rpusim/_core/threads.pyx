"""How many threads there may be, and the team that shares the work of one call; see kernels/team.h.

Decided, and why:
- A number for the process, and one for a thread of Python that goes before it, so that `with rpusim.threads(n)` in one thread
  changes nothing for another.
- At first as many as the process may have processors, by its affinity, by the share of its control group (a container's
  limit: threads beyond it would be stopped again and again), and by OMP_NUM_THREADS, which people set for all such libraries.
"""

import os

from cpython.pythread cimport PyThread_get_thread_ident


cdef extern from "kernels/team.h":
    void rpu_team_run(rpu_part part, void *task, int members, int wake) nogil
    void rpu_team_forget() nogil

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #define RPU_THREAD_LOCAL __declspec(thread)
    #else
    #define RPU_THREAD_LOCAL _Thread_local
    #endif
    static RPU_THREAD_LOCAL int rpu_own_threads;
    """
    int rpu_own_threads         # of the calling thread; 0: those of the process

cdef enum:
    LEAST_SHARE = 5000          # nanoseconds of work below which another thread costs more than it gives
    WORTH_WAKING = 200_000      # and below which those who sleep may sleep on

cdef int _threads
cdef bint _chosen = False       # whether somebody has set them, and not the environment


def available_threads():
    """Return the number of threads at first: of the processors that this process may use, or OMP_NUM_THREADS."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return min(int(wanted), RPU_MOST_THREADS)
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, min(processors, _share_of_group(), RPU_MOST_THREADS))


def _share_of_group(files=("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
                           "/sys/fs/cgroup/cpu/cpu.cfs_period_us")):
    """Return how many processors the control group of this process may keep busy, rounded up."""
    try:
        with open(files[0]) as file:
            words = file.read().split()
    except OSError:
        words = []
        for name in files[1:]:
            try:
                with open(name) as file:
                    words.append(file.read().strip())
            except OSError:
                return RPU_MOST_THREADS
    try:
        quota, period = (int(word) for word in words)
    except ValueError:
        return RPU_MOST_THREADS     # "max"
    return -(-quota // period) if quota > 0 and period > 0 else RPU_MOST_THREADS


cdef int num_threads() noexcept nogil:
    return rpu_own_threads if rpu_own_threads else _threads


cdef bint is_chosen() noexcept nogil:
    return rpu_own_threads != 0 or _chosen


cdef void run_team(rpu_part part, void *task, int members, double ns) noexcept nogil:
    rpu_team_run(part, task, <int>min(<double>members, 1 + ns / LEAST_SHARE), ns >= WORTH_WAKING)


def get_num_threads():
    """Return the number of threads that the calling thread may use."""
    return num_threads()


def set_num_threads(int n):
    """Set the number of threads of the process."""
    global _threads, _chosen
    _threads, _chosen = n, True


cdef int set_own_threads(int n) noexcept:
    # Set the number of threads of the calling thread (0: that of the process); return the one before.
    global rpu_own_threads
    cdef int before = rpu_own_threads
    rpu_own_threads = n
    return before


cdef class Block:
    """`with` it, the calling thread has `n` threads. Compiled, so that a Ctrl-C comes before the number has changed or after
    the block has begun, which then gives it back."""
    cdef readonly int n
    cdef dict before            # the numbers of each thread before its blocks that have begun

    def __init__(self, int n):
        self.n, self.before = n, {}

    def __enter__(self):
        self.before.setdefault(PyThread_get_thread_ident(), []).append(set_own_threads(self.n))
        return self

    def __exit__(self, *_):
        cdef list own = self.before[PyThread_get_thread_ident()]
        set_own_threads(own.pop())
        if not own:
            del self.before[PyThread_get_thread_ident()]


def _forget():
    rpu_team_forget()


_threads = available_threads()

# The threads of a team do not survive a fork; the child gets new ones.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
