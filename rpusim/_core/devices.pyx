"""The devices of one array: their parameters and states, and what is done to them one by one.

Decided: what is written to a device by a program, a reset or an algorithm comes through kernels/writes.h, so that bounds and
write noise have one place; pulses have theirs in the kernels of their models, which read the same parameters.
"""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t, uint16_t, uint64_t
from libc.stdlib cimport free

from rpusim._core.kernels import model_names

from rpusim._core.buffers cimport grow
from rpusim._core.kernels cimport (
    RPU_CHUNK, RPU_RESET, RPU_ROW_SCRATCH, RPU_TABLE, RPU_WRITE_ALL,
    active_kernels, rpu_pulse_count, rpu_beyond, rpu_write, rpu_write_all, rpu_written,
)

#: what all models have, in the order of the kernels
QUAD = ("step_up", "step_down", "w_max", "w_min")

cdef enum:
    PULSES_BETWEEN_SIGNALS = 1 << 24


cdef class Devices:
    # Buffers are empty at first: Cython zeroes the attributes of new objects.
    def __dealloc__(self):
        free(self.scratch.data)

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
        if self.model >= 0:
            self.its = &self.kernels.models[self.model]
            self.view.bounded, self.view.referenced = 1, self.its.referenced
            if self.its.constants == RPU_TABLE:
                wanted = 2 * (int(constants[0]) + 2) + 1 if constants else 7
            else:
                wanted = self.its.constants
            if len(constants) != wanted:
                raise ValueError(f"{model} must have {wanted} constants; got {len(constants)}")
        self.state = w if state is None else state
        self.view.w = &self.state[0, 0]
        self.view.visible = NULL if state is None else &w[0, 0]
        self.view.write_noise = write_noise
        self.constants = np.array([*constants, 0.0], dtype=np.float32)
        self.view.constant = &self.constants[0]
        self.view.silent = noise_mult == 0.0 and noise_add == 0.0
        self.view.rows, self.view.columns = self.rows, self.columns
        self.view.noise_mult = noise_mult
        self.view.noise_add = noise_add
        self.view.quad = self.view.w
        self.view.pair = self.view.w
        self.view.reference = self.view.w
        self.view.quad_stride = self.view.pair_stride = self.view.reference_stride = 0
        self.view.count_up = self.view.count_down = NULL
        if counts is not None:
            per_device = counts
            self.view.count_up = &per_device[0, 0, 0]
            self.view.count_down = &per_device[1, 0, 0]
        self.reset_level = np.zeros((1, 1), dtype=np.float32)
        self.granularity = granularity
        self.key = self.train_key = key

    @property
    def parameter_names(self):
        """Names of the parameters that the kernel of the model uses."""
        if self.model < 0:
            return ()
        pair = self.its.pair.decode()
        return (*QUAD, *((f"{pair}_up", f"{pair}_down") if pair else ()),
                *(("reference",) if self.its.referenced else ()))

    def set_parameters(self, dict values, bint within=False):
        """Take over the `parameter_names` of the model: float32 arrays (rows, columns), or (1, 1) for all devices.

        They are copied to where the kernels want them, side by side, unless they are views of such an array. Returned are
        views of it, and arrays of shape (1, 1) as they came. `within`: by who has the lock for an update."""
        cdef float[:, :, ::1] view
        names = self.parameter_names
        if not names or not set(names) <= set(values):
            raise ValueError(f"devices of this kernel must have the parameters {', '.join(names) or 'none'}; got "
                             f"{', '.join(values)}")
        out = {}
        packs = []
        for own in (names[:4], names[4:6] if len(names) > 5 else (), ("reference",) if "reference" in names else ()):
            group = [values[name] for name in own]
            if not group:
                packs.append((None, 0))
                continue
            shared = all(value.size == 1 for value in group)
            packed = group[0].base
            if not (isinstance(packed, np.ndarray) and packed.shape == (self.rows, self.columns, len(own))
                    and all(value.base is packed and value.strides == packed.strides[:2]
                            and value.ctypes.data == packed[:, :, k].ctypes.data for k, value in enumerate(group))):
                packed = np.empty((1 if shared else self.rows, self.columns, len(own)), dtype=np.float32)
                for k, value in enumerate(group):
                    packed[:, :, k] = value
            for k, value in enumerate(group):
                out[own[k]] = value if value.size == 1 else packed[:, :, k]
            packs.append((packed, 0 if shared else len(own) * self.columns))
        if within:
            self.lock.acquire()
        else:
            self.lock.begin()   # not while another thread, or this one, steps devices by the old ones
        try:
            self.owners = {**self.owners, "parameters": packs}
            (quad, self.view.quad_stride), (pair, self.view.pair_stride), (reference, self.view.reference_stride) = packs
            view = quad
            self.view.quad = &view[0, 0, 0]
            if pair is not None:
                view = pair
                self.view.pair = &view[0, 0, 0]
            if reference is not None:
                view = reference
                self.view.reference = &view[0, 0, 0]
        finally:
            if within:
                self.lock.release()
            else:
                self.lock.end()
        return out

    def set_reset(self, const float[:, :] level, float std):
        """Give the states that resets lead to, (rows, columns) or (1, 1) for all, and the noise around them."""
        with self.lock:
            self.reset_level, self.reset_std = level, std

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

    # ---- written one by one ------------------------------------------------------------------------------------------

    cdef bint has_write_noise(self) noexcept nogil:
        return self.view.visible != NULL

    cdef void put(self, Py_ssize_t i, Py_ssize_t j, float value, float xi) noexcept nogil:
        rpu_write(&self.view, i, j, value, xi)

    cdef void put_back(self, Py_ssize_t i, Py_ssize_t j, float origin, float xi, float xi_read) noexcept nogil:
        cdef float level = self.reset_level[0, 0] if self.reset_level.shape[0] == 1 and self.reset_level.shape[1] == 1 else (
            self.reset_level[i, j])
        self.put(i, j, level + origin + self.reset_std * xi, xi_read)

    cdef const float *_normals(self, int kind, uint64_t operation, int half) except NULL:
        # A standard normal for each device, in one half of the scratch.
        cdef Py_ssize_t chunks = (self.rows * self.columns + RPU_CHUNK - 1) // RPU_CHUNK
        cdef float *draws = <float *>grow(&self.scratch, 2 * chunks * RPU_CHUNK * sizeof(float)) + half * chunks * RPU_CHUNK
        self.kernels.normals(self.key, kind, operation, 0, 0, chunks, draws)
        return draws

    def write(self, const float[:, ::1] states, uint64_t operation):
        """Write all devices."""
        cdef const float *xi
        self.lock.begin()
        try:
            xi = self._normals(RPU_WRITE_ALL, operation, 0) if self.has_write_noise() else NULL
            with nogil:
                rpu_write_all(&self.view, &states[0, 0], xi)
        finally:
            self.lock.end()

    def beyond(self, const float[:, ::1] states):
        """Return for how many devices what was just written is beyond the bounds, and by how much at most."""
        cdef rpu_written found
        with nogil:
            found = rpu_beyond(&self.view, &states[0, 0])
        return found.clipped, found.most

    def reset(self, const unsigned char[:, ::1] chosen, uint64_t operation):
        """Bring the chosen devices to their reset levels; the others are written as they are."""
        cdef Py_ssize_t i, j
        cdef const float *xi
        cdef const float *xi_read
        cdef float of_read = 0.0
        self.lock.begin()
        try:
            xi_read = self._normals(RPU_WRITE_ALL, operation, 1) if self.has_write_noise() else NULL
            xi = self._normals(RPU_RESET, operation, 0)
            with nogil:
                for i in range(self.rows):
                    for j in range(self.columns):
                        if xi_read != NULL:
                            of_read = xi_read[i * self.columns + j]
                        if chosen[i, j]:
                            self.put_back(i, j, 0.0, xi[i * self.columns + j], of_read)
                        else:
                            self.put(i, j, self.state[i, j], of_read)
        finally:
            self.lock.end()

    def pulse(self, const int32_t[:, ::1] counts):
        """Give every device `counts` (rows, columns) pulses, up where positive. Counts as one operation."""
        cdef Py_ssize_t i
        cdef uint16_t *scratch
        cdef rpu_pulse_count n
        cdef int64_t given = 0
        self.check_pulses(counts.shape[0], counts.shape[1])
        self.lock.begin()
        try:
            scratch = <uint16_t *>grow(&self.scratch, 2 * RPU_ROW_SCRATCH(self.columns))
            with nogil:
                for i in range(self.rows):
                    n = self.its.pulse_row(&self.view, i, &counts[i, 0], scratch, self.key, self.updates)
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

    cdef int check_pulses(self, Py_ssize_t rows, Py_ssize_t columns) except -1:
        # See that devices take pulses, and that there is a number for each.
        if self.model < 0:
            raise ValueError("devices without pulses cannot be given any")
        if rows != self.rows or columns != self.columns:
            raise ValueError(f"there must be a number for each of the {self.rows} x {self.columns} devices; got {rows} x "
                             f"{columns}")
        return 0

    def alternate(self, Py_ssize_t pairs, double[:, ::1] total):
        """Give every device `pairs` times an up and a down pulse; add the state after each pulse to `total`.

        Every pulse counts as one operation."""
        cdef Py_ssize_t i, j, p
        cdef uint16_t *scratch
        cdef int32_t[::1] up = np.ones(self.columns, dtype=np.int32), down = -np.ones(self.columns, dtype=np.int32)
        self.check_pulses(total.shape[0], total.shape[1])
        self.lock.begin()
        try:
            scratch = <uint16_t *>grow(&self.scratch, 2 * RPU_ROW_SCRATCH(self.columns))
            with nogil:
                for i in range(self.rows):
                    for p in range(pairs):
                        self.its.pulse_row(&self.view, i, &up[0], scratch, self.key, self.updates + 2 * p)
                        for j in range(self.columns):
                            total[i, j] += self.state[i, j]
                        self.its.pulse_row(&self.view, i, &down[0], scratch, self.key,
                                           self.updates + 2 * p + 1)
                        for j in range(self.columns):
                            total[i, j] += self.state[i, j]
            self.pulses_up += pairs * self.rows * self.columns
            self.pulses_down += pairs * self.rows * self.columns
            self.updates += 2 * pairs
        finally:
            self.lock.end()
