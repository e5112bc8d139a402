"""Updates of one array by pulse trains that coincide.

Decided, and why:
- An update splits its batch into parts whose trains fit the cache, draws the trains of a part vector by vector, then
  walks blocks of rows through the part. Both steps run in parallel; the result depends on neither split. Threads come back
  to the same rows (`_update_blocks`).
"""

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, rint
from libc.stdint cimport int32_t, int64_t, uint16_t, uint64_t
from libc.stdlib cimport free

from rpusim._core.buffers cimport as_batches, grow
from rpusim._core.devices cimport Devices
from rpusim._core.kernels cimport (
    RPU_DETERMINISTIC_IMPLICIT, RPU_KEEPS_COLUMNS, RPU_KEEPS_NOTHING, RPU_KEEPS_ROWS, RPU_LIST_LANES, RPU_MEAN_COUNT,
    RPU_ROW_SCRATCH, RPU_SEGMENT, RPU_STOCHASTIC, rpu_devices, rpu_count_pulses, rpu_draw_trains,
    rpu_kernels, rpu_lay_out_work, rpu_plan_pulses, rpu_pulse_count, rpu_pulse_plan, rpu_scratch_bytes, rpu_trains,
    rpu_trains_bytes, rpu_work,
)
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
    MOST_ENTRIES = 1 << 30      # columns times slots of one vector: 32 bits count the entries of its lists, which are padded
    PULSES_BETWEEN_SIGNALS = 1 << 24

cdef int64_t MULTIPLY_ADDS_BETWEEN_SIGNALS = 4_000_000_000

PULSE_TYPES = {
    "stochastic": RPU_STOCHASTIC, "mean_count": RPU_MEAN_COUNT, "deterministic_implicit": RPU_DETERMINISTIC_IMPLICIT,
}

cdef int32_t NO_ROW = 0x7FFFFFFF      # the rows of a vector without pulses


# What the members of a team do together; each takes the next piece that nobody has.

ctypedef void (*UpdateRows)(const rpu_devices *, const rpu_trains *, int64_t, int64_t, int64_t, int, const rpu_work *, int,
                            uint64_t, uint64_t) noexcept nogil


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
    const rpu_devices *devices
    Py_ssize_t threads, blocks
    Py_ssize_t start, rows      # which rows of the array
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
            first = t.start + _block_start(t.rows, owner, t.threads, block, t.blocks)
            last = t.start + _block_start(t.rows, owner, t.threads, block + 1, t.blocks)
            if first < last:
                t.update_rows(t.devices, t.trains, t.vectors, first, last, block == before + 1, t.works + member, t.reverse,
                              t.key, t.updates)
                before = block


