"""Many runs of one thing: designs over settings and seeds, on any executor, into one file, and on to tables and pictures.

>>> import rpusim as rpu
>>> study = rpu.sweep.Study("regression", {"lr": [0.003, 0.03], "device.dw_min": [0.001, 0.01]}, {"steps": 300}, seeds=2)
>>> len(study.points())
8
"""

from rpusim._base.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__)
