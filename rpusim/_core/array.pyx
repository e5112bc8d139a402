"""One crossbar array: its devices, and the three operations on them.

Decided, and why:
- Its parts are classes with `cdef` methods on raw pointers, so that algorithms call them in a compiled loop without the
  interpreter (the .pxd files are that door); the Python methods are thin and used by rpusim.arrays, which has validated.
- One lock per array lets threads share it; different arrays run at the same time.
- Buffers belong to who needs them and grow to the largest call; nothing is allocated in steady state.
"""

from rpusim._core.devices cimport Devices
from rpusim._core.reads cimport Direction, Reader
from rpusim._core.updates cimport Updater


cdef class ArrayCore:
    """What holds the devices, what reads and what updates them."""

    def __init__(self, Devices devices):
        self.devices, self.reader, self.updater = devices, Reader(devices), Updater(devices)

    @property
    def lock(self):
        """The lock of the array."""
        return self.devices.lock

    @property
    def counters(self):
        """(vectors updated, read forward, read backward, up pulses, down pulses): all run-time state but the weights
        and the averages of noise management."""
        cdef Devices devices = self.devices
        cdef Direction *directions = self.reader.directions
        devices.lock.acquire()
        found = (devices.updates, directions[0].operation, directions[1].operation, devices.pulses_up, devices.pulses_down)
        devices.lock.release()
        return found

    @counters.setter
    def counters(self, values):
        cdef Devices devices = self.devices
        cdef Direction *directions = self.reader.directions
        with devices.lock:
            (devices.updates, directions[0].operation, directions[1].operation, devices.pulses_up,
             devices.pulses_down) = values
