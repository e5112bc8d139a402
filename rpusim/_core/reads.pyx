"""Reads of one array: through DACs, the analog path and ADCs, once or again where outputs clipped.

A read is one matrix product for the whole batch between one pass through the DACs and one through the ADCs, where several
arrays are read as one their sum with more than a few vectors. Only the vectors that clipped are read again by bound
management.
"""

import numpy as np

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.float cimport FLT_MAX
from libc.math cimport fabsf
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from rpusim._core.buffers cimport as_batch, floats, grow, output, overlap
from rpusim._core.devices cimport Devices
from rpusim._core.kernels cimport RPU_BACKWARD, rpu_converters, rpu_kernels
from rpusim._core.products cimport add_product, product as matrix_product
from rpusim._core.threads cimport num_threads, rpu_take, run_team

cnp.import_array()

cdef enum:
    WORTH_SHARING_CONVERSIONS = 15_000      # nanoseconds below which work is not shared
    CONVERSION_NS = 1           # that a number takes in a DAC or an ADC, about
    PIECE = 2048                # numbers that a thread converts before it looks for more
    MERGED_VECTORS = 4          # vectors for which adding up arrays takes less than a product with each

cdef int64_t MULTIPLY_ADDS_BETWEEN_SIGNALS = 8_000_000_000      # of a batch

NOISE_MANAGEMENT = {
    "none": NM_NONE, "abs_max": NM_ABS_MAX, "max": NM_MAX, "constant": NM_CONSTANT, "average_abs_max": NM_AVERAGE_ABS_MAX,
    "abs_max_np_sum": NM_ABS_MAX_NP_SUM,
}
BOUND_MANAGEMENT = {"none": BM_NONE, "iterative": BM_ITERATIVE, "iterative_worst_case": BM_ITERATIVE_WORST_CASE}
SIGN_HANDLING = {"one_pass": ONE_PASS, "analog_sum": ANALOG_SUM, "digital_sum": DIGITAL_SUM}
READ_NOISE_LAWS = {"additive": READ_NOISE_ADDITIVE, "sqrt": READ_NOISE_SQRT, "proportional": READ_NOISE_PROPORTIONAL}


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


cdef int _set_converters(rpu_converters *k, settings, dict tables) except -1:
    k.dac_scale, k.dac_step, k.dac_levels = settings.dac_levels
    k.adc_scale, k.adc_step, k.adc_levels = settings.adc_levels
    k.dac_bound, k.adc_bound = settings.dac_bound, settings.adc_bound
    k.dac_noise, k.adc_noise = settings.dac_noise, settings.adc_noise
    k.dac_asymmetry, k.adc_asymmetry = settings.dac_asymmetry, settings.adc_asymmetry
    k.dac_stochastic, k.adc_stochastic = settings.dac_stochastic, settings.adc_stochastic
    k.slice_bits, k.one_sided, k.slope = settings.slice_bits, settings.one_sided, settings.slope
    k.ir_drop, k.ir_factor = settings.ir_drop, settings.ir_factor
    k.offset_w_min, k.series, k.series_max = settings.offset_w_min, settings.series, settings.series_max
    k.nonlinearity = floats(tables.get("nonlinearity"))
    k.noise_of = floats(tables.get("adc_noise"))
    k.gain = floats(tables.get("adc_gain"))
    k.offset = floats(tables.get("adc_offset"))
    k.transitions = floats(tables.get("transitions"))
    k.voltage_offset = floats(tables.get("voltage_offset"))
    return 0


