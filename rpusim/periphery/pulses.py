"""How updates become pulse trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import boolean, choice, instance, integer, optional, physical
from rpusim._core.updates import PULSE_TYPES
from rpusim.wires.writes import WriteWires

__all__ = ["PulseScheme"]


@dataclass(frozen=True, repr=False)
class PulseScheme(Specification):
    r"""How one requested change lr d x^T becomes pulses.

    With g the granularity of the device, k = lr max|x| max|d| / g pulses are wanted for the largest product. Every column
    fires in a slot with probability min(1, B |x_j|), every row with min(1, A |d_i|); a device gets a pulse where both fire.
    So counts are Binomial(BL, p_x p_d), correlated along rows and columns, and E[dw] = -lr d x^T while nothing clips::

        BL = min(ceil(k), desired_bl)          with update_bl_management, else desired_bl
        A = B = sqrt(lr / (g BL))
        B <- B sqrt(max|d| / max|x|), A <- A sqrt(max|x| / max|d|)     with update_management

    where max|d| is first reduced by desired_bl / k if k > desired_bl, so that x does not clip: changes beyond
    desired_bl g per vector are lost.

    With power_of_two_scales, S_x and S_d, the smallest powers of two that are at least max|x| and max|d|, take the place of
    the maxima in k = lr S_x S_d / g, which also sets BL, and of the balance of A and B::

        p_x = |x| / S_x,  p_d = min(1, k / BL |d| / S_d)

    so that both vectors are scaled by a shift. The factor k / BL, one per vector, is what the rate leaves over: devices of a
    fixed step cannot take it up as a digital weight does (there, ESSOP multiplies the counts by lr S_x S_d / BL).

    With shared_random_numbers, all columns compare their p with one random number per slot and all rows with another one,
    independent of it. Each device still gets Binomial(BL, p_x p_d) pulses, but the trains of two columns are comonotone: one
    fires wherever the less probable one does, so that both do with min(p_x, p_x') instead of p_x p_x', and likewise for rows.

    Parameters
    ----------
    desired_bl : int, default 31
        (Largest) length of the pulse trains, in slots.
    update_management : bool, default True
        Balance the probabilities of rows and columns.
    update_bl_management : bool, default True
        Shorten the trains of small updates. It needs balanced probabilities, without which short trains would clip, so it
        brings update management with it, as in AIHWKit.
    pulse_type : {"stochastic", "mean_count", "deterministic_implicit"}
        Random trains; or n = round(c_x c_d / BL) pulses with c = round(BL p); or n = round(BL p_x p_d) pulses.
    fixed_bl : bool, default True
        False: where g desired_bl < lr, use trains of ceil(lr / g) slots with A = B = 1.
    um_grad_scale : float, default 1
        Factor on max|d| in the managements: below 1 it boosts small gradients and clips large ones.
    power_of_two_scales : bool, default False
        Let update management scale by powers of two.
    shared_random_numbers : bool, default False
        Draw one random number per slot for all columns and one for all rows, instead of one for each line.
    wires : WriteWires, optional
        Lines with resistance, which leave each device less than the voltage of a pulse; by default they leave all.

    Notes
    -----
    Sources: Gokmen and Vlasov (2016), Eq. 2; Gokmen, Onen and Haensch (2017) for update management; Joshi et al. (2020),
    arXiv 2003.11256 (ESSOP), for scales that are shifts and random numbers that are used again; AIHWKit's code for the
    rest. Its documentation scales with the ratio of the maxima; its code, like this, with the square root.

    Examples
    --------
    >>> import rpusim as rpu
    >>> essop = rpu.PulseScheme(desired_bl=16, power_of_two_scales=True, shared_random_numbers=True)
    >>> array = rpu.CrossbarArray((1, 3), rpu.devices.SoftBounds(dw_min=0.01), pulses=essop, rng=0, count_pulses=True)
    >>> array.update([0.7, 0.7, -0.7], [1.0], lr=0.15)
    >>> up, down = array.device_pulse_count
    >>> bool(down[0, 0] == down[0, 1] == up[0, 2] > 0)  # equal columns fire together
    True
    """

    papers: ClassVar[tuple[str, ...]] = ("gokmen2016", "gokmen2017")

    desired_bl: int = parameter(31, integer(1, 65535))
    update_management: bool = parameter(True, boolean)
    update_bl_management: bool = parameter(True, boolean)
    pulse_type: str = parameter("stochastic", choice(*PULSE_TYPES))
    fixed_bl: bool = parameter(True, boolean)
    um_grad_scale: float = parameter(1.0, physical(0.0, open_low=True))
    power_of_two_scales: bool = parameter(False, boolean)
    shared_random_numbers: bool = parameter(False, boolean)
    wires: WriteWires | None = parameter(None, optional(instance(WriteWires, "a WriteWires")))

    def _check_consistency(self) -> None:
        if not self.fixed_bl and self.update_bl_management:
            raise ValueError(
                "PulseScheme: fixed_bl must be True where update_bl_management=True, which sets the length; got False"
            )
        if self.um_grad_scale != 1.0 and not (self.update_management or self.update_bl_management):
            raise ValueError(
                f"PulseScheme: um_grad_scale must be 1 without update_management and update_bl_management; got "
                f"{self.um_grad_scale}"
            )
        managed = self.update_management or self.update_bl_management
        if self.power_of_two_scales and not (managed and self.fixed_bl):
            raise ValueError(
                f"PulseScheme: power_of_two_scales must be False without update_management, which it is a way of, and where "
                f"fixed_bl=False; got True with update_management={self.update_management}, fixed_bl={self.fixed_bl}"
            )
        if self.shared_random_numbers and self.pulse_type != "stochastic":
            raise ValueError(
                f"PulseScheme: shared_random_numbers must be False where pulse_type={self.pulse_type!r}, which draws none; "
                f"got True"
            )

    def core_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `Updater.set_scheme`."""
        return {
            "pulse_type": self.pulse_type,
            "desired_bl": self.desired_bl,
            "update_management": self.update_management or self.update_bl_management,
            "update_bl_management": self.update_bl_management,
            "fixed_bl": self.fixed_bl,
            "um_grad_scale": self.um_grad_scale,
            "power_of_two_scales": self.power_of_two_scales,
            "shared_random_numbers": self.shared_random_numbers,
        }
