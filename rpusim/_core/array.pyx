"""One crossbar array: devices, their state, and the three operations on them.

Decided, and why:
- The array is a class with `cdef` methods on raw pointers, so that algorithms call it in a compiled loop without the
  interpreter (array.pxd is that door); the Python methods are thin and used by rpusim.arrays, which has validated.
- An update splits its batch into parts whose trains fit the cache, draws the trains of a part vector by vector, then
  walks blocks of rows through the part. Both steps run in parallel; the result depends on neither split. Threads come back
  to the same rows (`_update_blocks`).
- A read is one matrix product for the whole batch between one pass through the DACs and one through the ADCs, where several
  arrays are read as one their sum with more than a few vectors. Only the vectors that clipped are read again by bound
  management.
- One lock per array lets threads share it; different arrays run at the same time.
- Buffers belong to the array and grow to the largest call; nothing is allocated in steady state.
"""

import numpy as np

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.float cimport FLT_MAX
from libc.math cimport fabs, fabsf, rint
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from rpusim._core.kernels import model_names
from rpusim._base.validation import signal as checked_signal

from rpusim._core.kernels cimport (
    RPU_BACKWARD, RPU_KEEPS_COLUMNS, RPU_KEEPS_NOTHING, RPU_KEEPS_ROWS, RPU_LIST_LANES, RPU_MODEL_constant_step,
    RPU_MODEL_piecewise_step, RPU_ROW_SCRATCH, RPU_SEGMENT, RPU_STOCHASTIC, active_kernels, rpu_count_pulses, rpu_draw_trains,
    rpu_lay_out_work,
    rpu_plan_pulses, rpu_pulse_count, rpu_scratch_bytes, rpu_trains_bytes, rpu_work,
)
from rpusim._core.products cimport add_product, product as matrix_product
from rpusim._core.threads cimport num_threads, rpu_take, run_team

cnp.import_array()

cdef enum:
    ARENA_BYTES = 2 << 20       # trains of one part of a batch
    PART_VECTORS = 128          # vectors of one part: their noise stays in a second-level cache
    LAST_BLOCK = 4000           # pulses in the smallest block of rows: a few of them cost as much as to begin it
    PULSE_NS = 2                # that a pulse takes, about; so does to draw eight slots of a line
    MULTIPLY_ADDS_PER_NS = 8    # of an update without physics, which waits for memory
    WORTH_SHARING = 40_000      # nanoseconds below which work is not shared: states change place from cache to cache
    WORTH_SHARING_IDEAL = 100_000
    WORTH_SHARING_CONVERSIONS = 15_000
    CONVERSION_NS = 1           # that a number takes in a DAC or an ADC, about
    PIECE = 2048                # numbers that a thread converts before it looks for more
    MOST_ENTRIES = 1 << 30      # columns times slots of one vector: 32 bits count the entries of its lists, which are padded
    PULSES_BETWEEN_SIGNALS = 1 << 24
    MERGED_VECTORS = 4          # vectors for which adding up arrays takes less than a product with each

NOISE_MANAGEMENT = ("none", "abs_max", "max", "constant", "average_abs_max", "abs_max_np_sum")
BOUND_MANAGEMENT = ("none", "iterative", "iterative_worst_case")
SIGN_HANDLING = ("one_pass", "analog_sum", "digital_sum")
READ_NOISE_LAWS = ("additive", "sqrt", "proportional")
PULSE_TYPES = ("stochastic", "mean_count", "deterministic_implicit")

cdef int32_t NO_ROW = 0x7FFFFFFF      # the rows of a vector without pulses


def as_batch(str name, value, Py_ssize_t n):
    """Return `value` as a C-contiguous float32 array of shape (batch, n) or (n,), checked to be finite.

    What already is such an array is passed on as it is; the general case is `rpusim._base.validation.signal`."""
    cdef cnp.ndarray array
    cdef int ndim
    if cnp.PyArray_CheckExact(value):
        array = <cnp.ndarray>value
        ndim = cnp.PyArray_NDIM(array)
        if (cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT32 and cnp.PyArray_ISCARRAY_RO(array) and (ndim == 1 or ndim == 2)
                and cnp.PyArray_DIM(array, ndim - 1) == n
                and active_kernels().all_finite(<const float *>cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array))):
            return array
    try:
        ndim = np.ndim(value)
    except ValueError:
        ndim = 2        # ragged: the next line says so
    return checked_signal(name, value, (n,) if ndim == 1 else (None, n))


def as_batches(x, d, Py_ssize_t rows, Py_ssize_t columns):
    """Return the checked vectors of an update of shape (rows, columns): as many in `d` as in `x`."""
    cdef cnp.ndarray x_batch = as_batch("x", x, columns)
    cdef cnp.ndarray d_batch = as_batch("d", d, rows)
    cdef int ndim = cnp.PyArray_NDIM(x_batch)
    if ndim != cnp.PyArray_NDIM(d_batch) or ndim == 2 and cnp.PyArray_DIM(x_batch, 0) != cnp.PyArray_DIM(d_batch, 0):
        raise ValueError(f"d must have as many vectors as x, whose shape is {(<object>x_batch).shape}; got shape "
                         f"{(<object>d_batch).shape}")
    return x_batch, d_batch


cdef bint _is_output(cnp.ndarray out, cnp.ndarray batch, Py_ssize_t n):
    # Whether `out` is a float32 array that can take, in place, `n` results for each vector of `batch`.
    cdef int ndim = cnp.PyArray_NDIM(batch)
    return (cnp.PyArray_TYPE(out) == cnp.NPY_FLOAT32 and cnp.PyArray_ISCARRAY(out) and cnp.PyArray_NDIM(out) == ndim
            and cnp.PyArray_DIM(out, ndim - 1) == n
            and (ndim == 1 or cnp.PyArray_DIM(out, 0) == cnp.PyArray_DIM(batch, 0)))


cdef bint _overlap(cnp.ndarray a, cnp.ndarray b):
    # Whether two C-contiguous arrays share memory.
    cdef char *first = <char *>cnp.PyArray_DATA(a)
    cdef char *second = <char *>cnp.PyArray_DATA(b)
    return first < second + cnp.PyArray_NBYTES(b) and second < first + cnp.PyArray_NBYTES(a)


cdef const float *_floats(array) except? NULL:
    # Where the numbers of a C-contiguous float32 array are; NULL for None.
    if array is None:
        return NULL
    if not (array.dtype == np.float32 and array.flags.c_contiguous and array.size):
        raise TypeError("a table must be a C-contiguous float32 array")
    return <const float *>cnp.PyArray_DATA(<cnp.ndarray?>array)


