"""Reads of one array as the compiled parts see them; see reads.pyx."""

cimport numpy as cnp
from libc.stdint cimport int32_t, uint32_t, uint64_t

from rpusim._core.buffers cimport Buffer
from rpusim._core.devices cimport Devices
from rpusim._core.kernels cimport rpu_converters, rpu_kernels
from rpusim._core.lock cimport Lock


cdef enum:
    MAX_PARTS = 32

cdef enum NoiseManagement:
    NM_NONE
    NM_ABS_MAX
    NM_MAX
    NM_CONSTANT
    NM_AVERAGE_ABS_MAX
    NM_ABS_MAX_NP_SUM

cdef enum BoundManagement:
    BM_NONE
    BM_ITERATIVE
    BM_ITERATIVE_WORST_CASE

cdef enum SignHandling:
    ONE_PASS
    ANALOG_SUM
    DIGITAL_SUM

cdef enum ReadNoiseLaw:
    READ_NOISE_ADDITIVE
    READ_NOISE_SQRT
    READ_NOISE_PROPORTIONAL

# What is summed over the arrays that are read as one.
cdef enum Sums:
    WEIGHTS
    SIZES
    SQUARES


cdef struct Direction:
    # How one direction of reading is converted; see rpusim.periphery.
    int ideal
    int wired                   # products are those of the owner's `wired`
    int plain                   # one pass through the product, and nothing between it and the ADCs
    rpu_converters converters
    NoiseManagement noise_management
    BoundManagement bound_management
    float nm_threshold          # 0: none
    double nm_decay
    double average              # running mean of max|x|; negative before the first vector
    double max_reduction        # bound management gives up beyond this
    double sum_factor, sum_limit    # "abs_max_np_sum": largest weight assumed / ADC's bound; limit relative to max|x|
    SignHandling sign_handling
    int planes                  # passes of a bit-serial input
    ReadNoiseLaw read_noise_law
    float read_noise, out_scale
    const float *asymmetry      # (rows, columns), relative change of the weights for negative inputs, or NULL
    uint64_t operation          # vectors read so far
    uint64_t products, retries, inputs_clipped, outputs_clipped


cdef class Reader:
    cdef Devices devices
    cdef const rpu_kernels *kernels
    cdef Lock lock
    cdef Py_ssize_t rows, columns
    cdef Direction directions[2]        # forward, backward
    cdef object direction_owners, wired
    cdef float factor                   # what is read: factor w + the sum of part_factor[k] part[k]
    cdef int parts
    cdef const float *part[MAX_PARTS]
    cdef float part_factor[MAX_PARTS]
    cdef object part_owners
    cdef const float *earlier           # of the next read, of one vector: its only line that is not 0, as it was; or NULL
    cdef Py_ssize_t earlier_line
    cdef Buffer scratch, passes, matrix, sums
    # y (vectors, rows) = x w^T (transposed 0), or x (vectors, rows) -> (vectors, columns) (transposed 1), through the
    # converters; the weights of `reference` are subtracted where it is not None.
    cdef cnp.ndarray _read_batch(self, str name, x, out, int transposed, Devices reference)
    cdef int read(self, const float *x, float *y, Py_ssize_t vectors, int transposed, Devices reference) except -1 nogil
    # Whether a read of one line depends on that line only, so that `earlier` can take its place.
    cdef bint reads_lines(self, int transposed) noexcept nogil

    cdef int _products(self, const float *x, float *y, Py_ssize_t vectors, int transposed,
                       Devices reference) except -1 nogil
    cdef int _read_passes(self, Direction *p, const float *signal, float *product, float *y, const float *factor,
                          const int32_t *index, int32_t *clipped, Py_ssize_t vectors, int transposed, Devices reference,
                          uint32_t retry) except -1 nogil
    cdef int _analog_products(self, Direction *p, const float *v, float *y, float *work, const int32_t *index,
                              Py_ssize_t vectors, int transposed, Devices reference, int negative,
                              uint32_t line) except -1 nogil
    cdef int _wired_products(self, const float *w, const float *v, float *y, Py_ssize_t vectors,
                             int transposed) except -1 nogil
    cdef const float *_array(self, int k, Devices reference, float *factor) noexcept nogil
    cdef void _size_products(self, int squares, const float *x, Py_ssize_t vectors, int transposed, Devices reference,
                             double share, float *y) noexcept nogil
    cdef const float *_effective(self, float *matrix, Devices reference, const float *asymmetry, Sums sums) noexcept nogil
    cdef float _input_scale(self, Direction *p, const float *x, Py_ssize_t n, NoiseManagement kind) noexcept nogil
