"""The team of threads as the compiled parts see it; see kernels/team.h."""

from libc.stdint cimport int64_t

cdef extern from "kernels/team.h":
    ctypedef void (*rpu_part)(void *task, int member) noexcept nogil
    int64_t rpu_take(int64_t *next) noexcept nogil
    enum:
        RPU_MOST_THREADS

# How many threads the calling thread may use.
cdef int num_threads() noexcept nogil
# Whether somebody has said so: by `set_num_threads` or `threads`, and not by the environment.
cdef bint is_chosen() noexcept nogil
# part(task, 0), and part(task, k) for those k < members that come in time; a part does all that others leave. `ns`: how long
# one thread takes for it, in nanoseconds, about.
cdef void run_team(rpu_part part, void *task, int members, double ns) noexcept nogil