cdef class Updater:
    # Buffers are empty at first: Cython zeroes the attributes of new objects.
    def __dealloc__(self):
        free(self.plans.data)
        free(self.trains.data)
        free(self.arena.data)
        free(self.scratch.data)
        free(self.work.data)
        free(self.lines.data)

    def __init__(self, Devices devices):
        self.devices, self.lock, self.kernels = devices, devices.lock, devices.kernels
        self.rows, self.columns = devices.rows, devices.columns
        self.fired = None

    def set_fired(self, int64_t[::1] fired):
        """Count in `fired` (columns, then rows) how often each line fires in updates."""
        with self.lock:
            self.fired = fired

    def set_scheme(self, str pulse_type, int desired_bl, bint update_management, bint update_bl_management, bint fixed_bl,
                   double um_grad_scale, bint power_of_two_scales, bint shared_random_numbers):
        """Set how update requests become pulses; see rpusim.periphery.PulseScheme."""
        with self.lock:
            self.scheme.type = PULSE_TYPES[pulse_type]
            self.scheme.desired_bl = desired_bl
            self.scheme.update_management = update_management
            self.scheme.update_bl_management = update_bl_management
            self.scheme.fixed_bl = fixed_bl
            self.scheme.um_grad_scale = um_grad_scale
            self.scheme.power_of_two_scales = power_of_two_scales
            self.scheme.shared_random_numbers = shared_random_numbers

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

    cdef int update(self, const float *x, const float *d, Py_ssize_t vectors, double lr) except -1 nogil:
        cdef rpu_devices view
        if <void *>self.write_wires == <void *>None or vectors == 0 or lr == 0.0:
            return self._update(x, d, vectors, lr)
        with gil:
            view, owners = self.devices.view, dict(self.devices.owners)
            try:
                self.write_wires()
                with nogil:
                    self._update(x, d, vectors, lr)
            finally:        # no Python code, in which Ctrl-C would be heard before the parameters are back
                self.devices.view, self.devices.owners = view, owners
        return 0

    cdef int _update(self, const float *x, const float *d, Py_ssize_t vectors, double lr) except -1 nogil:
        cdef rpu_pulse_plan *plans
        cdef Py_ssize_t first, last
        cdef size_t bytes
        if vectors == 0 or lr == 0.0:
            self.devices.updates += vectors
            return 0
        if self.devices.model < 0:
            last = max(1, MULTIPLY_ADDS_BETWEEN_SIGNALS // (self.rows * self.columns))
            first = 0
            while first < vectors:
                if first:
                    self._hear(0)
                last = min(last, vectors - first)
                self._update_ideal(x + first * self.columns, d + first * self.rows, last, lr)
                self.devices.updates += last
                first += last
            return 0
        plans = <rpu_pulse_plan *>grow(&self.plans, vectors * sizeof(rpu_pulse_plan))
        self._plan(plans, x, d, vectors, -lr if lr < 0 else lr)
        if self.scheme.type != RPU_STOCHASTIC:
            self._update_counts(plans, x, d, vectors, lr < 0)
            self.devices.updates += vectors
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
            self.devices.updates += last - first
            first = last
            if first < vectors:
                with gil:
                    PyErr_CheckSignals()    # Ctrl-C stops long calls
        return 0

    cdef int _plan(self, rpu_pulse_plan *plans, const float *x, const float *d, Py_ssize_t vectors,
                   double lr) except -1 nogil:
        # How long the trains of each vector are, and how probable its pulses.
        cdef Py_ssize_t v
        cdef bint plain = self.devices.view.visible == NULL
        cdef bint strips = (self.devices.its.strips and vectors > 1 and self.columns <= RPU_SEGMENT and plain)
        for v in range(vectors):
            plans[v] = rpu_plan_pulses(&self.scheme, lr, self.devices.granularity,
                                       self.kernels.abs_max(x + v * self.columns, self.columns),
                                       self.kernels.abs_max(d + v * self.rows, self.rows))
            plans[v].sum = self.devices.its.sums and plain and plans[v].bl > 1
            plans[v].strips = strips
            if self.scheme.type == RPU_STOCHASTIC and <double>plans[v].bl * max(self.columns, RPU_LIST_LANES) > MOST_ENTRIES:
                with gil:
                    raise ValueError(
                        f"pulse trains must have at most {MOST_ENTRIES // max(self.columns, RPU_LIST_LANES)} slots where an "
                        f"array has {self.columns} columns; got {plans[v].bl}"
                    )
        return 0

    cdef int _update_part(self, const rpu_pulse_plan *plans, const float *x, const float *d, Py_ssize_t first,
                          Py_ssize_t vectors, size_t bytes, int reverse) except -1 nogil:
        cdef rpu_trains *trains = <rpu_trains *>grow(&self.trains, vectors * (sizeof(rpu_trains) + sizeof(void *)))
        cdef Py_ssize_t v
        cdef int64_t pulses = 0
        self._draw(trains, plans, x, d, vectors, bytes)
        for v in range(vectors):
            pulses += trains[v].pulses.up + trains[v].pulses.down
            self.devices.pulses_up += trains[v].pulses.down if reverse else trains[v].pulses.up
            self.devices.pulses_down += trains[v].pulses.up if reverse else trains[v].pulses.down
        self.devices.view.keeps = RPU_KEEPS_NOTHING
        if self.keeping.kept != NULL:
            self.devices.view.keeps = RPU_KEEPS_COLUMNS if self.keeping.columns else RPU_KEEPS_ROWS
            for v in range(vectors):
                trains[v].keep = self.keeping.line[first + v]
                trains[v].kept = self.keeping.kept + (first + v) * self.keeping.stride
        elif pulses == 0:
            return 0
        self._step(trains, vectors, pulses, plans[0].strips, reverse)
        return 0

    cdef int _draw(self, rpu_trains *trains, const rpu_pulse_plan *plans, const float *x, const float *d, Py_ssize_t vectors,
                   size_t bytes) except -1 nogil:
        # The trains of all vectors, `bytes` in all, behind which there is room for pointers to them.
        cdef char *arena = <char *>grow(&self.arena, bytes)
        cdef char **memory = <char **>(trains + vectors)
        cdef char *scratch
        cdef Py_ssize_t v, lines = 0 if self.fired is None else self.rows + self.columns
        cdef int64_t *fired = NULL      # each thread counts for itself
        cdef int32_t longest = 0
        cdef size_t scratch_bytes
        cdef double drawing = 0.0   # work of drawing, in pulses: about one for a line, and one for eight slots of it
        cdef int threads
        cdef DrawTask task
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
        task = DrawTask(self.kernels, self.rows, self.columns, self.devices.train_key, self.devices.updates, plans, x, d,
                        vectors, memory, scratch, scratch_bytes, fired, lines, trains, 0)
        run_team(_draw_vectors, &task, threads, drawing * PULSE_NS)
        for v in range(threads * lines):
            self.fired[v % lines] += fired[v]
        return 0

    cdef int _step(self, const rpu_trains *trains, Py_ssize_t vectors, int64_t pulses, int strips, int reverse) except -1 nogil:
        # Take all rows through the trains, on which `pulses` fire; where they are many in parts, between which Ctrl-C is heard
        cdef int kinds = 1 if self.devices.view.visible == NULL else 2
        cdef int sums = self.devices.its.sums, threads
        cdef Py_ssize_t t, blocks = 1, share, largest       # rows of a thread, and of its largest block
        cdef Py_ssize_t part, parts, first = 0, last
        cdef int64_t *next_block
        cdef char *space
        cdef rpu_work *works
        cdef rpu_work measured
        cdef size_t work_bytes
        cdef UpdateTask task
        threads = <int>min(<Py_ssize_t>num_threads(), self.rows) if pulses * PULSE_NS > WORTH_SHARING else 1
        share = (self.rows + threads - 1) // threads
        while threads > 1 and share >> blocks > 0 and pulses // threads >> blocks >= LAST_BLOCK:
            blocks += 1
        largest = share if blocks == 1 else share - share // 2
        work_bytes = rpu_lay_out_work(vectors, largest, self.columns, kinds, sums, strips, NULL, &measured)
        space = <char *>grow(&self.work, threads * (work_bytes + sizeof(rpu_work) + sizeof(int64_t)))
        works = <rpu_work *>(space + threads * work_bytes)
        next_block = <int64_t *>(works + threads)
        for t in range(threads):
            rpu_lay_out_work(vectors, largest, self.columns, kinds, sums, strips, space + t * work_bytes, works + t)
        parts = min(self.rows, 1 + pulses // (threads * <int64_t>PULSES_BETWEEN_SIGNALS))
        for part in range(parts):
            last = self.rows if part == parts - 1 else (part + 1) * (self.rows // parts)
            if threads <= 1:
                self.devices.its.update_rows(&self.devices.view, trains, vectors, first, last, part > 0, works, reverse,
                                             self.devices.key, self.devices.updates)
            else:
                for t in range(threads):
                    next_block[t] = 0
                task = UpdateTask(self.devices.its.update_rows, &self.devices.view, threads, blocks, first, last - first,
                                  next_block, trains, vectors, works, reverse, self.devices.key, self.devices.updates)
                run_team(_update_blocks, &task, threads, <double>pulses * PULSE_NS / parts)
            first = last
            if first < self.rows:
                self._hear(vectors)
        return 0

    cdef int _hear(self, Py_ssize_t vectors) except -1 nogil:
        # Let Ctrl-C stop long calls; `vectors` of this one have drawn what is not to be drawn again.
        with gil:
            try:
                PyErr_CheckSignals()
            except BaseException:
                self.devices.updates += vectors
                raise
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
                n = self.devices.its.pulse_row(&self.devices.view, i, counts, scratch, self.devices.key,
                                               self.devices.updates + v)
                self.devices.pulses_up += n.up
                self.devices.pulses_down += n.down
                given += n.up + n.down
                if given > PULSES_BETWEEN_SIGNALS:
                    given = 0
                    self._hear(v + 1)
        return 0

    cdef void _update_ideal(self, const float *x, const float *d, Py_ssize_t vectors, double lr) noexcept nogil:
        cdef double ns = <double>self.rows * self.columns * vectors / MULTIPLY_ADDS_PER_NS
        cdef int threads = <int>min(<Py_ssize_t>num_threads(), self.rows) if ns > WORTH_SHARING_IDEAL else 1
        cdef IdealTask task
        task.block = max(1, self.rows // (4 * threads)) if threads > 1 else self.rows
        task.kernels, task.rows, task.columns, task.next = self.kernels, self.rows, self.columns, 0
        task.w = &self.devices.w[0, 0]
        task.x, task.d, task.vectors, task.lr = x, d, vectors, <float>lr
        run_team(_update_ideal_rows, &task, threads, ns)
