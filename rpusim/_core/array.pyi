from rpusim._core.devices import Devices
from rpusim._core.lock import Lock
from rpusim._core.reads import Reader
from rpusim._core.updates import Updater

class ArrayCore:
    devices: Devices
    reader: Reader
    updater: Updater
    counters: tuple[int, int, int, int, int]
    def __init__(self, devices: Devices) -> None: ...
    @property
    def lock(self) -> Lock: ...
