"""What training does to weights before they are read, so that networks learn to bear it, and after a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import choice, instance, numbers_of, optional, physical, real
from rpusim.inference.converters import Converter, DifferentialPair
from rpusim.inference.models import MICRO, PCM, NoiseModel, check_age, polynomial

__all__ = [
    "AddNormal", "Clip", "Discretize", "DoReFa", "DropConnect", "FanInClip", "FixedClip", "GaussianClip", "MeanMaxClip",
    "Modifier", "MultiplyNormal", "OnDevices", "PCMNoise", "PolynomialNoise", "ProgrammingNoise",
]  # fmt: skip

Weights = NDArray[np.float32]


class Draws:
    """Random arrays for one read of a weight.

    Parameters
    ----------
    normals, uniforms : callable
        Of a name and a shape.
    """

    def __init__(
        self, normals: Callable[[str, tuple[int, ...]], Weights], uniforms: Callable[[str, tuple[int, ...]], Weights]
    ) -> None:
        self.normals, self.uniforms = normals, uniforms


_is_per = choice("array", "row")
_std = physical(0.0)


@dataclass(frozen=True, repr=False)
class Modifier(Specification):
    """Base: how a weight is disturbed when it is read in training. The gradient goes to the weight itself.

    Examples
    --------
    >>> import rpusim as rpu
    >>> isinstance(rpu.inference.AddNormal(0.06), rpu.inference.Modifier)
    True
    """

    def modified(self, w: Weights, draws: Draws, strength: float) -> Weights:
        """Return a new array, the weights that are read.

        Parameters
        ----------
        w : float32 array (outputs, inputs)
        draws : Draws
        strength : float
            Factor on all noise, from 0 to 1, while it is ramped up.
        """
        raise NotImplementedError


def largest(w: Weights, per: str) -> Weights:
    """M: max|w| of the array or of each row, 1 where that is 0."""
    axis = 1 if per == "row" else None
    found = np.maximum(w.max(axis=axis, keepdims=True), -w.min(axis=axis, keepdims=True))  # without a copy of w
    return np.where(found > 0.0, found, np.float32(1.0))


@dataclass(frozen=True, repr=False)
class AddNormal(Modifier):
    r"""W + std M xi, M = max\|W\|.

    Parameters
    ----------
    std : float, default 0.06
    per : {"array", "row"}
        What M is of.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.HardwareAware(rpu.inference.AddNormal(0.03, per="row"), rpu.inference.GaussianClip(2.5, per="row"))
    HardwareAware(modifiers=(AddNormal(std=0.03, per='row'),), clip=GaussianClip(per='row'))
    """

    std: float = parameter(0.06, _std)
    per: str = parameter("array", _is_per)

    def modified(self, w: Weights, draws: Draws, strength: float) -> Weights:
        noise = draws.normals("add", w.shape)
        noise *= np.float32(self.std * strength) * largest(w, self.per)
        noise += w
        return noise


@dataclass(frozen=True, repr=False)
class MultiplyNormal(Modifier):
    """W (1 + std xi).

    Parameters
    ----------
    std : float, default 0.06

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.HardwareAware(rpu.inference.MultiplyNormal(0.1))
    HardwareAware(modifiers=(MultiplyNormal(std=0.1),))
    """

    std: float = parameter(0.06, _std)

    def modified(self, w: Weights, draws: Draws, strength: float) -> Weights:
        noise = draws.normals("multiply", w.shape)
        noise *= np.float32(self.std * strength)
        noise += 1.0
        noise *= w
        return noise


@dataclass(frozen=True, repr=False)
class Discretize(Modifier):
    r"""M resolution round(W / (M resolution)), M = max\|W\|.

    Parameters
    ----------
    resolution : float, default 1 / 127
    per : {"array", "row"}

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> rule = rpu.inference.HardwareAware(rpu.inference.Discretize(resolution=0.25))
    >>> tile = rule.build((1, 3), rng=0)
    >>> _ = tile.program([[1.0, 0.6, -0.1]])
    >>> tile.begin(train=True)
    >>> tile.forward(np.eye(3, dtype=np.float32)).ravel().round(3).tolist()
    [1.0, 0.5, 0.0]
    """

    resolution: float = parameter(1 / 127, real(0.0, 1.0, open_low=True))
    per: str = parameter("array", _is_per)

    def modified(self, w: Weights, draws: Draws, strength: float) -> Weights:
        step = largest(w, self.per) * np.float32(self.resolution)
        return np.rint(w / step) * step


@dataclass(frozen=True, repr=False)
class DoReFa(Modifier):
    r"""resolution round(tanh(W) \|c / tanh(M)\| / resolution) (Zhou et al. 2016), M = max\|W\|.

    Parameters
    ----------
    resolution : float, default 1 / 127
    c : float, default 0.6
        The largest weight that is read.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.HardwareAware(rpu.inference.DoReFa(resolution=1 / 7))
    HardwareAware(modifiers=(DoReFa(resolution=0.14285714285714285),))
    """

    papers: ClassVar[tuple[str, ...]] = ("zhou2016",)

    resolution: float = parameter(1 / 127, real(0.0, 1.0, open_low=True))
    c: float = parameter(0.6, physical(0.0, open_low=True))

    def modified(self, w: Weights, draws: Draws, strength: float) -> Weights:
        scaled = np.tanh(w) * (np.float32(self.c) / np.tanh(largest(w, "array")))
        return np.rint(scaled / np.float32(self.resolution)) * np.float32(self.resolution)


@dataclass(frozen=True, repr=False)
class PolynomialNoise(Modifier):
    r"""W + std M p(\|W\| / M) xi, p(r) = c_0 + c_1 r + ..., M = max\|W\|.

    Parameters
    ----------
    coefficients : tuple of float
        Of p; by default those of `PCM` over 25 uS.
    std : float, default 1
    per : {"array", "row"}

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.HardwareAware(rpu.inference.PolynomialNoise((0.01, 0.08)))
    HardwareAware(modifiers=(PolynomialNoise(coefficients=(0.01, 0.08)),))
    """

    coefficients: tuple[float, ...] = parameter((0.26348 / 25, 1.9650 / 25, -1.1731 / 25), numbers_of(real()))
    std: float = parameter(1.0, _std)
    per: str = parameter("array", _is_per)

    def modified(self, w: Weights, draws: Draws, strength: float) -> Weights:
        m = largest(w, self.per)
        noise = draws.normals("polynomial", w.shape)
        noise *= np.float32(self.std * strength) * m * polynomial(self.coefficients, np.abs(w) / m)
        noise += w
        return noise


@dataclass(frozen=True, repr=False)
class ProgrammingNoise(Modifier):
    r"""sign(W) \|W + M std p(\|W\| / M) / g_max xi\|, p in siemens: the noise of one device, whose weight keeps its sign.

    Parameters
    ----------
    coefficients : tuple of float
        Of p, in siemens; by default those of `PCM`.
    g_max_s : float, default 25e-6
    std : float, default 1
    per : {"array", "row"}

    Notes
    -----
    AIHWKit's default coefficients are divided by 25 already, and again by its g_max: its noise is 25 times too small.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.HardwareAware(rpu.inference.ProgrammingNoise(std=2.0))
    HardwareAware(modifiers=(ProgrammingNoise(std=2.0),))
    """

    coefficients: tuple[float, ...] = parameter((0.26348e-6, 1.9650e-6, -1.1731e-6), numbers_of(real()))
    g_max_s: float = parameter(25e-6, physical(0.0, open_low=True))
    std: float = parameter(1.0, _std)
    per: str = parameter("array", _is_per)

    def modified(self, w: Weights, draws: Draws, strength: float) -> Weights:
        m = largest(w, self.per)
        relative = tuple(c / self.g_max_s for c in self.coefficients)
        noise = draws.normals("programming", w.shape)
        noise *= np.float32(self.std * strength) * m * polynomial(relative, np.abs(w) / m)
        noise += w
        return np.copysign(noise, w, out=noise)


@dataclass(frozen=True, repr=False)
class PCMNoise(Modifier):
    r"""One device of phase-change memory per weight: programmed, drifted without its mean, read with noise; signs stay.

    g = clip(W, +-M) g_max / M; it is 0, and stays so, where it is at most zero_threshold std 0.26348 uS. With the
    probability `to_zero` g is 0, with `to_max` +-g_max by a coin, with `to_random` uniform in 0 to g_max.
    Then g_P = \|g\| + std sigma xi, times (T / t0)^-\|sd xi\|, plus std g Q sqrt(ln((T + t_read) / (2 t_read))) xi; see `PCM`.

    Parameters
    ----------
    std : float, default 1
    t_inference_s : float, default 0
    zero_threshold : float, default 0
    to_zero, to_max, to_random : float, default 0
        Probabilities.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.HardwareAware(rpu.inference.PCMNoise(std=2.0, t_inference_s=86400.0))
    HardwareAware(modifiers=(PCMNoise(std=2.0, t_inference_s=86400.0),))
    """

    std: float = parameter(1.0, _std)
    t_inference_s: float = parameter(0.0, physical(0.0))
    zero_threshold: float = parameter(0.0, physical(0.0))
    to_zero: float = parameter(0.0, real(0.0, 1.0))
    to_max: float = parameter(0.0, real(0.0, 1.0))
    to_random: float = parameter(0.0, real(0.0, 1.0))

    def _chosen(self, g: Weights, draws: Draws) -> Weights:
        """Sizes after what devices may do instead."""
        g_max = np.float32(25 * MICRO)
        if self.to_zero:
            g = np.where(draws.uniforms("to zero", g.shape) <= self.to_zero, np.float32(0.0), g)
        if self.to_max:
            g = np.where(draws.uniforms("to max", g.shape) <= self.to_max, g_max, g)
        if self.to_random:
            picked = draws.uniforms("to random", g.shape) <= self.to_random
            g = np.where(picked, draws.uniforms("random", g.shape) * g_max, g)
        return g

    def modified(self, w: Weights, draws: Draws, strength: float) -> Weights:
        m, law, g_max, std = largest(w, "array"), PCM(), 25 * MICRO, self.std * strength
        g = np.abs(w) * (np.float32(g_max) / m)
        g[g <= self.zero_threshold * std * 0.26348 * MICRO] = 0.0
        sign = np.sign(w)
        if self.to_max:  # the coin
            coin = np.where(draws.uniforms("coin", w.shape) <= 0.5, np.float32(1.0), np.float32(-1.0))
        g = self._chosen(g, draws)
        if self.to_max:
            sign = np.where(g == np.float32(g_max), coin, sign)
        alive = g != 0.0
        programmed = np.abs(g + std * law.programming_std(g, g_max) * draws.normals("programming", w.shape))
        r = np.maximum(programmed / g_max, 1e-7)
        if self.t_inference_s > 0.0:
            log = math.log((self.t_inference_s + law.t0_s) / law.t0_s)
            programmed *= np.exp(-log * np.abs(law.exponents(r)[1] * draws.normals("exponent", w.shape)))
        q = law.relative_noise(r) * math.sqrt(law.noise_power(self.t_inference_s))
        read = programmed * (1.0 + std * q * draws.normals("read", w.shape))
        return np.asarray(np.where(alive, np.abs(read), 0.0) * sign * (m / g_max), np.float32)


@dataclass(frozen=True, repr=False)
class DropConnect(Modifier):
    """Every weight is 0 with a probability (Wan et al. 2013); the others stay as they are.

    Parameters
    ----------
    p : float, default 0.01

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> tile = rpu.inference.HardwareAware(rpu.inference.DropConnect(p=0.5)).build((1, 200), rng=0)
    >>> _ = tile.program(np.ones((1, 200)))
    >>> tile.begin(train=True)
    >>> 60 < float(tile.forward(np.ones(200, np.float32))[0]) < 140
    True
    """

    papers: ClassVar[tuple[str, ...]] = ("wan2013",)

    p: float = parameter(0.01, real(0.0, 1.0))

    def modified(self, w: Weights, draws: Draws, strength: float) -> Weights:
        return np.where(draws.uniforms("drop", w.shape) <= self.p * strength, np.float32(0.0), w)


@dataclass(frozen=True, repr=False)
class OnDevices(Modifier):
    """The very law of a chip: weights programmed to its devices, aged and read with noise, anew for every read.

    Mean drift is taken out, as by a global compensation. The noise is not ramped up.

    Parameters
    ----------
    model : NoiseModel, default PCM()
    converter : Converter, default DifferentialPair()
    t_inference_s : float, default 0

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.OnDevices(rpu.inference.PCM(prog_scale=2.0), t_inference_s=86400.0)
    OnDevices(model=PCM(prog_scale=2.0), t_inference_s=86400.0)
    """

    model: NoiseModel = parameter(PCM, instance(NoiseModel, "a NoiseModel"))
    converter: Converter = parameter(DifferentialPair, instance(Converter, "a Converter"))
    t_inference_s: float = parameter(0.0, physical(0.0))

    def modified(self, w: Weights, draws: Draws, strength: float) -> Weights:
        model, converter, t = self.model, self.converter, check_age("t_inference_s", self.t_inference_s)
        targets, scaling = converter.targets(w)
        g_max = converter.g_max_s

        def draw(name: str) -> Any:
            return draws.normals(name, targets.shape)

        event = model.event(targets, g_max, draw)
        g = model.aged(event, targets, g_max, t, draw)
        std = model.read_std(event, g, targets, g_max, t)
        if std is not None:
            g = model.cut(g + std * draw("read"))
        out = converter.weights(g, scaling)
        if t > 0.0:
            start = converter.weights(event["programmed"], scaling)
            out *= np.float32(np.vdot(start, start) / max(float(np.vdot(start, out)), 1e-30))
        return out


# ---- after a step ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Clip(Specification):
    """Base: where weights are cut after every step of training.

    Examples
    --------
    >>> import rpusim as rpu
    >>> [isinstance(clip, rpu.inference.Clip) for clip in (rpu.inference.GaussianClip(), rpu.inference.FixedClip())]
    [True, True]
    """

    def bound(self, w: Weights) -> Any:
        """Return the largest size that stays, of all or of each row, (outputs, 1)."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class FixedClip(Clip):
    """At +-bound.

    Parameters
    ----------
    size : float, default 1

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.HardwareAware(clip=rpu.inference.FixedClip(0.5))
    HardwareAware(clip=FixedClip(size=0.5))
    """

    size: float = parameter(1.0, physical(0.0, open_low=True))

    def bound(self, w: Weights) -> Any:
        return np.float32(self.size)


