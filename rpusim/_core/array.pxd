"""One crossbar array as the compiled parts see it: the door between the core and the training algorithms."""

from rpusim._core.devices cimport Devices
from rpusim._core.reads cimport Reader
from rpusim._core.updates cimport Updater


cdef class ArrayCore:
    cdef readonly Devices devices
    cdef readonly Reader reader
    cdef readonly Updater updater
