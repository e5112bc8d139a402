"""Devices of the literature: functions that return a specification, ready to use or to change.

Every function takes keyword arguments that replace fields of the specification. `names` lists the functions, `get` calls
one by its name, and `source` says where its numbers are from.

The values of most are those of AIHWKit's presets (Rasch et al. 2021, arXiv:2104.02184), which are fits to the published
measurements that are cited, scaled to weight units. Laws that differ from AIHWKit's are said at the device: `up_down` acts
on both directions here, and `ExpStep` scales pulse trains by the mean of the up and the down step.

Examples
--------
>>> from rpusim.devices import presets
>>> presets.idealized()
ConstantStep(dw_min=0.0002, up_down_dtod=0.0, w_max=1.0, w_min=-1.0)
>>> presets.idealized(w_max=2.0).w_max
2.0
>>> presets.source("idealized").short
'Rasch et al. 2020'
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rpusim._base.validation import physical, real
from rpusim.devices.nonlinear import ExpStep, FromResponse, PiecewiseStep, PowStep
from rpusim.devices.registry import Source, get, names, papers, preset, source
from rpusim.devices.step import ConstantStep, LinearStep, SoftBounds, SoftBoundsReference

__all__ = [
    "Source",
    "capacitor",
    "ecram",
    "ecram_mo",
    "get",
    "gokmen_vlasov",
    "idealized",
    "names",
    "onen_saturating",
    "onen_symmetric",
    "papers",
    "pcm",
    "rasch_soft_bounds",
    "reram_array_hfo2",
    "reram_array_om",
    "reram_es",
    "reram_sb",
    "rpu_baseline",
    "source",
    "wu_exponential",
    "wu_linear",
    "wu_power",
]

_positive = physical(0.0, open_low=True)


# ---- measured devices ------------------------------------------------------------------------------------------------


@preset("Gong et al. 2018", "gong2018")
def reram_es(**overrides: Any) -> ExpStep:
    """ReRAM (HfO2), one device, exponential steps: a close fit, with its symmetry point away from zero.

    In AIHWKit's terms: dw_min 0.00135 (spread 0.2, noise 5), up_down 0.259359 (spread 0.05), bounds +-1, A -1.18445 up and
    -0.081404 down, gamma 5, a = b = -0.5, write noise 75. Its up_down weakens the down step only, so dw_min, and what is
    relative to it, are converted: dw_min (1 - u/2), up_down u / (2 - u), and the spreads and the write noise divided by
    1 - u/2. Noise is relative to each step and stays. All absolute sizes are the same as there.

    The granularity here is the mean of both steps at 0, 0.001736 (1152 states); AIHWKit's is the down step, 0.001991
    (1004 states).

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> device = presets.reram_es()
    >>> round(device.symmetry_point, 3), round(device.number_of_states)
    (-0.217, 1152)
    """
    device = ExpStep(
        **_weaker_down_step(0.259359, dw_min=0.00135, dw_min_dtod=0.2, up_down_dtod=0.05, write_noise_std=75.0),
        dw_min_std=5.0,
        w_max=1.0,
        w_min=-1.0,
        A_up=-1.18445,
        A_down=-0.081404,
        gamma_up=5.0,
        gamma_down=5.0,
        a=-0.5,
        b=-0.5,
    )
    return device.replace(**overrides)


@preset("Gong et al. 2018", "gong2018")
def reram_sb(**overrides: Any) -> SoftBoundsReference:
    """ReRAM (HfO2), one device against a reference at its symmetry point, soft bounds: a loose fit to `reram_es`' data.

    dw_min 0.002 with additive noise 3.75 times as large, bounds 1.25 (spread 0.24) and -0.75 (0.4), write noise 56.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> device = presets.reram_sb()
    >>> device.symmetry_point == 0.0, round(device.number_of_states)
    (True, 1000)
    """
    device = SoftBoundsReference(
        dw_min=0.002,
        dw_min_std=3.75,
        w_max=1.25,
        w_max_dtod=0.24,
        w_min=-0.75,
        w_min_dtod=0.4,
        write_noise_std=56.0,
    )
    return device.replace(**overrides)


@preset("Gong et al. 2022", "gong2022")
def reram_array_om(**overrides: Any) -> SoftBoundsReference:
    """ReRAM array ("OM"), soft bounds, about 21 states, against references at the symmetry points.

    dw_min 0.0949 (log-normal spread 0.7829) with additive noise 0.4158, bounds 1 (0.3499) and -1 (0.5695), write noise
    1.4113, references off by 0.05. Of the measured devices 13.48 % did not work; all do here, unless asked for as below.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> round(presets.reram_array_om().number_of_states, 1)
    21.1
    >>> worn = presets.reram_array_om(corrupt_devices_prob=0.1348, corrupt_devices_range=0.01)
    """
    device = SoftBoundsReference(
        dw_min=0.0949,
        dw_min_dtod=0.7829,
        dw_min_dtod_log_normal=True,
        dw_min_std=0.4158,
        w_max=1.0,
        w_max_dtod=0.3499,
        w_min=-1.0,
        w_min_dtod=0.5695,
        write_noise_std=1.4113,
        reference_std=0.05,
        subtract_symmetry_point=True,
    )
    return device.replace(**overrides)


@preset("Gong et al. 2022", "gong2022")
def reram_array_hfo2(**overrides: Any) -> SoftBoundsReference:
    """ReRAM array (HfO2), soft bounds, about 4 states, against references at the symmetry points.

    dw_min 0.4622 (log-normal spread 0.7125) with additive noise 0.2174, bounds 1 (0.4295) and -1 (0.5990), write noise
    0.5841, references off by 0.05. Of the measured devices 9.77 % did not work; see `reram_array_om`.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> round(presets.reram_array_hfo2().number_of_states, 2)
    4.33
    """
    device = SoftBoundsReference(
        dw_min=0.4622,
        dw_min_dtod=0.7125,
        dw_min_dtod_log_normal=True,
        dw_min_std=0.2174,
        w_max=1.0,
        w_max_dtod=0.4295,
        w_min=-1.0,
        w_min_dtod=0.5990,
        write_noise_std=0.5841,
        reference_std=0.05,
        subtract_symmetry_point=True,
    )
    return device.replace(**overrides)


@preset(
    "Li et al. 2018",
    "li2018",
    "kim2017",
)
def capacitor(**overrides: Any) -> LinearStep:
    """CMOS and capacitor: the weight is the charge of a capacitor, and leaks.

    dw_min 0.005 (spread 0.1) with additive noise, up_down spread 0.06, bounds +-1 (0.07), slopes 0.05 (0.01), lifetime
    10^6 mini-batches (0.3). The lifetime depends on the real time that a mini-batch takes; adapt it.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> device = presets.capacitor(lifetime=1e5)
    >>> device.symmetry_point == 0.0, round(device.number_of_states)
    (True, 400)
    """
    device = LinearStep(
        dw_min=0.005,
        dw_min_dtod=0.1,
        up_down_dtod=0.06,
        w_max=1.0,
        w_max_dtod=0.07,
        w_min=-1.0,
        w_min_dtod=0.07,
        gamma_up=0.05,
        gamma_up_dtod=0.01,
        gamma_down=0.05,
        gamma_down_dtod=0.01,
        mult_noise=False,
        lifetime=1e6,
        lifetime_dtod=0.3,
    )
    return device.replace(**overrides)


@preset("Tang et al. 2018", "tang2018")
def ecram(**overrides: Any) -> LinearStep:
    """Electrochemical RAM (lithium), its range shifted so that the symmetry point is at zero.

    dw_min 0.002 (spread 0.1), bounds 1.1724 and -0.8276 (0.05), slopes 0.1153 up and 0.5085 down.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> device = presets.ecram()
    >>> device.symmetry_point == 0.0, round(device.number_of_states)
    (True, 1000)
    """
    device = LinearStep(
        dw_min=0.002,
        dw_min_dtod=0.1,
        w_max=1.1724,
        w_max_dtod=0.05,
        w_min=-0.8276,
        w_min_dtod=0.05,
        gamma_up=0.1153,
        gamma_down=0.5085,
    )
    return device.replace(**overrides)


@preset("Kim et al. 2019", "kim2019")
def ecram_mo(**overrides: Any) -> LinearStep:
    """Electrochemical RAM (metal oxide), its range shifted so that the symmetry point is at zero.

    dw_min 2.8214e-4 (spread 0.1) with noise of twice the step, bounds 1.1714 and -0.8286 (0.05), slopes 0.4152 up and
    0.7342 down.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> device = presets.ecram_mo()
    >>> device.symmetry_point == 0.0, round(device.number_of_states)
    (True, 7089)
    """
    device = LinearStep(
        dw_min=2.8214e-4,
        dw_min_dtod=0.1,
        dw_min_std=2.0,
        w_max=1.1714,
        w_max_dtod=0.05,
        w_min=-0.8286,
        w_min_dtod=0.05,
        gamma_up=0.4152,
        gamma_down=0.7342,
    )
    return device.replace(**overrides)


@preset("Nandakumar et al. 2020", "nandakumar2020")
def pcm(**overrides: Any) -> ExpStep:
    """Phase-change memory, one device: unidirectional, from 0 up; down pulses are (almost) resets.

    dw_min 0.01 (spread 0.2) with noise 0.6 (step + 0.042 + 0.108 w), bounds 0 and 2 (0.1), A -27.235 up and -2.235 down,
    gamma 2.5, a = -1, b = 0, reset level 0.01 (0.02). A weight of either sign takes two of them.

    The granularity here is the mean of both steps at 0, 0.157 (13 states); AIHWKit's is the down step, 0.032 (62 states).

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> device = presets.pcm()
    >>> device.w_min, round(float(device.step_up(0.0)), 3), round(float(device.step_up(1.0)), 3)
    (0.0, 0.282, 0.032)
    """
    device = ExpStep(
        dw_min=0.01,
        dw_min_dtod=0.2,
        dw_min_std=0.6,
        up_down_dtod=0.05,
        w_max=2.0,
        w_max_dtod=0.1,
        w_min=0.0,
        w_min_dtod=0.0,
        A_up=-27.235,
        A_down=-2.235,
        gamma_up=2.5,
        gamma_down=2.5,
        a=-1.0,
        b=0.0,
        dw_min_std_add=0.042,
        dw_min_std_slope=0.108,
        reset=0.01,
        reset_dtod=0.02,
    )
    return device.replace(**overrides)


# ---- assumed devices -------------------------------------------------------------------------------------------------


@preset("Gokmen and Vlasov 2016", "gokmen2016")
def rpu_baseline(**overrides: Any) -> ConstantStep:
    """The device of the first RPU studies: symmetric on average, 1200 states between +-0.6, spreads of 30 %.

    dw_min 0.001 (spread 0.3, noise 0.3), bounds +-0.6 (0.3), up_down spread 0.01: the values that AIHWKit took over as the
    defaults of its devices, and the defaults of `ConstantStep`.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> round(presets.rpu_baseline().number_of_states)
    1200
    """
    return ConstantStep().replace(**overrides)


@preset("Gokmen and Vlasov 2016", "gokmen2016")
def gokmen_vlasov(**overrides: Any) -> ConstantStep:
    """`rpu_baseline` with its range scaled to +-1: dw_min 0.0016, spreads and noise of 30 %.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> round(presets.gokmen_vlasov().number_of_states)
    1250
    """
    return ConstantStep(dw_min=0.0016, w_max=1.0, w_min=-1.0).replace(**overrides)


@preset("Rasch et al. 2020", "rasch2020", "gokmen2016")
def idealized(**overrides: Any) -> ConstantStep:
    """`gokmen_vlasov` with 10,000 states and no asymmetry: dw_min 2e-4, up_down spread 0. An assumption, not a device.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> round(presets.idealized().number_of_states)
    10000
    """
    return ConstantStep(dw_min=2e-4, up_down_dtod=0.0, w_max=1.0, w_min=-1.0).replace(**overrides)


@preset("Onen et al. 2022", "onen2022", "gokmen2016")
def onen_symmetric(**overrides: Any) -> ConstantStep:
    """The symmetric device of the networks of Stochastic Hamiltonian Descent: 1200 states between +-2.

    Spreads and noise as in `rpu_baseline`. Stochastic Hamiltonian Descent does not converge on it: nothing damps it.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> device = presets.onen_symmetric()
    >>> device.w_max, round(device.number_of_states)
    (2.0, 1200)
    """
    return ConstantStep(dw_min=4.0 / 1200, w_max=2.0, w_min=-2.0).replace(**overrides)


@preset("Onen et al. 2022", "onen2022", "gokmen2016")
def onen_saturating(**overrides: Any) -> SoftBounds:
    """The exponentially saturating device of Stochastic Hamiltonian Descent: 1200 states between +-2.

    Spreads and noise as in `rpu_baseline`. The paper draws several strengths of asymmetry without giving them as numbers;
    this is the one that saturates at its bounds.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> device = presets.onen_saturating()
    >>> device.symmetry_point == 0.0, round(device.number_of_states)
    (True, 1200)
    """
    return SoftBounds(dw_min=4.0 / 1200, w_max=2.0, w_min=-2.0).replace(**overrides)


@preset(
    "Rasch et al. 2024",
    "rasch2024",
)
def rasch_soft_bounds(**overrides: Any) -> SoftBoundsReference:
    """The device of the studies of chopped Tiki-Taka and AGAD: soft bounds, 40 states, spreads of 30 %.

    dw_min 0.05 (log-normal spread 0.3) with additive noise 0.3, up_down spread 0.3, bounds +-1 (0.3), the reference at the
    symmetry point of each device. `reference_mean` and `reference_std` set the error of the reference (mu_R and sigma_r).

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> round(presets.rasch_soft_bounds().number_of_states)
    40
    >>> offset = presets.rasch_soft_bounds(dw_min=0.1, reference_std=0.25)
    """
    device = SoftBoundsReference(
        dw_min=0.05,
        dw_min_dtod=0.3,
        dw_min_dtod_log_normal=True,
        up_down_dtod=0.3,
        w_max=1.0,
        w_min=-1.0,
        subtract_symmetry_point=True,
    )
    return device.replace(**overrides)


# ---- response functions ----------------------------------------------------------------------------------------------

_NO_SPREAD: dict[str, Any] = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}


@preset("Wu et al. 2025", "wu2025")
def wu_linear(tau: float = 3.5, c_lin: float = 0.2, states: float = 70_000, **overrides: Any) -> SoftBounds:
    r"""Linear response of residual learning, without spreads or noise.

    .. math:: q_+ = (1 + c)(1 - w/\tau), \quad q_- = (1 - c)(1 + w/\tau)

    in units of 2 tau / states: `SoftBounds` with up_down = c, whose symmetry point is c tau. The defaults are Fig. 2 of the
    paper. Zero-shifted soft bounds (c = 0) are the device of Wu et al. (2024), arXiv:2406.12774.

    Parameters
    ----------
    tau : float, default 3.5
        Bounds are +-tau, in weight units.
    c_lin : float, default 0.2
        Asymmetry c, in [-1, 1]; the paper has 0, 0.1, 0.2 and 0.3.
    states : float, default 70000
        2 tau / dw_min.
    **overrides
        Further fields of `SoftBounds`.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> device = presets.wu_linear()
    >>> device.dw_min, round(device.symmetry_point, 9)
    (0.0001, 0.7)
    """
    tau, dw_min = _scale(tau, states)
    c_lin = real(-1.0, 1.0)("c_lin", c_lin)
    return SoftBounds(dw_min=dw_min, up_down=c_lin, w_max=tau, w_min=-tau, **_NO_SPREAD).replace(**overrides)


@preset("Wu et al. 2025", "wu2025")
def wu_power(tau: float = 0.7, gamma: float = 0.5, states: float = 1200, **overrides: Any) -> PowStep:
    r"""Power response of residual learning, without spreads or noise.

    .. math:: q_\pm = (1 \mp w/\tau)^\gamma

    in units of 2 tau / states: `PowStep` with dw_min = 2^gamma times as much. The defaults are one of the devices of the
    paper's MNIST networks (tau 0.6, 0.7, 0.8; gamma 0.5, 1, 2).

    Parameters
    ----------
    tau : float, default 0.7
        Bounds are +-tau, in weight units.
    gamma : float, default 0.5
        Exponent, in [0, 20].
    states : float, default 1200
        2 tau / (step at w = 0).
    **overrides
        Further fields of `PowStep`.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> device = presets.wu_power(tau=0.6, gamma=2.0)
    >>> round(device.granularity, 6), round(device.number_of_states)
    (0.001, 1200)
    """
    tau, dw_min = _scale(tau, states)
    gamma = real(0.0, 20.0)("gamma", gamma)
    device = PowStep(dw_min=dw_min * 2.0**gamma, pow_gamma=gamma, pow_gamma_dtod=0.0, w_max=tau, w_min=-tau, **_NO_SPREAD)
    return device.replace(**overrides)


@preset("Wu et al. 2025", "wu2025")
def wu_exponential(tau: float = 0.7, gamma: float = 0.5, states: float = 1200, **overrides: Any) -> PiecewiseStep:
    r"""Exponential response of residual learning (Eq. 145), without spreads or noise.

    .. math:: q_\pm = \frac{\exp(\gamma (1 \mp w/\tau)) - 1}{\exp(\gamma) - 1}

    in units of 2 tau / states, sampled at 65 states (`FromResponse`); between them it is linear, which at gamma = 0.5 is
    an error below 2e-4. The defaults are one of the devices of the paper's MNIST networks (tau 0.6, 0.7, 0.8; gamma 0.5).

    Parameters
    ----------
    tau : float, default 0.7
        Bounds are +-tau, in weight units.
    gamma : float, default 0.5
        Curvature, positive, at most 20.
    states : float, default 1200
        2 tau / (step at w = 0).
    **overrides
        Further fields of `PiecewiseStep`.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> device = presets.wu_exponential()
    >>> round(device.number_of_states), abs(device.symmetry_point) < 1e-9
    (1200, True)
    """
    tau, dw_min = _scale(tau, states)
    gamma = real(0.0, 20.0, open_low=True)("gamma", gamma)

    def q(sign: float) -> Callable[[Any], Any]:
        return lambda w: dw_min * np.expm1(gamma * (1.0 - sign * w / tau)) / np.expm1(gamma)

    return FromResponse(q(1.0), q(-1.0), w_max=tau, w_min=-tau, nodes=65, **_NO_SPREAD).replace(**overrides)


def _scale(tau: float, states: float) -> tuple[float, float]:
    """tau and the step at w = 0."""
    tau = _positive("tau", tau)
    return tau, 2.0 * tau / _positive("states", states)


def _weaker_down_step(u: float, dw_min: float, **relative: float) -> dict[str, Any]:
    """Fields of a device whose down step is weakened by u, as AIHWKit has it, with what is relative to its dw_min."""
    scale = 1.0 - u / 2.0
    return {"dw_min": dw_min * scale, "up_down": u / (2.0 - u)} | {k: value / scale for k, value in relative.items()}