cdef void *grow(Buffer *buffer, size_t size) except NULL nogil:
    cdef void *old
    if buffer.size < size + 64 or buffer.data == NULL:
        old = buffer.data
        buffer.data, buffer.size = NULL, 0      # before it is freed: a fork may come at any time
        free(old)
        buffer.data = malloc(size + size // 2 + 64)
        if buffer.data == NULL:
            with gil:
                raise MemoryError(f"no memory for a buffer of {size} bytes")
        buffer.size = size + size // 2 + 64
    return <void *>((<uintptr_t>buffer.data + 63) & ~<uintptr_t>63)


# What the members of a team do together; each takes the next piece that nobody has.

ctypedef void (*UpdateRows)(const rpu_cells *, const rpu_trains *, int64_t, int64_t, int64_t, int, const rpu_work *, int,
                            uint64_t, uint64_t) noexcept nogil


cdef struct ConvertTask:
    const rpu_kernels *kernels
    const rpu_converters *converters
    const float *x              # all vectors
    float *signal               # those that are read, one after another: what the array gets,
    float *product              # and what it gives
    float *y                    # all vectors
    const float *scale          # all vectors
    float *factor               # those that are read: 1 / what their inputs are divided by
    float out_scale
    const int32_t *index        # which they are
    int32_t *clipped            # how many of their inputs, and then of their outputs
    Py_ssize_t n_in, n_out, vectors
    double reduction
    uint64_t key
    int offset
    uint64_t operation
    uint32_t retry
    Py_ssize_t block
    int64_t next


cdef int _converters_for(Py_ssize_t numbers) noexcept nogil:
    return num_threads() if numbers * CONVERSION_NS > WORTH_SHARING_CONVERSIONS else 1


cdef void _convert_inputs(void *task, int member) noexcept nogil:
    # The DACs of some vectors after others.
    cdef ConvertTask *t = <ConvertTask *>task
    cdef Py_ssize_t q, v, first
    cdef double scale
    while True:
        first = <Py_ssize_t>rpu_take(&t.next) * t.block
        if first >= t.vectors:
            return
        for q in range(first, min(t.vectors, first + t.block)):
            v = t.index[q]
            scale = (t.scale[v] if t.scale[v] > 0.0 else 1.0) * t.reduction
            t.clipped[q] = <int32_t>t.kernels.dac(t.converters, t.x + v * t.n_in, t.n_in, 1.0 / scale, t.key, t.offset,
                                                  t.operation + v, t.retry, t.signal + q * t.n_in)
            t.factor[q] = <float>min(scale, FLT_MAX)
            t.factor[q] *= t.out_scale


cdef void _convert_outputs(void *task, int member) noexcept nogil:
    # The ADCs of some vectors after others.
    cdef ConvertTask *t = <ConvertTask *>task
    cdef Py_ssize_t q, v, first
    while True:
        first = <Py_ssize_t>rpu_take(&t.next) * t.block
        if first >= t.vectors:
            return
        for q in range(first, min(t.vectors, first + t.block)):
            v = t.index[q]
            t.clipped[q] = <int32_t>t.kernels.adc(t.converters, t.product + q * t.n_out, t.n_out, t.factor[q], 0, t.key,
                                                  t.offset, t.operation + v, t.retry, t.y + v * t.n_out)


cdef struct DrawTask:
    const rpu_kernels *kernels
    Py_ssize_t rows, columns
    uint64_t key, updates
    const rpu_pulse_plan *plans
    const float *x
    const float *d
    Py_ssize_t vectors
    char **memory
    char *scratch               # of each member
    size_t scratch_bytes
    int64_t *fired              # of each member, or NULL
    Py_ssize_t lines
    rpu_trains *trains
    int64_t next


cdef void _draw_vectors(void *task, int member) noexcept nogil:
    # The trains of one vector after another.
    cdef DrawTask *t = <DrawTask *>task
    cdef rpu_trains *trains
    cdef Py_ssize_t v
    while True:
        v = <Py_ssize_t>rpu_take(&t.next)
        if v >= t.vectors:
            return
        trains = t.trains + v
        trains.bl = 0
        trains.pulses.up = trains.pulses.down = 0
        trains.row = &NO_ROW
        if t.plans[v].bl:
            rpu_draw_trains(t.kernels, t.plans[v], t.x + v * t.columns, t.d + v * t.rows, t.rows, t.columns, t.key,
                            t.updates + v, t.memory[v], t.scratch + member * t.scratch_bytes,
                            NULL if t.fired == NULL else t.fired + member * t.lines, trains)


cdef struct IdealTask:
    const rpu_kernels *kernels
    float *w
    Py_ssize_t rows, columns, block
    const float *x
    const float *d
    Py_ssize_t vectors
    float lr
    int64_t next


cdef void _update_ideal_rows(void *task, int member) noexcept nogil:
    # One block of rows after another.
    cdef IdealTask *t = <IdealTask *>task
    cdef Py_ssize_t first
    while True:
        first = <Py_ssize_t>rpu_take(&t.next) * t.block
        if first >= t.rows:
            return
        t.kernels.rank_one_rows(t.w, t.rows, t.columns, t.x, t.d, t.vectors, t.lr, first, min(t.rows, first + t.block))


cdef struct UpdateTask:
    UpdateRows update_rows
    const rpu_cells *cells
    Py_ssize_t threads, blocks
    int64_t *next_block         # of each thread's share
    const rpu_trains *trains
    Py_ssize_t vectors
    rpu_work *works             # of each member
    int reverse
    uint64_t key, updates


cdef Py_ssize_t _block_start(Py_ssize_t rows, Py_ssize_t owner, Py_ssize_t threads, Py_ssize_t block,
                             Py_ssize_t blocks) noexcept nogil:
    # Of the rows of `owner` the first block is half, the next a quarter, ...; the last is as large as the one before.
    cdef Py_ssize_t first = owner * rows // threads, last = (owner + 1) * rows // threads
    return last if block == blocks else last - ((last - first) >> block)


cdef void _update_blocks(void *task, int member) noexcept nogil:
    # A member's own blocks of rows, the same ones in updates alike, so that its caches have them already (measured: two threads
    # 1.81 times as fast as one, where each took whichever block came next 1.73); then what others have left. Blocks get smaller
    # towards the end, so that a processor that is slower for a while keeps the other waiting for little. A block right after
    # the one before goes on with its noise; others search for theirs.
    cdef UpdateTask *t = <UpdateTask *>task
    cdef Py_ssize_t k, owner, first, last
    cdef int64_t block, before
    for k in range(t.threads):
        owner = (member + k) % t.threads
        before = -2
        while True:
            block = rpu_take(t.next_block + owner)
            if block >= t.blocks:
                break
            first = _block_start(t.cells.rows, owner, t.threads, block, t.blocks)
            last = _block_start(t.cells.rows, owner, t.threads, block + 1, t.blocks)
            if first < last:
                t.update_rows(t.cells, t.trains, t.vectors, first, last, block == before + 1, t.works + member, t.reverse,
                              t.key, t.updates)
                before = block


cdef class ArrayCore:
    # Buffers are empty at first: Cython zeroes the attributes of new objects.
    def __dealloc__(self):
        free(self.plans.data)
        free(self.trains.data)
        free(self.arena.data)
        free(self.scratch.data)
        free(self.work.data)
        free(self.passes.data)
        free(self.matrix.data)
        free(self.sums.data)
        free(self.lines.data)

    def __init__(self, float[:, ::1] w, str model, double granularity, float noise_mult, float noise_add, uint64_t key,
                 counts=None, float[:, ::1] state=None, float write_noise=0.0, constants=()):
        """Take over `w` (rows, columns) and `counts` (None, or int64 (2, rows, columns)). An empty `model` means devices
        without pulses; the others need all their parameters set before they are used. Where there is write noise, pulses
        change `state`, and `w` is what is read. `constants` are the numbers that all devices of the model share."""
        cdef int64_t[:, :, ::1] per_device
        self.lock = Lock()
        self.kernels = active_kernels()
        self.rows, self.columns = w.shape[0], w.shape[1]
        self.w = w
        self.owners = {"counts": counts}
        if model and model not in model_names():
            raise ValueError(f"a device's kernel must be one of {', '.join(model_names())}; got {model!r}")
        self.model = model_names().index(model) if model else -1
        if self.model == RPU_MODEL_piecewise_step and len(constants) != 2 * (int(constants[0]) + 2) + 1:
            raise ValueError(f"a table of {constants[0]:g} intervals must have {2 * (int(constants[0]) + 2) + 1} numbers; got "
                             f"{len(constants)}")
        self.state = w if state is None else state
        self.cells.w = &self.state[0, 0]
        self.cells.visible = NULL if state is None else &w[0, 0]
        self.cells.write_noise = write_noise
        self.constants = np.array([*constants, 0.0], dtype=np.float32)
        self.cells.constant = &self.constants[0]
        self.cells.silent = noise_mult == 0.0 and noise_add == 0.0
        self.cells.rows, self.cells.columns = self.rows, self.columns
        self.cells.noise_mult = noise_mult
        self.cells.noise_add = noise_add
        self.cells.quad = self.cells.w
        self.cells.pair = self.cells.w
        self.cells.single = self.cells.w
        self.cells.quad_stride = self.cells.pair_stride = self.cells.single_stride = 0
        self.cells.count_up = self.cells.count_down = NULL
        if counts is not None:
            per_device = counts
            self.cells.count_up = &per_device[0, 0, 0]
            self.cells.count_down = &per_device[1, 0, 0]
        self.granularity = granularity
        self.key = self.train_key = key
        self.factor = 1.0
        self.parts = 0
        self.updates = 0
        self.pulses_up = self.pulses_down = 0
        self.fired = None
        self.direction_owners = [None, None]
        self.wired = [None, None]
        self.averages = -1.0, -1.0
        self.read_counts = ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0))

    def set_parameters(self, list values, bint within=False):
        """Take over the parameters of the model: float32 arrays (rows, columns), or (1, 1) for all devices. Four (step_up,
        step_down, w_max, w_min), then two for the directions and one more where the model has them.

        They are copied to where the kernels want them, side by side. Returned are views of that copy, and arrays of shape
        (1, 1) as they came. `within`: from `write_wires`, so within an update."""
        cdef float[:, :, ::1] view
        if self.model < 0 or len(values) != self.kernels.parameters[self.model]:
            wanted = self.kernels.parameters[self.model] if self.model >= 0 else 0
            raise ValueError(f"devices of this kernel must have {wanted} parameters; got {len(values)}")
        out = []
        packs = []
        for name, first, width in (("quad", 0, 4), ("pair", 4, 2), ("single", len(values) - 1, 1)):
            group = values[first:first + width]
            if name == "pair" and len(values) < 6 or name == "single" and len(values) not in (5, 7):
                continue
            shared = all(value.size == 1 for value in group)
            packed = np.empty((1 if shared else self.rows, self.columns, width), dtype=np.float32)
            for k, value in enumerate(group):
                packed[:, :, k] = value
            packs.append((name, packed, 0 if shared else width * self.columns))
            out += [value if value.size == 1 else packed[:, :, k] for k, value in enumerate(group)]
        if within:
            self.lock.acquire()
        else:
            self.lock.begin()   # not while another thread, or this one, steps devices by the old ones
        try:
            for name, packed, stride in packs:
                view = packed
                self.owners[name] = packed
                if name == "quad":
                    self.cells.quad, self.cells.quad_stride = &view[0, 0, 0], stride
                elif name == "pair":
                    self.cells.pair, self.cells.pair_stride = &view[0, 0, 0], stride
                else:
                    self.cells.single, self.cells.single_stride = &view[0, 0, 0], stride
        finally:
            if within:
                self.lock.release()
            else:
                self.lock.end()
        return out

    def set_fired(self, int64_t[::1] fired):
        """Count in `fired` (columns, then rows) how often each line fires in updates."""
        with self.lock:
            self.fired = fired

    def set_parts(self, float factor, list cores, list factors):
        """Read factor w + sum of factors[k] times the weights of cores[k], of the same shape: the devices of a cell."""
        cdef ArrayCore core
        cdef int k
        if len(cores) > MAX_PARTS:
            raise ValueError(f"a cell may have at most {MAX_PARTS + 1} devices; got {len(cores) + 1}")
        with self.lock:
            self.factor, self.parts, self.part_owners = factor, len(cores), cores
            for k in range(self.parts):
                core = cores[k]
                self.part[k] = &core.w[0, 0]
                self.part_factor[k] = factors[k]

    def set_direction(self, int transposed, bint ideal, bint plain, dict c, dict tables, str noise_management,
                      str bound_management, float nm_threshold, double nm_decay, double max_reduction, double sum_factor,
                      double sum_limit, str sign_handling, int planes, float read_noise, str read_noise_law,
                      float out_scale):
        """Set the converters, managements and analog path of one direction. `c` names numbers of rpu_converters, `tables`
        its arrays and `asymmetry`, float32 and kept here."""
        cdef Direction changed
        cdef Direction *before
        cdef Direction *p = &changed
        cdef rpu_converters *k = &p.converters
        with self.lock:
            changed = self.directions[transposed]
        p.ideal, p.plain = ideal, plain
        k.dac_scale, k.dac_step, k.dac_levels = c["dac"]
        k.adc_scale, k.adc_step, k.adc_levels = c["adc"]
        k.dac_bound, k.adc_bound = c["dac_bound"], c["adc_bound"]
        k.dac_noise, k.adc_noise = c["dac_noise"], c["adc_noise"]
        k.dac_asymmetry, k.adc_asymmetry = c["dac_asymmetry"], c["adc_asymmetry"]
        k.dac_stochastic, k.adc_stochastic = c["dac_stochastic"], c["adc_stochastic"]
        k.slice_bits, k.one_sided, k.slope = c["slice_bits"], c["one_sided"], c["slope"]
        k.ir_drop, k.ir_factor = c["ir_drop"], c["ir_factor"]
        k.offset_w_min, k.series, k.series_max = c["offset_w_min"], c["series"], c["series_max"]
        k.nonlinearity = _floats(tables.get("nonlinearity"))
        k.noise_of = _floats(tables.get("adc_noise"))
        k.gain = _floats(tables.get("adc_gain"))
        k.offset = _floats(tables.get("adc_offset"))
        k.transitions = _floats(tables.get("transitions"))
        k.voltage_offset = _floats(tables.get("voltage_offset"))
        p.asymmetry = _floats(tables.get("read_asymmetry"))
        p.noise_management = NOISE_MANAGEMENT.index(noise_management)
        p.bound_management = BOUND_MANAGEMENT.index(bound_management)
        p.sign_handling = SIGN_HANDLING.index(sign_handling)
        p.read_noise_law = READ_NOISE_LAWS.index(read_noise_law)
        p.read_noise, p.out_scale = read_noise, out_scale
        p.planes = planes
        p.nm_threshold = nm_threshold
        p.nm_decay = nm_decay
        p.max_reduction = max_reduction
        p.sum_factor, p.sum_limit = sum_factor, sum_limit
        with self.lock:         # a read that runs in another thread ends with what it began with
            before = &self.directions[transposed]
            p.average, p.operation, p.products, p.retries = before.average, before.operation, before.products, before.retries
            p.inputs_clipped, p.outputs_clipped, p.wired = before.inputs_clipped, before.outputs_clipped, before.wired
            before[0] = changed
            self.direction_owners[transposed] = tables

    def set_wires(self, int transposed, product):
        """Let `product(weights, x, transposed)` -> float64 array take the place of the matrix product in one direction (None:
        none does)."""
        with self.lock:
            self.wired[transposed] = product
            self.directions[transposed].wired = product is not None

    @property
    def read_counts(self):
        """Of both directions: vectors, products, retries of bound management, inputs and outputs that clipped."""
        cdef int k
        self.lock.acquire()         # numbers of one moment
        found = []
        for k in range(2):
            found.append((self.directions[k].operation, self.directions[k].products, self.directions[k].retries,
                          self.directions[k].inputs_clipped, self.directions[k].outputs_clipped))
        self.lock.release()
        return tuple(found)

    @read_counts.setter
    def read_counts(self, values):
        with self.lock:
            for k in range(2):
                (self.directions[k].operation, self.directions[k].products, self.directions[k].retries,
                 self.directions[k].inputs_clipped, self.directions[k].outputs_clipped) = values[k]

    def set_scheme(self, str pulse_type, int desired_bl, bint update_management, bint update_bl_management, bint fixed_bl,
                   double um_grad_scale, bint power_of_two_scales, bint shared_random_numbers):
        """Set how update requests become pulses; see rpusim.periphery.PulseScheme."""
        with self.lock:
            self.scheme.type = PULSE_TYPES.index(pulse_type)
            self.scheme.desired_bl = desired_bl
            self.scheme.update_management = update_management
            self.scheme.update_bl_management = update_bl_management
            self.scheme.fixed_bl = fixed_bl
            self.scheme.um_grad_scale = um_grad_scale
            self.scheme.power_of_two_scales = power_of_two_scales
            self.scheme.shared_random_numbers = shared_random_numbers

    @property
    def counters(self):
        """(vectors updated, read forward, read backward, up pulses, down pulses): all run-time state but the weights
        and the averages of noise management."""
        self.lock.acquire()
        found = (self.updates, self.directions[0].operation, self.directions[1].operation, self.pulses_up, self.pulses_down)
        self.lock.release()
        return found

    @counters.setter
    def counters(self, values):
        with self.lock:
            (self.updates, self.directions[0].operation, self.directions[1].operation, self.pulses_up,
             self.pulses_down) = values

    @property
    def averages(self):
        """Running means of max|x| of the two directions; negative before the first vector."""
        self.lock.acquire()
        found = self.directions[0].average, self.directions[1].average
        self.lock.release()
        return found

    @averages.setter
    def averages(self, values):
        with self.lock:
            self.directions[0].average, self.directions[1].average = values

    @property
    def key(self):
        """The 64-bit key of the random streams."""
        return self.key

    @key.setter
    def key(self, value):
        with self.lock:
            if self.train_key == self.key:
                self.train_key = value
            self.key = value

    @property
    def train_key(self):
        """The key of the pulse trains: that of the array unless it shares its trains with another."""
        return self.train_key

    @train_key.setter
    def train_key(self, value):
        with self.lock:
            self.train_key = value

    @property
    def granularity(self):
        """The step that scales pulse trains, in weight units."""
        return self.granularity

    @granularity.setter
    def granularity(self, value):
        with self.lock:
            self.granularity = value

    def py_update(self, x, d, double lr):
        """w -= lr d^T x by pulses, vector after vector, for arrays as users give them."""
        cdef cnp.ndarray x_batch, d_batch
        cdef const float *x_data
        cdef const float *d_data
        cdef Py_ssize_t vectors
        x_batch, d_batch = as_batches(x, d, self.rows, self.columns)
        x_data, d_data = <const float *>cnp.PyArray_DATA(x_batch), <const float *>cnp.PyArray_DATA(d_batch)
        vectors = cnp.PyArray_SIZE(x_batch) // self.columns
        self.lock.begin()
        try:
            self.keeping.kept = NULL    # a thread that was lost in a fork may have left it
            with nogil:
                self.update(x_data, d_data, vectors, lr)
        finally:
            self.lock.end()

    def py_read(self, str name, x, out, int transposed, ArrayCore reference):
        """Return y = x w^T (or x w where transposed), minus the same product with `reference` where given, in `out` unless that
        is None. `name` is what a user calls x."""
        cdef Py_ssize_t n_in = self.rows if transposed else self.columns, n_out = self.columns if transposed else self.rows
        cdef cnp.ndarray batch = as_batch(name, x, n_in)
        cdef cnp.ndarray y
        cdef cnp.npy_intp[2] shape
        cdef int ndim = cnp.PyArray_NDIM(batch)
        cdef const float *x_data
        cdef float *y_data
        cdef Py_ssize_t vectors
        if out is None:
            shape[0], shape[ndim - 1] = cnp.PyArray_DIM(batch, 0), n_out
            y = cnp.PyArray_EMPTY(ndim, shape, cnp.NPY_FLOAT32, 0)
        else:
            if not isinstance(out, np.ndarray):
                raise TypeError(f"out must be a float32 array; got {type(out).__name__}")
            y = out
            if not _is_output(y, batch, n_out):
                wanted = (*(<object>batch).shape[:ndim - 1], n_out)
                raise ValueError(
                    f"out must be a writeable C-contiguous float32 array of shape {wanted}; got dtype {out.dtype}, "
                    f"shape {out.shape}"
                )
            if _overlap(y, batch):
                batch = batch.copy()
        x_data = <const float *>cnp.PyArray_DATA(batch)
        y_data = <float *>cnp.PyArray_DATA(y)
        vectors = cnp.PyArray_SIZE(batch) // n_in
        self.lock.begin()
        try:
            self.earlier = NULL         # as in `py_update`
            with nogil:
                self.read(x_data, y_data, vectors, transposed, reference)
        finally:
            self.lock.end()
        return y

    def pulse(self, const int32_t[:, ::1] counts):
        """Give every device `counts` (rows, columns) pulses, up where positive. Counts as one operation."""
        cdef Py_ssize_t i
        cdef uint16_t *scratch
        cdef rpu_pulse_count n
        cdef int64_t given = 0
        self._check_pulses(counts.shape[0], counts.shape[1])
        self.lock.begin()
        try:
            scratch = <uint16_t *>grow(&self.scratch, 2 * RPU_ROW_SCRATCH(self.columns))
            with nogil:
                for i in range(self.rows):
                    n = self.kernels.pulse_row[self.model](&self.cells, i, &counts[i, 0], scratch, self.key, self.updates)
                    self.pulses_up += n.up
                    self.pulses_down += n.down
                    given += n.up + n.down
                    if given > PULSES_BETWEEN_SIGNALS:
                        given = 0
                        with gil:
                            PyErr_CheckSignals()    # Ctrl-C stops long calls
        finally:
            self.updates += 1       # the noise of the rows that got theirs is spent
            self.lock.end()

    def _check_pulses(self, Py_ssize_t rows, Py_ssize_t columns):
        # See that devices take pulses, and that there is a number for each.
        if self.model < 0:
            raise ValueError("devices without pulses cannot be given any")
        if rows != self.rows or columns != self.columns:
            raise ValueError(f"there must be a number for each of the {self.rows} x {self.columns} devices; got {rows} x "
                             f"{columns}")

    def alternate(self, Py_ssize_t pairs, double[:, ::1] total):
        """Give every device `pairs` times an up and a down pulse; add the state after each pulse to `total`.

        Every pulse counts as one operation."""
        cdef Py_ssize_t i, j, p
        cdef uint16_t *scratch
        cdef int32_t[::1] up = np.ones(self.columns, dtype=np.int32), down = -np.ones(self.columns, dtype=np.int32)
        self._check_pulses(total.shape[0], total.shape[1])
        self.lock.begin()
        try:
            scratch = <uint16_t *>grow(&self.scratch, 2 * RPU_ROW_SCRATCH(self.columns))
            with nogil:
                for i in range(self.rows):
                    for p in range(pairs):
                        self.kernels.pulse_row[self.model](&self.cells, i, &up[0], scratch, self.key, self.updates + 2 * p)
                        for j in range(self.columns):
                            total[i, j] += self.state[i, j]
                        self.kernels.pulse_row[self.model](&self.cells, i, &down[0], scratch, self.key,
                                                           self.updates + 2 * p + 1)
                        for j in range(self.columns):
                            total[i, j] += self.state[i, j]
            self.pulses_up += pairs * self.rows * self.columns
            self.pulses_down += pairs * self.rows * self.columns
            self.updates += 2 * pairs
        finally:
            self.lock.end()

    # ---- update ------------------------------------------------------------------------------------------------------

    cdef int update(self, const float *x, const float *d, Py_ssize_t vectors, double lr) except -1 nogil:
        cdef rpu_cells cells
        if <void *>self.write_wires == <void *>None or vectors == 0 or lr == 0.0:
            return self._update(x, d, vectors, lr)
        with gil:
            cells, owners = self.cells, dict(self.owners)
            try:
                self.write_wires()
                with nogil:
                    self._update(x, d, vectors, lr)
            finally:        # no Python code, in which Ctrl-C would be heard before the parameters are back
                self.cells, self.owners = cells, owners
        return 0

    cdef int _update(self, const float *x, const float *d, Py_ssize_t vectors, double lr) except -1 nogil:
        cdef rpu_pulse_plan *plans
        cdef Py_ssize_t v, first, last
        cdef size_t bytes
        cdef bint strips
        if vectors == 0 or lr == 0.0:
            self.updates += vectors
            return 0
        if self.model < 0:
            self._update_ideal(x, d, vectors, lr)
            self.updates += vectors
            return 0
        strips = (self.kernels.panels[self.model] and vectors > 1 and self.columns <= RPU_SEGMENT
                  and self.cells.visible == NULL)
        plans = <rpu_pulse_plan *>grow(&self.plans, vectors * sizeof(rpu_pulse_plan))
        for v in range(vectors):
            plans[v] = rpu_plan_pulses(&self.scheme, -lr if lr < 0 else lr, self.granularity,
                                       self.kernels.abs_max(x + v * self.columns, self.columns),
                                       self.kernels.abs_max(d + v * self.rows, self.rows))
            plans[v].sum = self.model == RPU_MODEL_constant_step and self.cells.visible == NULL and plans[v].bl > 1
            plans[v].strips = strips
            if self.scheme.type == RPU_STOCHASTIC and <double>plans[v].bl * max(self.columns, RPU_LIST_LANES) > MOST_ENTRIES:
                with gil:
                    raise ValueError(
                        f"pulse trains must have at most {MOST_ENTRIES // max(self.columns, RPU_LIST_LANES)} slots where an "
                        f"array has {self.columns} columns; got {plans[v].bl}"
                    )
        if self.scheme.type != RPU_STOCHASTIC:
            self._update_counts(plans, x, d, vectors, lr < 0)
            self.updates += vectors
            return 0
        first = 0
        while first < vectors:
            last = first
            bytes = 0
            while last < vectors and (last == first or (bytes < ARENA_BYTES and last - first < PART_VECTORS)):
                bytes += rpu_trains_bytes(self.rows, self.columns, plans[last]) if plans[last].bl else 0
                last += 1
            if last - first == 1:
                plans[first].strips = 0     # one vector goes by lists
            self._update_part(plans + first, x + first * self.columns, d + first * self.rows, first, last - first, bytes,
                              lr < 0)
            self.updates += last - first
            first = last
            if first < vectors:
                with gil:
                    PyErr_CheckSignals()    # Ctrl-C stops long calls
        return 0

    cdef int _update_part(self, const rpu_pulse_plan *plans, const float *x, const float *d, Py_ssize_t first,
                          Py_ssize_t vectors, size_t bytes, int reverse) except -1 nogil:
        cdef char *arena = <char *>grow(&self.arena, bytes)
        cdef rpu_trains *trains = <rpu_trains *>grow(
            &self.trains, vectors * (sizeof(rpu_trains) + sizeof(void *)))
        cdef char **memory = <char **>(trains + vectors)
        cdef Py_ssize_t v, t, blocks, share, largest    # rows of a thread, and of its largest block
        cdef int64_t *next_block
        cdef char *scratch
        cdef char *space
        cdef rpu_work *works
        cdef rpu_work measured
        cdef int threads, kinds = 1 if self.cells.visible == NULL else 2, sums = self.model == RPU_MODEL_constant_step
        cdef Py_ssize_t lines = 0 if self.fired is None else self.rows + self.columns
        cdef int64_t *fired = NULL      # each thread counts for itself
        cdef int32_t longest = 0
        cdef size_t scratch_bytes, work_bytes
        cdef double drawing = 0.0   # work of drawing, in pulses: about one for a line, and one for eight slots of it
        cdef int64_t pulses = 0
        cdef DrawTask drawing_task
        cdef UpdateTask update_task
        for v in range(vectors):
            memory[v] = arena
            longest = max(longest, plans[v].bl)
            if plans[v].bl:
                arena += rpu_trains_bytes(self.rows, self.columns, plans[v])
                drawing += (1.0 + plans[v].bl / 8.0) * (self.rows + self.columns)
        threads = <int>min(<Py_ssize_t>num_threads(), vectors) if drawing * PULSE_NS > WORTH_SHARING else 1
        scratch_bytes = rpu_scratch_bytes(self.rows, self.columns, longest)
        scratch = <char *>grow(&self.scratch, threads * scratch_bytes)
        if lines:
            fired = <int64_t *>grow(&self.lines, threads * lines * sizeof(int64_t))
            for v in range(threads * lines):
                fired[v] = 0
        drawing_task = DrawTask(self.kernels, self.rows, self.columns, self.train_key, self.updates, plans, x, d, vectors,
                                memory, scratch, scratch_bytes, fired, lines, trains, 0)
        run_team(_draw_vectors, &drawing_task, threads, drawing * PULSE_NS)
        for v in range(threads * lines):
            self.fired[v % lines] += fired[v]
        for v in range(vectors):
            pulses += trains[v].pulses.up + trains[v].pulses.down
            self.pulses_up += trains[v].pulses.down if reverse else trains[v].pulses.up
            self.pulses_down += trains[v].pulses.up if reverse else trains[v].pulses.down
        self.cells.keeps = RPU_KEEPS_NOTHING
        if self.keeping.kept != NULL:
            self.cells.keeps = RPU_KEEPS_COLUMNS if self.keeping.columns else RPU_KEEPS_ROWS
            for v in range(vectors):
                trains[v].keep = self.keeping.line[first + v]
                trains[v].kept = self.keeping.kept + (first + v) * self.keeping.stride
        elif pulses == 0:
            return 0
        threads = <int>min(<Py_ssize_t>num_threads(), self.rows) if pulses * PULSE_NS > WORTH_SHARING else 1
        share = (self.rows + threads - 1) // threads
        blocks = 1
        while threads > 1 and share >> blocks > 0 and pulses // threads >> blocks >= LAST_BLOCK:
            blocks += 1
        largest = share if blocks == 1 else share - share // 2
        work_bytes = rpu_lay_out_work(vectors, largest, self.columns, kinds, sums, plans[0].strips, NULL, &measured)
        space = <char *>grow(&self.work, threads * (work_bytes + sizeof(rpu_work) + sizeof(int64_t)))
        works = <rpu_work *>(space + threads * work_bytes)
        next_block = <int64_t *>(works + threads)
        for t in range(threads):
            rpu_lay_out_work(vectors, largest, self.columns, kinds, sums, plans[0].strips, space + t * work_bytes, works + t)
            next_block[t] = 0
        if threads <= 1:
            self.kernels.update_rows[self.model](&self.cells, trains, vectors, 0, self.rows, 0, works, reverse, self.key,
                                                 self.updates)
        else:
            update_task = UpdateTask(self.kernels.update_rows[self.model], &self.cells, threads, blocks, next_block, trains,
                                     vectors, works, reverse, self.key, self.updates)
            run_team(_update_blocks, &update_task, threads, <double>pulses * PULSE_NS)
        return 0

    cdef int _update_counts(self, const rpu_pulse_plan *plans, const float *x, const float *d, Py_ssize_t vectors,
                            int reverse) except -1 nogil:
        # The pulse types without trains: counts by formula, dense, row by row.
        cdef int32_t *counts = <int32_t *>grow(&self.scratch, 4 * self.columns + 2 * RPU_ROW_SCRATCH(self.columns))
        cdef uint16_t *scratch = <uint16_t *>(counts + self.columns)
        cdef Py_ssize_t v, i
        cdef rpu_pulse_count n
        cdef int64_t given = 0
        for v in range(vectors):
            if given > PULSES_BETWEEN_SIGNALS:
                given = 0
                self.updates += v
                with gil:
                    PyErr_CheckSignals()        # Ctrl-C stops long calls
                self.updates -= v
            if plans[v].bl == 0:
                continue
            if self.fired is not None:
                for i in range(self.columns):
                    self.fired[i] += <int64_t>rint(plans[v].bl * min(1.0, fabs(x[v * self.columns + i]) * plans[v].scale_x))
                for i in range(self.rows):
                    self.fired[self.columns + i] += <int64_t>rint(
                        plans[v].bl * min(1.0, fabs(d[v * self.rows + i]) * plans[v].scale_d))
            for i in range(self.rows):
                if d[v * self.rows + i] == 0.0:
                    continue
                rpu_count_pulses(&self.scheme, plans[v], x + v * self.columns, d[v * self.rows + i], self.columns, reverse,
                                 counts)
                n = self.kernels.pulse_row[self.model](&self.cells, i, counts, scratch, self.key, self.updates + v)
                self.pulses_up += n.up
                self.pulses_down += n.down
                given += n.up + n.down
        return 0

    cdef void _update_ideal(self, const float *x, const float *d, Py_ssize_t vectors, double lr) noexcept nogil:
        cdef double ns = <double>self.rows * self.columns * vectors / MULTIPLY_ADDS_PER_NS
        cdef int threads = <int>min(<Py_ssize_t>num_threads(), self.rows) if ns > WORTH_SHARING_IDEAL else 1
        cdef IdealTask task
        task.block = max(1, self.rows // (4 * threads)) if threads > 1 else self.rows
        task.kernels, task.w, task.rows, task.columns, task.next = self.kernels, &self.w[0, 0], self.rows, self.columns, 0
        task.x, task.d, task.vectors, task.lr = x, d, vectors, <float>lr
        run_team(_update_ideal_rows, &task, threads, ns)

    # ---- read --------------------------------------------------------------------------------------------------------

    cdef int read(self, const float *x, float *y, Py_ssize_t vectors, int transposed, ArrayCore reference) except -1 nogil:
        cdef Direction *p = &self.directions[transposed]
        cdef Py_ssize_t n_in = self.rows if transposed else self.columns, n_out = self.columns if transposed else self.rows
        cdef Py_ssize_t v, q, j, active = vectors, kept
        cdef float *signal
        cdef float *product
        cdef float *scale
        cdef float *factor
        cdef int32_t *index
        cdef int32_t *clipped
        cdef double reduction = 1.0
        cdef uint32_t retry = 0
        cdef ConvertTask task
        if p.ideal:
            self._products(x, y, vectors, transposed, reference)
            p.operation += vectors
            p.products += vectors
            return 0
        signal = <float *>grow(&self.scratch, 4 * (vectors * (n_in + n_out + 4) + 32))
        product = signal + (vectors * n_in + 15) // 16 * 16
        scale = product + (vectors * n_out + 15) // 16 * 16
        factor = scale + vectors
        index = <int32_t *>(factor + vectors)
        clipped = index + vectors
        for v in range(vectors):
            scale[v] = self._input_scale(p, x + v * n_in, n_in, p.noise_management)
            index[v] = <int32_t>v
        task = ConvertTask(self.kernels, &p.converters, x, signal, product, y, scale, factor, p.out_scale, index, clipped, n_in,
                           n_out, 0, 1.0, self.key, RPU_BACKWARD if transposed else 0, p.operation, 0, 0, 0)
        while active:
            task.vectors, task.reduction, task.retry = active, reduction, retry
            task.next, task.block = 0, max(1, PIECE // n_in)
            run_team(_convert_inputs, &task, _converters_for(active * n_in), active * n_in * CONVERSION_NS)
            for q in range(active):
                p.inputs_clipped += clipped[q]
            if p.plain:
                self._products(signal, product, active, transposed, reference)
                task.next, task.block = 0, max(1, PIECE // n_out)
                run_team(_convert_outputs, &task, _converters_for(active * n_out), active * n_out * CONVERSION_NS)
                for q in range(active):
                    p.outputs_clipped += clipped[q]
                p.products += active
            else:
                self._read_passes(p, signal, product, y, factor, index, clipped, active, transposed, reference, retry)
            kept = 0
            for q in range(active):
                v = index[q]
                if scale[v] <= 0.0 and (transposed or p.converters.dac_noise == 0.0):
                    # no input, no output: nothing is read
                    for j in range(n_out):
                        y[v * n_out + j] = 0.0
                elif clipped[q] and p.bound_management and not reduction > p.max_reduction:
                    if retry == 0 and p.bound_management == 2:
                        scale[v] = self._input_scale(p, x + v * n_in, n_in, 5)
                    index[kept] = <int32_t>v
                    kept += 1
            active = kept
            p.retries += kept
            if retry > 0 or p.bound_management != 2:    # "iterative_worst_case" first tries another scale
                reduction *= 2.0
            retry += 1
        p.operation += vectors
        return 0

    cdef int _read_passes(self, Direction *p, const float *signal, float *product, float *y, const float *factor,
                          const int32_t *index, int32_t *clipped, Py_ssize_t vectors, int transposed, ArrayCore reference,
                          uint32_t retry) except -1 nogil:
        # Reads of several passes (digits of the input, signs of the input), or with an analog path that is not ideal.
        cdef rpu_converters *c = &p.converters
        cdef Py_ssize_t n_in = self.rows if transposed else self.columns, n_out = self.columns if transposed else self.rows
        cdef Py_ssize_t q, j, k
        cdef int offset = RPU_BACKWARD if transposed else 0, signs = 1 if p.sign_handling == 0 else 2, sign, first = 1
        cdef float *digits = <float *>grow(&self.passes, 4 * vectors * (4 * n_in + 4 * n_out + 2))
        cdef float *part = digits + vectors * n_in
        cdef float *negative = part + vectors * n_in
        cdef float *work = negative + vectors * n_out
        cdef float *sums
        cdef const float *whole
        cdef const float *source
        cdef double weight = 1.0
        cdef uint32_t line
        cdef int64_t n
        for q in range(vectors):
            clipped[q] = 0
        for k in range(p.planes):
            source = signal
            if c.slice_bits:
                source = digits
                for q in range(vectors):
                    self.kernels.plane(c, signal + q * n_in, n_in, <int>k, self.key, offset, p.operation + index[q],
                                       retry | <uint32_t>k << 16, digits + q * n_in)
                weight = <double>(<int64_t>1 << c.slice_bits * k) * ((1 << c.slice_bits) - 1) * c.dac_step / c.dac_bound
            whole = source
            for sign in range(signs):
                line = retry | <uint32_t>k << 16 | <uint32_t>sign << 31
                sums = negative if sign else product
                if signs == 2:
                    for j in range(vectors * n_in):
                        part[j] = min(whole[j], <float>0.0) if sign else max(whole[j], <float>0.0)
                    source = part
                self._analog_products(p, source, sums, work, index, vectors, transposed, reference, sign, line)
                p.products += vectors
                if p.sign_handling == 1:
                    if sign == 0:
                        continue
                    for j in range(vectors * n_out):
                        negative[j] += product[j]
                for q in range(vectors):
                    n = self.kernels.adc(c, sums + q * n_out, n_out, <float>(factor[q] * weight), not first, self.key, offset,
                                         p.operation + index[q], line, y + index[q] * n_out)
                    clipped[q] |= n != 0
                    p.outputs_clipped += n
                first = 0
        return 0

    cdef int _analog_products(self, Direction *p, const float *v, float *y, float *work, const int32_t *index,
                              Py_ssize_t vectors, int transposed, ArrayCore reference, int negative,
                              uint32_t line) except -1 nogil:
        # y = v W^T (or v W) and what the analog path makes of it. `work` holds vectors (2 n_in + 3 n_out + 2) numbers.
        cdef Py_ssize_t n_in = self.rows if transposed else self.columns, n_out = self.columns if transposed else self.rows
        cdef Py_ssize_t q, j, k, size = self.rows * self.columns
        cdef int offset = RPU_BACKWARD if transposed else 0, noisy = p.read_noise != 0.0
        cdef const float *asymmetry = p.asymmetry if negative else NULL
        cdef float *matrix = NULL
        cdef const float *w
        cdef float *changed = work
        cdef float *current = NULL
        cdef float *sloped = NULL
        cdef float *variance = NULL
        cdef int32_t variances = 1
        cdef double sum, share
        if asymmetry != NULL or p.converters.ir_drop != 0.0 or noisy or p.wired:
            matrix = <float *>grow(&self.matrix, 4 * size)
        if p.wired:
            self._wired_products(self._effective(matrix, reference, asymmetry, 1), v, y, vectors, transposed)
        elif asymmetry != NULL:
            w = self._effective(matrix, reference, asymmetry, 1)
            matrix_product(w, self.rows, self.columns, v, y, vectors, transposed, 1.0)
        else:
            self._products(v, y, vectors, transposed, reference)
        if p.converters.ir_drop != 0.0:
            current = work + vectors * n_in
            sloped = current + vectors * n_out
            w = self._effective(matrix, reference, asymmetry, 1)
            for q in range(vectors):
                for j in range(n_in):
                    share = 1.0 - <double>j / n_in
                    changed[q * n_in + j] = <float>(v[q * n_in + j] * (1.0 - share * share))
            matrix_product(w, self.rows, self.columns, changed, sloped, vectors, transposed, 1.0)
            if w != matrix:
                for k in range(size):
                    matrix[k] = w[k]
            for k in range(size):
                matrix[k] = fabsf(matrix[k])
            for j in range(vectors * n_in):
                changed[j] = fabsf(v[j])
            matrix_product(matrix, self.rows, self.columns, changed, current, vectors, transposed, 1.0)
        if noisy:
            variance = work + vectors * (n_in + 2 * n_out)
            share = <double>p.read_noise * p.read_noise
            if p.read_noise_law == 0:
                sum = self.factor * self.factor + (1.0 if reference is not None else 0.0)
                for k in range(self.parts):
                    sum += self.part_factor[k] * self.part_factor[k]
                share *= sum
                for q in range(vectors):
                    variance[q] = <float>(share * self.kernels.sum_squares(v + q * n_in, n_in))
            else:
                for j in range(vectors * n_in):
                    changed[j] = v[j] * v[j]
                variances = <int32_t>n_out
                w = self._effective(matrix, reference, NULL, -p.read_noise_law)
                matrix_product(w, self.rows, self.columns, changed, variance, vectors, transposed, <float>share)
        for q in range(vectors):
            sum = 0.0
            if p.converters.voltage_offset != NULL or p.converters.series != 0.0:
                for j in range(n_in):
                    sum += v[q * n_in + j]
            self.kernels.analog(&p.converters, y + q * n_out, n_out,
                                current + q * n_out if current != NULL else NULL,
                                sloped + q * n_out if sloped != NULL else NULL,
                                variance + q * variances if variance != NULL else NULL, variances,
                                <float>sum, self.key, offset, p.operation + index[q], line)
        return 0

    cdef int _wired_products(self, const float *w, const float *v, float *y, Py_ssize_t vectors,
                             int transposed) except -1 nogil:
        # y = v W^T (or v W) as resistive lines leave it. In Python, since a solve takes longer than the way there.
        cdef Py_ssize_t n_in = self.rows if transposed else self.columns, n_out = self.columns if transposed else self.rows
        cdef Py_ssize_t q, j
        cdef double[:, ::1] found
        if vectors == 0:
            return 0
        with gil:
            found = np.ascontiguousarray(self.wired[transposed](np.asarray(<float[:self.rows, :self.columns]>w),
                                                                np.asarray(<float[:vectors, :n_in]>v), bool(transposed)))
            for q in range(vectors):
                for j in range(n_out):
                    y[q * n_out + j] = <float>found[q, j]
        return 0

    cdef const float *_effective(self, float *matrix, ArrayCore reference, const float *asymmetry, int power) noexcept nogil:
        # What a read sees as one matrix: factor w + the parts - the reference, where power is 1; the sum of factor^2 |w|
        # over all arrays for -1, of factor^2 w^2 for -2. In `matrix`, or where it is, if it is the weights of this array.
        cdef Py_ssize_t i, size = self.rows * self.columns
        cdef int k, arrays = 1 + self.parts + (1 if reference is not None else 0)
        cdef const float *w
        cdef float factor
        if power == 1 and arrays == 1 and self.factor == 1.0 and asymmetry == NULL:
            return &self.w[0, 0]
        for i in range(size):
            matrix[i] = 0.0
        for k in range(arrays):
            if k == 0:
                w, factor = &self.w[0, 0], self.factor
            elif k <= self.parts:
                w, factor = self.part[k - 1], self.part_factor[k - 1]
            else:
                w, factor = &reference.w[0, 0], -1.0
            if power == 1:
                for i in range(size):
                    matrix[i] += factor * w[i]
            elif power == -1:
                for i in range(size):
                    matrix[i] += factor * factor * fabsf(w[i])
            else:
                for i in range(size):
                    matrix[i] += factor * factor * (w[i] * w[i])
        if asymmetry != NULL:
            for i in range(size):
                matrix[i] *= 1 + asymmetry[i]
        return matrix

    cdef bint reads_lines(self, int transposed) noexcept nogil:
        cdef Direction *p = &self.directions[transposed]
        return (p.ideal or (p.plain and p.converters.dac_noise == 0.0)) and not p.wired and self.parts == 0

    cdef int _products(self, const float *x, float *y, Py_ssize_t vectors, int transposed,
                       ArrayCore reference) except -1 nogil:
        cdef Py_ssize_t i, n_out = self.columns if transposed else self.rows
        cdef float *work
        cdef int k
        if self.earlier == NULL:
            if vectors >= MERGED_VECTORS and (self.parts or reference is not None):
                matrix_product(
                    self._effective(<float *>grow(&self.matrix, 4 * self.rows * self.columns), reference, NULL, 1),
                    self.rows, self.columns, x, y, vectors, transposed, 1.0)
                return 0
            matrix_product(&self.w[0, 0], self.rows, self.columns, x, y, vectors, transposed, self.factor)
        else:
            for i in range(n_out):
                y[i] = self.factor * (self.earlier[i] * x[self.earlier_line]) + <float>0.0      # as a product: no -0
        if self.parts or reference is not None:
            work = <float *>grow(&self.sums, 4 * vectors * n_out)
            for k in range(self.parts):
                add_product(self.part[k], self.rows, self.columns, x, y, work, vectors, transposed, self.part_factor[k])
            if reference is not None:
                add_product(&reference.w[0, 0], self.rows, self.columns, x, y, work, vectors, transposed, -1.0)
        return 0

    cdef float _input_scale(self, Direction *p, const float *x, Py_ssize_t n, int kind) noexcept nogil:
        # The value of noise management (an index of NOISE_MANAGEMENT) that inputs are divided by; 0 where the vector cannot
        # be scaled.
        cdef float top
        cdef double positive = 0.0, negative = 0.0, largest
        cdef Py_ssize_t j
        if kind == 0:
            return 1.0
        if kind == 3:
            return p.nm_threshold if p.nm_threshold > 0.0 else 1.0
        if kind == 2:
            top = x[0]
            for j in range(1, n):
                top = max(top, x[j])
        else:
            top = self.kernels.abs_max(x, n)
        if kind == 4:
            p.average = top if p.average < 0.0 else (1.0 - p.nm_decay) * p.average + p.nm_decay * top
            return <float>p.average
        largest = top
        if p.nm_threshold > 0.0 and top > p.nm_threshold:
            top = p.nm_threshold
        if kind == 5:
            for j in range(n):
                if x[j] > 0.0:
                    positive += x[j]
                else:
                    negative -= x[j]
            return max(top, <float>min(max(positive, negative) * p.sum_factor, largest * p.sum_limit))
        return top
