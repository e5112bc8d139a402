"""One crossbar array as the compiled parts see it: the door between the core and the training algorithms."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from rpusim._core.kernels cimport rpu_cells, rpu_converters, rpu_kernels, rpu_pulse_plan, rpu_pulse_scheme, rpu_trains
from rpusim._core.lock cimport Lock


cdef enum:
    MAX_PARTS = 32


cdef struct Buffer:
    void *data
    size_t size


# 64-byte aligned memory of at least `size` bytes; the old content is lost.
cdef void *grow(Buffer *buffer, size_t size) except NULL nogil


cdef struct Direction:
    # How one direction of reading is converted; see rpusim.periphery.
    int ideal
    int wired                   # products are those of the owner's `wired`
    int plain                   # one pass through the product, and nothing between it and the ADCs
    rpu_converters converters
    int noise_management, bound_management
    float nm_threshold          # 0: none
    double nm_decay
    double average              # running mean of max|x|; negative before the first vector
    double max_reduction        # bound management gives up beyond this
    double sum_factor, sum_limit    # "abs_max_np_sum": largest weight assumed / ADC's bound; limit relative to max|x|
    int sign_handling           # SIGN_HANDLING
    int planes                  # passes of a bit-serial input
    int read_noise_law          # READ_NOISE_LAWS
    float read_noise, out_scale
    const float *asymmetry      # (rows, columns), relative change of the weights for negative inputs, or NULL
    uint64_t operation          # vectors read so far
    uint64_t products, retries, inputs_clipped, outputs_clipped


cdef struct Keeping:
    # Lines of the array as the vectors of an update leave them, for who wants to read them later.
    bint columns                # else rows
    const int64_t *line         # of each vector; -1: none
    float *kept                 # where to, `stride` numbers for each vector; NULL: nothing is kept
    Py_ssize_t stride


cdef class ArrayCore:
    cdef const rpu_kernels *kernels
    cdef readonly Py_ssize_t rows, columns
    cdef int model
    cdef rpu_cells cells
    cdef object owners
    cdef readonly Lock lock
    cdef float[:, ::1] w                # what is read
    cdef float[:, ::1] state            # what pulses change: w, but for write noise
    cdef float[::1] constants
    cdef double granularity
    cdef rpu_pulse_scheme scheme
    cdef Direction directions[2]
    cdef object direction_owners, wired
    cdef public object write_wires      # None, or sets the parameters of one update, before it: lines take from its pulses
    cdef uint64_t key, train_key        # of all streams, and of pulse trains, which the devices of a cell may share
    cdef float factor                   # what is read: factor w + the sum of part_factor[k] part[k]
    cdef int parts
    cdef const float *part[MAX_PARTS]
    cdef float part_factor[MAX_PARTS]
    cdef object part_owners
    cdef uint64_t updates
    cdef int64_t pulses_up, pulses_down
    cdef int64_t[::1] fired             # how often columns, then rows, have fired; None: not counted
    cdef Keeping keeping                # of the next update, by who calls it and ends it
    cdef const float *earlier           # of the next read, of one vector: its only line that is not 0, as it was; or NULL
    cdef Py_ssize_t earlier_line
    cdef Buffer plans, trains, arena, scratch, work, passes, matrix, sums, lines
    # x (vectors, columns), d (vectors, rows), C-contiguous: w -= lr d^T x by pulses, vector after vector.
    cdef int update(self, const float *x, const float *d, Py_ssize_t vectors, double lr) except -1 nogil
    # y (vectors, rows) = x w^T (transposed 0), or x (vectors, rows) -> (vectors, columns) (transposed 1), through the
    # converters; the weights of `reference` are subtracted where it is not None.
    cdef int read(self, const float *x, float *y, Py_ssize_t vectors, int transposed, ArrayCore reference) except -1 nogil

    cdef int _update(self, const float *x, const float *d, Py_ssize_t vectors, double lr) except -1 nogil
    # Whether a read of one line depends on that line only, so that `earlier` can take its place.
    cdef bint reads_lines(self, int transposed) noexcept nogil

    cdef int _update_part(self, const rpu_pulse_plan *plans, const float *x, const float *d, Py_ssize_t first,
                          Py_ssize_t vectors, size_t bytes, int reverse) except -1 nogil
    cdef int _update_counts(self, const rpu_pulse_plan *plans, const float *x, const float *d, Py_ssize_t vectors,
                            int reverse) except -1 nogil
    cdef void _update_ideal(self, const float *x, const float *d, Py_ssize_t vectors, double lr) noexcept nogil
    cdef int _products(self, const float *x, float *y, Py_ssize_t vectors, int transposed,
                       ArrayCore reference) except -1 nogil
    cdef int _read_passes(self, Direction *p, const float *signal, float *product, float *y, const float *factor,
                          const int32_t *index, int32_t *clipped, Py_ssize_t vectors, int transposed, ArrayCore reference,
                          uint32_t retry) except -1 nogil
    cdef int _analog_products(self, Direction *p, const float *v, float *y, float *work, const int32_t *index,
                              Py_ssize_t vectors, int transposed, ArrayCore reference, int negative,
                              uint32_t line) except -1 nogil
    cdef int _wired_products(self, const float *w, const float *v, float *y, Py_ssize_t vectors,
                             int transposed) except -1 nogil
    cdef const float *_effective(self, float *matrix, ArrayCore reference, const float *asymmetry, int power) noexcept nogil
    cdef float _input_scale(self, Direction *p, const float *x, Py_ssize_t n, int kind) noexcept nogil
