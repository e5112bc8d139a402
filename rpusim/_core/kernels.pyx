"""Choice of the instruction set, and raw access to the random streams."""

import os

import numpy as np

from cpython.bytes cimport PyBytes_AsString
from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef const rpu_kernels *_active = NULL

#: Kinds of streams that are drawn from Python.
KINDS = {"diffusion": RPU_DIFFUSION, "reset": RPU_RESET, "reset_choice": RPU_RESET_CHOICE, "write": RPU_WRITE_ALL,
         "drift_nu": RPU_DRIFT_NU, "drift_noise": RPU_DRIFT_NOISE, "effect": RPU_EFFECT}


cdef const rpu_kernels *active_kernels() noexcept nogil:
    return _active


cdef double uniform(uint64_t key, int kind, uint64_t operation, uint32_t line, uint32_t position) noexcept nogil:
    # A uniform number in (0, 1).
    cdef uint32_t r[4]
    _active.words(key, kind, operation, line, position, r)
    return (<double>r[0] + 0.5) * 2.0 ** -32


def kernel_sets():
    """Return the names of the kernel sets that this processor runs, best first."""
    cdef const char *const *names = rpu_available()
    out = []
    cdef int k = 0
    while names[k] != NULL:
        out.append(names[k].decode())
        k += 1
    return tuple(out)


def model_names():
    """Return the names of the device models that have kernels."""
    return tuple(_active.models[k].name.decode() for k in range(_active.n_models))


def active_kernel_set():
    """Return the name of the kernel set that new arrays use."""
    return _active.name.decode()


def use_kernel_set(name=None):
    """Make new arrays use the named kernel set (None: the best one). All draw the same words; those with fused multiply-adds
    give the same bits."""
    global _active
    cdef const rpu_kernels *found
    if name is None:
        found = rpu_select(NULL)
    else:
        encoded = str(name).encode()
        found = rpu_select(PyBytes_AsString(encoded))
    if found == NULL:
        raise ValueError(f"name must be one of {', '.join(map(repr, kernel_sets()))} on this processor; got {name!r}")
    _active = found


def is_finite(array):
    """Return whether a C-contiguous float32 array holds neither NaN nor infinities."""
    cdef const float[::1] flat = array.reshape(-1)
    return flat.shape[0] == 0 or _active.all_finite(&flat[0], flat.shape[0]) != 0


def words(uint64_t key, uint32_t position, uint32_t line, uint64_t operation, int kind):
    """Return the four 32-bit words of one counter of the streams (ARS-5)."""
    cdef uint32_t r[4]
    _active.words(key, kind, operation, line, position, r)
    return np.array([r[0], r[1], r[2], r[3]], dtype=np.uint32)


def normals(uint64_t key, Py_ssize_t n, uint32_t line=0, uint64_t operation=0, int kind=0):
    """Return the first `n` standard normals of a stream, float32."""
    cdef Py_ssize_t chunks = (n + 63) // 64
    cdef float[::1] out = np.empty(64 * chunks, dtype=np.float32)
    if chunks:
        with nogil:
            _active.normals(key, kind, operation, line, 0, chunks, &out[0])
    return np.asarray(out)[:n]


def uniforms(uint64_t key, Py_ssize_t n, uint32_t line=0, uint64_t operation=0, int kind=0):
    """Return the first `n` uniforms in (0, 1] of a stream, float32."""
    cdef Py_ssize_t chunks = (n + 63) // 64
    cdef float[::1] out = np.empty(64 * chunks, dtype=np.float32)
    if chunks:
        with nogil:
            _active.uniforms(key, kind, operation, line, 0, chunks, &out[0])
    return np.asarray(out)[:n]


def train_bits(uint64_t key, float[::1] probability, int bl, uint64_t operation=0, int kind=0):
    """Return whether each line fires in each slot, bool (lines, bl): independent Bernoulli draws."""
    cdef Py_ssize_t lines = probability.shape[0]
    cdef int words = (bl + 31) // 32
    if lines == 0 or bl == 0:
        return np.zeros((lines, bl), dtype=bool)
    cdef uint32_t[::1] high = np.empty(lines + 16, dtype=np.uint32), low = np.empty(lines + 16, dtype=np.uint32)
    cdef int[::1] line = np.arange(lines, dtype=np.int32)
    bits = np.zeros((lines, words), dtype=np.uint32)
    mask = np.zeros((lines + 16) // 16, dtype=np.uint16)
    cdef uint32_t[:, ::1] bits_v = bits
    cdef uint16_t[::1] mask_v = mask, possible = mask.copy(), negative = mask.copy()
    _active.thresholds(&probability[0], lines, 1.0, &high[0], &low[0], &negative[0], &possible[0])
    if bl == 1:
        _active.train_slot(key, kind, operation, &high[0], &low[0], &possible[0], lines, &mask_v[0])
        rows = np.arange(lines)
        return (mask[rows // 16] >> (rows % 16).astype(np.uint16) & 1).astype(bool)[:, None]
    _active.train_bits(key, kind, operation, &high[0], &low[0], <const int32_t *>&line[0], lines, bl, words, &bits_v[0, 0])
    slots = np.arange(bl)
    return (bits[:, slots // 32] >> (slots % 32).astype(np.uint32) & 1).astype(bool)


try:
    use_kernel_set(os.environ.get("RPUSIM_KERNELS") or None)
except ValueError as error:
    raise ImportError(f"the environment variable RPUSIM_KERNELS: {error}") from None
