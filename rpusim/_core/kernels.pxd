"""The C kernels as the compiled parts see them; see kernels/kernels.h."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "kernels/stream.h" nogil:
    enum: RPU_CHUNK
    int RPU_BACKWARD, RPU_DIFFUSION, RPU_RESET, RPU_RESET_CHOICE, RPU_WRITE_ALL, RPU_DRIFT_NU, RPU_DRIFT_NOISE, RPU_EFFECT


cdef extern from "kernels/wires.h" nogil:
    enum: RPU_STRIP
    ctypedef struct rpu_lines:
        const double *inner
        const double *near_end
        const double *far_end
    ctypedef struct rpu_wires:
        int64_t rows, columns, strips, width
        rpu_lines words, bits
        double *g
        double *row_c
        double *row_d
        double *col_c
        double *col_d
    ctypedef struct rpu_wires_task:
        const double *word
        const double *bit
        const double *emf
        double *u
        double *v
        int warm, ends
        double *word_out
        double *bit_out
        double tolerance
        int64_t max_iterations
        double *work
        const double *block
        double block_unit
        int64_t iterations
        double residual
    int64_t RPU_WIRES_GRID(const rpu_wires *net)
    int64_t RPU_WIRES_WORK(const rpu_wires *net)
    int64_t RPU_WIRES_BLOCK_FACTORS(const rpu_wires *net)
    int64_t RPU_WIRES_BLOCK_WORK(const rpu_wires *net)


cdef extern from "kernels/kernels.h" nogil:
    int64_t RPU_ROW_SCRATCH(int64_t columns)
    int RPU_KEEPS_NOTHING, RPU_KEEPS_COLUMNS, RPU_KEEPS_ROWS
    enum: RPU_SEGMENT
    enum: RPU_LIST_LANES

    ctypedef struct rpu_devices:
        float *w
        float *visible
        const float *quad
        const float *pair
        const float *reference
        int64_t quad_stride, pair_stride, reference_stride
        int64_t rows, columns
        int32_t bounded, referenced
        const float *constant
        int32_t silent
        float write_noise
        float noise_mult, noise_add
        int64_t *count_up
        int64_t *count_down
        int keeps

    ctypedef struct rpu_pulse_count:
        int64_t up, down

    ctypedef struct rpu_trains:
        int32_t bl
        rpu_pulse_count pulses
        int32_t *row
        int64_t keep
        float *kept

    ctypedef struct rpu_work:
        pass

    ctypedef struct rpu_converters:
        float dac_scale, dac_step, dac_levels, dac_bound, dac_noise, dac_asymmetry
        float adc_scale, adc_step, adc_levels, adc_bound, adc_noise, adc_asymmetry
        int32_t dac_stochastic, adc_stochastic, slice_bits, one_sided
        const float *nonlinearity
        float slope
        const float *noise_of
        const float *gain
        const float *offset
        const float *transitions
        float ir_drop, ir_factor
        const float *voltage_offset
        float offset_w_min, series, series_max

    ctypedef struct rpu_model:
        const char *name
        const char *pair
        int32_t referenced, constants, sums, strips
        void (*update_rows)(const rpu_devices *, const rpu_trains *, int64_t, int64_t, int64_t, int, const rpu_work *, int,
                            uint64_t, uint64_t) noexcept nogil
        rpu_pulse_count (*pulse_row)(const rpu_devices *, int64_t, const int32_t *, uint16_t *, uint64_t,
                                     uint64_t) noexcept nogil

    enum: RPU_TABLE

    ctypedef struct rpu_kernels:
        const char *name
        void (*words)(uint64_t, int, uint64_t, uint32_t, uint32_t, uint32_t *) noexcept nogil
        void (*normals)(uint64_t, int, uint64_t, uint32_t, uint32_t, int64_t, float *) noexcept nogil
        void (*uniforms)(uint64_t, int, uint64_t, uint32_t, uint32_t, int64_t, float *) noexcept nogil
        void (*thresholds)(const float *, int64_t, float, uint32_t *, uint32_t *, uint16_t *, uint16_t *) noexcept nogil
        void (*train_slot)(uint64_t, int, uint64_t, const uint32_t *, const uint32_t *, const uint16_t *, int64_t,
                           uint16_t *) noexcept nogil
        void (*train_bits)(uint64_t, int, uint64_t, const uint32_t *, const uint32_t *, const int32_t *, int64_t, int32_t,
                           int32_t, uint32_t *) noexcept nogil
        const rpu_model *models
        int32_t n_models
        void (*rank_one_rows)(float *, int64_t, int64_t, const float *, const float *, int64_t, float, int64_t,
                              int64_t) noexcept nogil
        int64_t (*dac)(const rpu_converters *, const float *, int64_t, double, uint64_t, int, uint64_t, uint32_t,
                       float *) noexcept nogil
        void (*plane)(const rpu_converters *, const float *, int64_t, int, uint64_t, int, uint64_t, uint32_t,
                      float *) noexcept nogil
        void (*analog)(const rpu_converters *, float *, int64_t, const float *, const float *, const float *, int32_t, float,
                       uint64_t, int, uint64_t, uint32_t) noexcept nogil
        int64_t (*adc)(const rpu_converters *, const float *, int64_t, float, int, uint64_t, int, uint64_t, uint32_t,
                       float *) noexcept nogil
        float (*abs_max)(const float *, int64_t) noexcept nogil
        int (*all_finite)(const float *, int64_t) noexcept nogil
        double (*sum_squares)(const float *, int64_t) noexcept nogil
        void (*size_products)(const float *, int64_t, int64_t, int, const float *, int64_t, int, float,
                              float *) noexcept nogil
        void (*sigmoid)(const float *, int64_t, float *) noexcept nogil
        void (*sigmoid_gradient)(const float *, const float *, int64_t, float *) noexcept nogil
        void (*tanh)(const float *, int64_t, float *) noexcept nogil
        void (*tanh_gradient)(const float *, const float *, int64_t, float *) noexcept nogil
        double (*cross_entropy)(const float *, int64_t, int64_t, float *) noexcept nogil
        void (*lstm)(const float *, int64_t, float *, float *, float *, float *) noexcept nogil
        void (*lstm_gradient)(const float *, const float *, const float *, int64_t, const float *, const float *, float *,
                              float *) noexcept nogil
        void (*wires_factor)(const rpu_wires *, const double *, double *) noexcept nogil
        int (*wires_solve)(const rpu_wires *, rpu_wires_task *) noexcept nogil

    const rpu_kernels *rpu_select(const char *name)
    const char *const *rpu_available()


cdef extern from "kernels/writes.h" nogil:
    ctypedef struct rpu_written:
        int64_t clipped
        float most
    void rpu_write(const rpu_devices *, int64_t row, int64_t column, float value, float xi)
    void rpu_write_all(const rpu_devices *, const float *values, const float *xi)
    rpu_written rpu_beyond(const rpu_devices *, const float *values)


cdef extern from "kernels/pulses.h" nogil:
    int RPU_STOCHASTIC, RPU_MEAN_COUNT, RPU_DETERMINISTIC_IMPLICIT

    ctypedef struct rpu_pulse_scheme:
        int32_t type, desired_bl, update_management, update_bl_management, fixed_bl
        int32_t power_of_two_scales, shared_random_numbers
        double um_grad_scale

    ctypedef struct rpu_pulse_plan:
        int32_t bl, sum, strips
        double scale_x, scale_d

    rpu_pulse_plan rpu_plan_pulses(const rpu_pulse_scheme *, double lr, double granularity, double x_max, double d_max)
    size_t rpu_trains_bytes(int64_t rows, int64_t columns, rpu_pulse_plan)
    size_t rpu_scratch_bytes(int64_t rows, int64_t columns, int32_t bl)
    size_t rpu_lay_out_work(int64_t vectors, int64_t rows, int64_t columns, int kinds, int sum, int strips, void *memory,
                            rpu_work *work)
    void rpu_draw_trains(const rpu_kernels *, rpu_pulse_plan, const float *x, const float *d, int64_t rows, int64_t columns,
                         uint64_t key, uint64_t operation, void *memory, void *scratch, int64_t *fired, rpu_trains *out)
    void rpu_count_pulses(const rpu_pulse_scheme *, rpu_pulse_plan, const float *x, float d, int64_t columns, int reverse,
                          int32_t *counts)


cdef const rpu_kernels *active_kernels() noexcept nogil
cdef double uniform(uint64_t key, int kind, uint64_t operation, uint32_t line, uint32_t position) noexcept nogil
