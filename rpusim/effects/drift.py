"""Drift: states change with the time since they were written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rpusim._base.specification import Specification, parameter
from rpusim._base.state import Entry, attribute, buffer
from rpusim._base.validation import physical, real
from rpusim.effects.base import Devices, Draws, Effect, spread

__all__ = ["Drift", "Drifting"]

_not_negative = physical(0.0)


@dataclass(frozen=True, repr=False)
class Drift(Specification):
    r"""Drift of the state with time since it was last written, as in phase-change memory.

    At `CrossbarArray.drift(delta_t)`, with t the time since a device was last written or pulsed (its state is another than
    after the call before, by more than `reset_tol`) and w_0 its state then::

        nu' = nu (1 + nu_dtod xi_device) (1 + nu_std xi) - nu_k (ln((w_0 - w_offset) / wg_ratio + g_offset) - log_g0)
        w   = w_0 f + a (f - 1),   f = max(t / t_0, 1)^-nu',   a = g_offset wg_ratio - w_offset
        w  += w_noise_std xi, clipped to the bounds

    which is g = g_0 f for the conductance g of the weight.

    Parameters
    ----------
    nu : float, default 0.1
        Exponent.
    nu_dtod, nu_std : float, default 0
        Its device-to-device spread, and its noise from call to call, relative.
    t_0 : float, default 1
        Time before which nothing drifts, in the unit of `delta_t`.
    reset_tol : float, default 1e-7
        Change of the state that restarts its drift.
    wg_ratio, g_offset, w_offset : float, default 1, 0, 0
        Conductance of a weight: g = (w - w_offset) / wg_ratio + g_offset.
    nu_k, log_g0 : float, default 0
        Dependence of the exponent on the logarithm of the conductance.
    w_noise_std : float, default 0
        Noise added at each call, in weight units.

    Notes
    -----
    After AIHWKit's DriftParameter, whose clock of a device that was written starts at the next call only, so that its first
    call does nothing, which takes the logarithm of the present conductance instead of that at the write, and whose a is
    g_offset wg_ratio + w_offset, so that conductances with a `w_offset` follow no power law there. Where ln of a
    conductance that is not positive would be needed, nu' has no such term.

    Examples
    --------
    >>> import rpusim as rpu
    >>> array = rpu.CrossbarArray((1, 1), rpu.devices.SoftBounds(drift=rpu.devices.Drift(nu=0.5)), rng=0)
    >>> _ = array.program([[0.1]])
    >>> array.drift(4.0)
    >>> array.weights.round(4)
    array([[0.05]], dtype=float32)
    """

    papers: ClassVar[tuple[str, ...]] = ("ielmini2007",)

    nu: float = parameter(0.1, physical())
    nu_dtod: float = parameter(0.0, _not_negative)
    nu_std: float = parameter(0.0, _not_negative)
    t_0: float = parameter(1.0, physical(0.0, open_low=True))
    reset_tol: float = parameter(1e-7, _not_negative)
    wg_ratio: float = parameter(1.0, physical(0.0, open_low=True))
    g_offset: float = parameter(0.0, physical())
    w_offset: float = parameter(0.0, physical())
    nu_k: float = parameter(0.0, physical())
    log_g0: float = parameter(0.0, physical())
    w_noise_std: float = parameter(0.0, _not_negative)


class Drifting(Effect):
    """Devices that have a `Drift`: the time so far, and what each was when it last changed."""

    name = "drift"
    drawn = 2

    def __init__(self, law: Drift, shape: tuple[int, int]) -> None:
        self.law = law
        self.time = 0.0
        #: of each device: when it last changed, its state then, and its state after the last call
        self.since, self.start, self.last = (np.zeros(shape) for _ in range(3))

    @classmethod
    def draw(cls, device: Any, shape: tuple[int, int], rng: np.random.Generator) -> Draws:
        law = device.drift
        return {} if law is None else {"drift_nu": law.nu * spread(law.nu_dtod, shape, rng)}

    @classmethod
    def of(cls, device: Any, devices: Devices) -> Drifting | None:
        return None if device.drift is None else cls(device.drift, devices.shape)

    def pass_time(self, devices: Devices, delta_t: float) -> None:
        """Let time pass; see `Drift`."""
        law, w = self.law, devices.state.astype(np.float64)
        changed = np.abs(w - self.last) > law.reset_tol
        self.since[changed] = self.time  # no time has passed since the call before
        self.start[changed] = w[changed]
        self.time += delta_t / law.t_0
        nu = np.broadcast_to(devices.parameters["drift_nu"], devices.shape).astype(np.float64)
        if law.nu_std > 0.0:
            nu = nu * (1.0 + law.nu_std * devices.normals("drift_nu"))
        if law.nu_k != 0.0:
            g = (self.start - law.w_offset) / law.wg_ratio + law.g_offset
            nu = nu - np.where(g > 0.0, law.nu_k * (np.log(np.where(g > 0.0, g, 1.0)) - law.log_g0), 0.0)
        f = np.maximum(self.time - self.since, 1.0) ** -nu
        a = law.g_offset * law.wg_ratio - law.w_offset
        w = self.start * f + a * (f - 1.0)
        if law.w_noise_std > 0.0:
            w = w + law.w_noise_std * devices.normals("drift_noise")
        devices.next_event()
        devices.write(w)
        self.last[...] = devices.state

    def _entries(self) -> dict[str, Entry]:
        time = attribute(self, "time", real(0.0))
        return {"time": time, "since": buffer(self.since), "start": buffer(self.start), "last": buffer(self.last)}