@dataclass(frozen=True, repr=False)
class GaussianClip(Clip):
    """At +-sigma standard deviations (n - 1) of the weights.

    Parameters
    ----------
    sigma : float, default 2.5
    per : {"array", "row"}
        What the standard deviation is of.
    most : float or None
        A bound that is not exceeded.

    Notes
    -----
    Noise of devices is relative to the largest weight: without tails it is smaller beside the others (Joshi et al. 2020).

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.HardwareAware(rpu.inference.AddNormal(0.06), rpu.inference.GaussianClip(2.0, per="row"))
    HardwareAware(clip=GaussianClip(sigma=2.0, per='row'))
    """

    sigma: float = parameter(2.5, physical(0.0, open_low=True))
    per: str = parameter("array", _is_per)
    most: float | None = parameter(None, optional(physical(0.0, open_low=True)))

    def bound(self, w: Weights) -> Any:
        axis = 1 if self.per == "row" else None
        if w.size < 2 or (axis == 1 and w.shape[1] < 2):
            return np.float32(np.inf)  # one weight has no spread
        bound = np.float32(self.sigma) * _spread(w, axis)
        return bound if self.most is None else np.minimum(bound, np.float32(self.most))


def _spread(w: Weights, axis: int | None) -> Weights:
    """Standard deviation (n - 1), by one pass where the mean is small beside it, as it is of weights."""
    n = w.size if axis is None else w.shape[1]
    mean = w.mean(axis=axis, keepdims=True)
    square = np.float32(np.vdot(w, w)) if axis is None else np.einsum("ij,ij->i", w, w)[:, None]
    variance = (square - n * mean * mean) / np.float32(n - 1)
    if np.any(variance < mean * mean):
        return np.asarray(w.std(axis=axis, ddof=1, keepdims=True), np.float32)
    return np.asarray(np.sqrt(variance), np.float32)


@dataclass(frozen=True, repr=False)
class MeanMaxClip(Clip):
    """At the mean over rows of their largest weights.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.HardwareAware(clip=rpu.inference.MeanMaxClip())
    HardwareAware(clip=MeanMaxClip())
    """

    def bound(self, w: Weights) -> Any:
        return np.abs(w).max(axis=1).mean()


@dataclass(frozen=True, repr=False)
class FanInClip(Clip):
    """At sqrt(3 / inputs), the bound of uniform weights of unit gain.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.HardwareAware(clip=rpu.inference.FanInClip())
    HardwareAware(clip=FanInClip())
    """

    def bound(self, w: Weights) -> Any:
        return np.float32(math.sqrt(3.0 / w.shape[1]))