cdef class Reader:
    # Buffers are empty at first: Cython zeroes the attributes of new objects.
    def __dealloc__(self):
        free(self.scratch.data)
        free(self.passes.data)
        free(self.matrix.data)
        free(self.sums.data)

    def __init__(self, Devices devices):
        self.devices, self.lock, self.kernels = devices, devices.lock, devices.kernels
        self.rows, self.columns = devices.rows, devices.columns
        self.factor = 1.0
        self.parts = 0
        self.direction_owners = [None, None]
        self.wired = [None, None]
        self.averages = -1.0, -1.0
        self.counts = ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0))

    def set_parts(self, float factor, list devices, list factors):
        """Read factor w + sum of factors[k] times the weights of devices[k], of the same shape: the devices of a cell."""
        cdef Devices other
        cdef int k
        if len(devices) > MAX_PARTS:
            raise ValueError(f"a cell may have at most {MAX_PARTS + 1} devices; got {len(devices) + 1}")
        with self.lock:
            self.factor, self.parts, self.part_owners = factor, len(devices), devices
            for k in range(self.parts):
                other = devices[k]
                self.part[k] = &other.w[0, 0]
                self.part_factor[k] = factors[k]

    def set(self, int transposed, settings, dict tables):
        """Set how one direction is read: `ReadSettings`, and what was drawn of it, float32 arrays, which are kept here."""
        cdef Direction changed
        cdef Direction *before
        cdef Direction *p = &changed
        with self.lock:
            changed = self.directions[transposed]
        _set_converters(&p.converters, settings, tables)
        p.asymmetry = floats(tables.get("read_asymmetry"))
        p.ideal, p.plain = settings.ideal, settings.plain
        p.noise_management = NOISE_MANAGEMENT[settings.noise_management]
        p.bound_management = BOUND_MANAGEMENT[settings.bound_management]
        p.sign_handling = SIGN_HANDLING[settings.sign_handling]
        p.read_noise_law = READ_NOISE_LAWS[settings.read_noise_law]
        p.read_noise, p.out_scale = settings.read_noise, settings.out_scale
        p.planes = settings.planes
        p.nm_threshold, p.nm_decay = settings.nm_threshold, settings.nm_decay
        p.max_reduction = settings.max_reduction
        p.sum_factor, p.sum_limit = settings.sum_factor, settings.sum_limit
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
    def counts(self):
        """Of both directions: vectors, products, retries of bound management, inputs and outputs that clipped."""
        cdef int k
        self.lock.acquire()         # numbers of one moment
        found = []
        for k in range(2):
            found.append((self.directions[k].operation, self.directions[k].products, self.directions[k].retries,
                          self.directions[k].inputs_clipped, self.directions[k].outputs_clipped))
        self.lock.release()
        return tuple(found)

    @counts.setter
    def counts(self, values):
        with self.lock:
            for k in range(2):
                (self.directions[k].operation, self.directions[k].products, self.directions[k].retries,
                 self.directions[k].inputs_clipped, self.directions[k].outputs_clipped) = values[k]

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

    def forward(self, x, out=None):
        """As `CrossbarArray.forward`."""
        return self._read_batch("x", x, out, 0, None)

    def backward(self, d, out=None):
        """As `CrossbarArray.backward`."""
        return self._read_batch("d", d, out, 1, None)

    def py_read(self, str name, x, out, int transposed, Devices reference):
        """Return y = x w^T (or x w where transposed), minus the same product with `reference` where given, in `out` unless that
        is None. `name` is what a user calls x."""
        return self._read_batch(name, x, out, transposed, reference)

    cdef cnp.ndarray _read_batch(self, str name, x, out, int transposed, Devices reference):
        cdef Py_ssize_t n_in = self.rows if transposed else self.columns, n_out = self.columns if transposed else self.rows
        cdef cnp.ndarray batch = as_batch(name, x, n_in)
        cdef cnp.ndarray y = output(out, batch, n_out)
        cdef const float *x_data
        cdef float *y_data
        cdef Py_ssize_t vectors, first, most
        if out is not None and overlap(y, batch):
            batch = batch.copy()
        x_data = <const float *>cnp.PyArray_DATA(batch)
        y_data = <float *>cnp.PyArray_DATA(y)
        vectors = cnp.PyArray_SIZE(batch) // n_in
        self.lock.begin()
        try:
            self.earlier = NULL         # a thread that was lost in a fork may have left it
            most = max(1, MULTIPLY_ADDS_BETWEEN_SIGNALS // (n_in * n_out))
            with nogil:
                self.read(x_data, y_data, min(vectors, most), transposed, reference)
                first = most
                while first < vectors:
                    with gil:
                        PyErr_CheckSignals()        # Ctrl-C stops long calls
                    self.read(x_data + first * n_in, y_data + first * n_out, min(vectors - first, most), transposed, reference)
                    first += most
        finally:
            self.lock.end()
        return y

    cdef int read(self, const float *x, float *y, Py_ssize_t vectors, int transposed, Devices reference) except -1 nogil:
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
        if p.ideal and not p.wired:
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
                           n_out, 0, 1.0, self.devices.key, RPU_BACKWARD if transposed else 0, p.operation, 0, 0, 0)
        while active:
            task.vectors, task.reduction, task.retry = active, reduction, retry
            task.next, task.block = 0, max(1, PIECE // n_in)
            run_team(_convert_inputs, &task, _converters_for(active * n_in), active * n_in * CONVERSION_NS)
            for q in range(active):
                p.inputs_clipped += clipped[q]
            if p.plain and not p.wired:
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
                elif clipped[q] and p.bound_management != BM_NONE and not reduction > p.max_reduction:
                    if retry == 0 and p.bound_management == BM_ITERATIVE_WORST_CASE:
                        scale[v] = self._input_scale(p, x + v * n_in, n_in, NM_ABS_MAX_NP_SUM)
                    index[kept] = <int32_t>v
                    kept += 1
            active = kept
            p.retries += kept
            if retry > 0 or p.bound_management != BM_ITERATIVE_WORST_CASE:  # "iterative_worst_case" first tries another scale
                reduction *= 2.0
            retry += 1
        p.operation += vectors
        return 0

    cdef int _read_passes(self, Direction *p, const float *signal, float *product, float *y, const float *factor,
                          const int32_t *index, int32_t *clipped, Py_ssize_t vectors, int transposed, Devices reference,
                          uint32_t retry) except -1 nogil:
        # Reads of several passes (digits of the input, signs of the input), or with an analog path that is not ideal.
        cdef rpu_converters *c = &p.converters
        cdef Py_ssize_t n_in = self.rows if transposed else self.columns, n_out = self.columns if transposed else self.rows
        cdef Py_ssize_t q, j, k
        cdef int offset = RPU_BACKWARD if transposed else 0, signs = 1 if p.sign_handling == ONE_PASS else 2, sign, first = 1
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
                    self.kernels.plane(c, signal + q * n_in, n_in, <int>k, self.devices.key, offset, p.operation + index[q],
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
                if p.sign_handling == ANALOG_SUM:
                    if sign == 0:
                        continue
                    for j in range(vectors * n_out):
                        negative[j] += product[j]
                for q in range(vectors):
                    n = self.kernels.adc(c, sums + q * n_out, n_out, <float>(factor[q] * weight), not first,
                                         self.devices.key, offset, p.operation + index[q], line, y + index[q] * n_out)
                    clipped[q] |= n != 0
                    p.outputs_clipped += n
                first = 0
        return 0

    cdef int _analog_products(self, Direction *p, const float *v, float *y, float *work, const int32_t *index,
                              Py_ssize_t vectors, int transposed, Devices reference, int negative,
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
        if asymmetry != NULL or p.converters.ir_drop != 0.0 or p.wired or noisy and vectors >= MERGED_VECTORS:
            matrix = <float *>grow(&self.matrix, 4 * size)
        if p.wired:
            self._wired_products(self._effective(matrix, reference, asymmetry, WEIGHTS), v, y, vectors, transposed)
        elif asymmetry != NULL:
            w = self._effective(matrix, reference, asymmetry, WEIGHTS)
            matrix_product(w, self.rows, self.columns, v, y, vectors, transposed, 1.0)
        else:
            self._products(v, y, vectors, transposed, reference)
        if p.converters.ir_drop != 0.0:
            current = work + vectors * n_in
            sloped = current + vectors * n_out
            w = self._effective(matrix, reference, asymmetry, WEIGHTS)
            for q in range(vectors):
                for j in range(n_in):
                    share = 1.0 - <double>j / n_in
                    changed[q * n_in + j] = <float>(v[q * n_in + j] * (1.0 - share * share))
            matrix_product(w, self.rows, self.columns, changed, sloped, vectors, transposed, 1.0)
            for j in range(vectors * n_in):
                changed[j] = fabsf(v[j])
            if vectors < MERGED_VECTORS:
                memset(current, 0, 4 * vectors * n_out)
                self.kernels.size_products(w, self.rows, self.columns, 0, changed, vectors, transposed, 1.0, current)
            else:
                for k in range(size):
                    matrix[k] = fabsf(w[k])
                matrix_product(matrix, self.rows, self.columns, changed, current, vectors, transposed, 1.0)
        if noisy:
            variance = work + vectors * (n_in + 2 * n_out)
            share = <double>p.read_noise * p.read_noise
            if p.read_noise_law == READ_NOISE_ADDITIVE:
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
                if vectors < MERGED_VECTORS:
                    self._size_products(p.read_noise_law != READ_NOISE_SQRT, changed, vectors, transposed, reference, share,
                                        variance)
                else:
                    w = self._effective(
                        matrix, reference, NULL, SIZES if p.read_noise_law == READ_NOISE_SQRT else SQUARES)
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
                                <float>sum, self.devices.key, offset, p.operation + index[q], line)
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

    cdef const float *_array(self, int k, Devices reference, float *factor) noexcept nogil:
        # Of what a read sees as one: this array, its parts, the reference; and by what factor.
        if k == 0:
            factor[0] = self.factor
            return &self.devices.w[0, 0]
        if k <= self.parts:
            factor[0] = self.part_factor[k - 1]
            return self.part[k - 1]
        factor[0] = -1.0
        return &reference.w[0, 0]

    cdef void _size_products(self, int squares, const float *x, Py_ssize_t vectors, int transposed, Devices reference,
                             double share, float *y) noexcept nogil:
        # y = share times the products with the SIZES (or SQUARES) of `_effective`, which is not made.
        cdef int k, arrays = 1 + self.parts + (1 if reference is not None else 0)
        cdef float factor
        cdef const float *w
        memset(y, 0, 4 * vectors * (self.columns if transposed else self.rows))
        for k in range(arrays):
            w = self._array(k, reference, &factor)
            self.kernels.size_products(w, self.rows, self.columns, squares, x, vectors, transposed,
                                       <float>(share * factor * factor), y)

    cdef const float *_effective(self, float *matrix, Devices reference, const float *asymmetry, Sums sums) noexcept nogil:
        # What a read sees as one matrix: factor w + the parts - the reference (WEIGHTS), or the sum over all arrays of
        # factor^2 |w| (SIZES) or factor^2 w^2 (SQUARES). In `matrix`, or where it is, if it is the weights of this array.
        cdef Py_ssize_t i, size = self.rows * self.columns
        cdef int k, arrays = 1 + self.parts + (1 if reference is not None else 0)
        cdef const float *w
        cdef float factor
        if sums == WEIGHTS and arrays == 1 and self.factor == 1.0 and asymmetry == NULL:
            return &self.devices.w[0, 0]
        for i in range(size):
            matrix[i] = 0.0
        for k in range(arrays):
            w = self._array(k, reference, &factor)
            if sums == WEIGHTS:
                for i in range(size):
                    matrix[i] += factor * w[i]
            elif sums == SIZES:
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
                       Devices reference) except -1 nogil:
        cdef Py_ssize_t i, n_out = self.columns if transposed else self.rows
        cdef float *work
        cdef int k
        if self.earlier == NULL:
            if vectors >= MERGED_VECTORS and (self.parts or reference is not None):
                matrix_product(
                    self._effective(<float *>grow(&self.matrix, 4 * self.rows * self.columns), reference, NULL, WEIGHTS),
                    self.rows, self.columns, x, y, vectors, transposed, 1.0)
                return 0
            matrix_product(&self.devices.w[0, 0], self.rows, self.columns, x, y, vectors, transposed, self.factor)
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

    cdef float _input_scale(self, Direction *p, const float *x, Py_ssize_t n, NoiseManagement kind) noexcept nogil:
        # The value of noise management (an index of NOISE_MANAGEMENT) that inputs are divided by; 0 where the vector cannot
        # be scaled.
        cdef float top
        cdef double positive = 0.0, negative = 0.0, largest
        cdef Py_ssize_t j
        if kind == NM_NONE:
            return 1.0
        if kind == NM_CONSTANT:
            return p.nm_threshold if p.nm_threshold > 0.0 else 1.0
        if kind == NM_MAX:
            top = x[0]
            for j in range(1, n):
                top = max(top, x[j])
        else:
            top = self.kernels.abs_max(x, n)
        if kind == NM_AVERAGE_ABS_MAX:
            p.average = top if p.average < 0.0 else (1.0 - p.nm_decay) * p.average + p.nm_decay * top
            return <float>p.average
        largest = top
        if p.nm_threshold > 0.0 and top > p.nm_threshold:
            top = p.nm_threshold
        if kind == NM_ABS_MAX_NP_SUM:
            for j in range(n):
                if x[j] > 0.0:
                    positive += x[j]
                else:
                    negative -= x[j]
            return max(top, <float>min(max(positive, negative) * p.sum_factor, largest * p.sum_limit))
        return top
