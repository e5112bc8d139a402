"""The Manhattan rule: one pulse in the direction of the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rpusim._base.specification import parameter
from rpusim._base.validation import physical
from rpusim.algorithms.base import is_scheme
from rpusim.algorithms.digital import DigitalAlgorithm
from rpusim.algorithms.eapu import EXACT_PULSES
from rpusim.periphery.pulses import PulseScheme

__all__ = ["Manhattan"]


@dataclass(frozen=True, repr=False)
class Manhattan(DigitalAlgorithm):
    r"""Manhattan rule: every device gets one pulse, whose direction is the sign of the gradient (Zamanidoost et al., 2015).

    After every `transfer_every`-th vector, with g the sum of lr d x^T since::

        one down pulse where g > dead_zone, one up pulse where g < -dead_zone

    The learning rate has no effect beside the dead zone; the step of the device is the step of learning.

    Parameters
    ----------
    device : PulsedDevice or OneSidedCell, default SoftBounds()
    dead_zone : float, default 0
        Gradients (times the learning rate) of up to this size give no pulse.
    transfer_every : int, default 1
        Vectors that are summed.
    n_rows_per_transfer : int or None
        Rows that are written at a time, in turn; None: all.
    forward, backward : Periphery or None
        As in `CrossbarArray`.
    pulses : PulseScheme, default PulseScheme(pulse_type="deterministic_implicit")

    Notes
    -----
    Zamanidoost, Bayat, Strukov and Kataeva (2015), "Manhattan rule training for memristive crossbar circuit pattern
    classifiers", WISP.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.algorithms.Manhattan(rpu.devices.ConstantStep(dw_min=0.01, dw_min_dtod=0.0)).build((1, 3), rng=0)
    >>> tile.update([3.0, -0.1, 0.0], [0.5], lr=0.01)
    >>> tile.pulse_count
    PulseCount(up=1, down=1)
    """

    papers: ClassVar[tuple[str, ...]] = ("zamanidoost2015",)

    dead_zone: float = parameter(0.0, physical(0.0))
    pulses: PulseScheme = parameter(EXACT_PULSES, is_scheme)

    def _settings(self) -> dict[str, Any]:
        return {"rule": "sign", "dead_zone": self.dead_zone}
