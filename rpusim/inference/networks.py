"""Networks on chips: a trained network is copied onto arrays, which are read at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.citing import cite
from rpusim._base.notebook import as_html
from rpusim._base.random import RNG, child, seed_sequence
from rpusim._base.validation import boolean, instance, shown
from rpusim.algorithms import DigitalSGD
from rpusim.algorithms.base import Algorithm
from rpusim.inference.chip import Chip
from rpusim.inference.models import check_age
from rpusim.inference.on_chip import ChipTile, OnChip, is_chip
from rpusim.inference.programmed import ProgrammedArray
from rpusim.nn.adapter import Adapter
from rpusim.nn.layer import Layer, is_layer, layer_from_dict
from rpusim.nn.linear import Linear
from rpusim.nn.matrix import Mapping, Matrix
from rpusim.nn.network import Sequential
from rpusim.nn.normalisation import BatchNorm

__all__ = ["ChipNetwork", "adapt", "adapters_of", "convert", "program", "recalibrate_batch_norm"]

_is_net = instance(Sequential, "an nn.Sequential")


class ChipNetwork:
    """A network whose matrices are on chips. Made by `program`.

    Attributes
    ----------
    net : nn.Sequential
        The copy that is on chips; it can be saved as every network.
    tiles : list of ChipTile

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 2, rpu.algorithms.DigitalSGD()))
    >>> net.build(rng=0)
    >>> on_chip = rpu.inference.program(net, rng=0)
    >>> len(on_chip.tiles), on_chip.predict(np.ones((3, 4)), t_inference_s=3600.0).shape
    (1, (3, 2))
    """

    def __init__(self, net: Sequential) -> None:
        self.net = _is_net("net", net)
        self.tiles = [tile for matrix in net.matrices() for tile in matrix.tiles if isinstance(tile, ChipTile)]
        if not self.tiles:
            raise ValueError(f"net must have a matrix on a chip; got {shown(net)}")

    _repr_html_ = as_html

    def _html_rows(self) -> list[tuple[str, Any]]:
        event = self.tiles[0].array.event
        rows = [(f"array {k}", f"{one.shape[0]} x {one.shape[1]}, {one.chip!r}") for k, one in enumerate(self.arrays)]
        return [("programming", event), ("network", repr(self.net)), *rows]

    def __repr__(self) -> str:
        devices = sum(tile.array.targets.size for tile in self.tiles)
        return f"<ChipNetwork of {len(self.tiles)} arrays, {devices:,} devices, programming {self.tiles[0].array.event}>"

    @property
    def arrays(self) -> list[ProgrammedArray]:
        """The programmed arrays, in order of the matrices."""
        return [tile.array for tile in self.tiles]

    @property
    def clipped(self) -> float:
        """Share of the outputs so far that ADCs clipped at their bound."""
        counts = [array.read_count for array in self.arrays]
        converted = sum(count.adc_conversions for count in counts)
        return sum(count.outputs_clipped for count in counts) / converted if converted else 0.0

    def at(self, t_inference_s: float) -> Sequential:
        """Return the network as it is at a time; its noise begins anew, so that a time gives the same bits in any order."""
        t = check_age("t_inference_s", t_inference_s)
        for tile in self.tiles:
            tile.time_s = t
            tile.array.restart_noise(t)
        return self.net

    def predict(self, x: ArrayLike, t_inference_s: float = 0.0, batch_size: int = 1000) -> NDArray[np.float32]:
        """Return the outputs for many inputs at a time after programming; see `nn.Sequential.predict`."""
        return self.at(t_inference_s).predict(np.asarray(x), batch_size)

    def reprogram(self) -> None:
        """Write all arrays once more, with new errors."""
        for tile in self.tiles:
            tile.array.reprogram()


def _layers_of(layer: Layer) -> Iterator[Layer]:
    """All layers that are made of no others, in order."""
    children = layer.children()
    if not children:
        yield layer
    for inner in children:
        yield from _layers_of(inner)


def _described(data: Any, change: Callable[[dict[str, Any]], None]) -> Any:
    """A description of a network, in which every layer with a rule was changed."""
    if isinstance(data, dict):
        out = {name: _described(value, change) for name, value in data.items()}
        if "rule" in out:
            change(out)
        return out
    return [_described(value, change) for value in data] if isinstance(data, (list, tuple)) else data


def _places(net: Sequential, name: str, wanted: Sequence[int]) -> set[int]:
    count = sum(bool(layer.matrices()) for layer in _layers_of(net))
    places = set()
    for place in wanted:
        if not isinstance(place, (int, np.integer)) or isinstance(place, bool) or not -count <= place < count:
            raise ValueError(
                f"{name} must be places of the {count} layers with matrices, from {-count} to {count - 1}; got {shown(place)}"
            )
        places.add(int(place) % count)
    return places


def copy_network(net: Sequential, rule: Callable[[int], Algorithm], mapping: Callable[[int, Mapping], Mapping]) -> Sequential:
    """Return a network of the same layers, with the rule and mapping of each place, not yet built."""
    place = -1

    def change(description: dict[str, Any]) -> None:
        nonlocal place
        place += 1
        layer = layers[place]
        own = getattr(layer, "mapping", None) or Mapping()
        description["rule"] = rule(place).to_dict()
        new = mapping(place, own)
        description["mapping"] = None if new == Mapping() else new.to_dict()

    layers = [layer for layer in _layers_of(net) if layer.matrices()]
    made = layer_from_dict(_described(net.to_dict(), change))
    assert isinstance(made, Sequential)
    return made


def _pairs(net: Sequential, new: Sequential) -> Iterator[tuple[Matrix, Matrix]]:
    return zip(net.matrices(), new.matrices(), strict=True)


def _copy_digital(net: Sequential, new: Sequential) -> None:
    """Copy what layers without matrices hold."""
    for old, fresh in zip(_layers_of(net), _layers_of(new), strict=True):
        if old.trainable and not old.matrices():
            fresh.load_state_dict(old.state_dict())
    olds = list(adapters_of(net))
    for one, other in zip(olds, adapters_of(new) if olds else (), strict=True):
        other.load_adapter_state(one.adapter_state())


@contextmanager
def _no_warnings() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of initial weights, which are written over
        yield


def convert(
    net: Sequential,
    rule: Algorithm,
    *,
    mapping: Mapping | None = None,
    digital: Sequence[int] = (),
    rng: RNG = 0,
) -> Sequential:
    """Return a copy of a network with the same weights by another rule: to train it on, hardware-aware for instance.

    Parameters
    ----------
    net : nn.Sequential
        Built; it is not touched.
    rule : specification of an algorithm
    mapping : Mapping, optional
        By default a digital bias, and the input range that a layer has.
    digital : sequence of int
        Places of layers, among those with matrices, that get `DigitalSGD`, which only digital parameters are trained in.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    nn.Sequential

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 2, rpu.algorithms.DigitalSGD()))
    >>> net.build(rng=0)
    >>> aware = rpu.inference.convert(net, rpu.inference.HardwareAware())
    >>> bool(np.allclose(aware.predict(np.ones((1, 4))), net.predict(np.ones((1, 4))), atol=1e-6))
    True
    """
    _is_net("net", net)
    if not net.built:
        raise RuntimeError("net must be built (net.build(rng)) before it is converted")
    if isinstance(rule, type) or not callable(getattr(rule, "build", None)):
        raise TypeError(f"rule must be the specification of an algorithm; got {shown(rule)}")
    stay = _places(net, "digital", digital)

    def mapped(place: int, own: Mapping) -> Mapping:
        if mapping is not None:
            return mapping
        kept = own.input_range is not None
        ranges = dict(learn_input_range=own.learn_input_range, straight_through=own.straight_through) if kept else {}
        return Mapping(digital_bias=True, input_range=own.input_range, **ranges)

    new = copy_network(net, lambda place: DigitalSGD() if place in stay else rule, mapped)
    with _no_warnings():
        new.build(rng)
    _copy_digital(net, new)
    for old, fresh in _pairs(net, new):
        fresh.set_weights(*old.logical())
        if fresh.input_range is not None and old.input_range is not None:
            fresh.set_input_range(old.input_range)
    return new


def adapt(net: Sequential, rank: int = 8, alpha: float = 16.0, rule: Algorithm | None = None, *, rng: RNG = 0) -> Sequential:
    """Return a copy of a network in which every `Linear` layer is in an `nn.Adapter`, and all else that is trained `nn.Frozen`.

    Parameters
    ----------
    net : nn.Sequential
        Built; it is not touched.
    rank, alpha
        See `nn.Adapter`.
    rule : specification of an algorithm, optional
        Of the frozen layers: `HardwareAware` for adapters that learn to bear its noise; by default `DigitalSGD`.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    nn.Sequential

    Examples
    --------
    >>> import rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(64, 32, rpu.algorithms.DigitalSGD()))
    >>> net.build(rng=0)
    >>> sum(p.value.size for p in rpu.inference.adapt(net, rank=2).parameters())
    192
    """
    cite("li2024")
    plain = convert(net, DigitalSGD() if rule is None else rule, rng=rng)

    new = layer_from_dict(_wrapped(plain.to_dict(), {"rank": rank, "alpha": alpha}))
    assert isinstance(new, Sequential)
    with _no_warnings():
        new.build(rng)
    _copy_digital(plain, new)
    for old, fresh in _pairs(plain, new):
        fresh.set_weights(*old.logical())
    return new


def _wrapped(data: Any, options: dict[str, Any]) -> Any:
    """A description of a network whose layers are adapted or frozen."""
    if isinstance(data, (list, tuple)):
        return [_wrapped(one, options) for one in data]
    if not isinstance(data, dict) or "type" not in data:
        return data
    layer = layer_from_dict(data) if is_layer(data["type"]) else None
    if layer is None:
        return data
    if layer.children():
        return {name: _wrapped(value, options) for name, value in data.items()}
    if isinstance(layer, Linear):
        return {"type": "Adapter", "layer": data, **options}
    return {"type": "Frozen", "layer": data} if layer.parameters() or layer.trainable else data


def adapters_of(layer: Layer) -> Iterator[Adapter]:
    """Return the adapters of a network, in order.

    Parameters
    ----------
    layer : Layer
        A network, or any layer.

    Returns
    -------
    iterator of Adapter

    Examples
    --------
    >>> import rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(64, 32, rpu.algorithms.DigitalSGD()))
    >>> net.build(rng=0)
    >>> [adapter.rank for adapter in rpu.inference.adapters_of(rpu.inference.adapt(net, rank=2))]
    [2]
    """
    if isinstance(layer, Adapter):
        yield layer
    for inner in layer.children():
        yield from adapters_of(inner)


def recalibrate_batch_norm(net: Sequential | ChipNetwork, x: ArrayLike, batch_size: int = 200) -> int:
    """Take the averages of all batch normalisations anew, from inputs that go through the network as it is now.

    After drift this mends the mean and the variance of every channel, where a factor for an array mends one number. No weight
    is changed, and dropout is off.

    Parameters
    ----------
    net : nn.Sequential or ChipNetwork
        A network on chips as it was read last (`ChipNetwork.at`).
    x : array_like
        Inputs, some hundreds like those of training.
    batch_size : int
        How many are normalised together while averages are taken.

    Returns
    -------
    int
        How many normalisations there are.

    Raises
    ------
    ValueError
        If there are none.

    Notes
    -----
    AdaBS: Joshi et al. (2020).

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 3, rpu.algorithms.DigitalSGD()), rpu.nn.BatchNorm(3))
    >>> net.build(rng=0)
    >>> on_chip = rpu.inference.program(net, rng=0)
    >>> _ = on_chip.at(86400.0)
    >>> rpu.inference.recalibrate_batch_norm(on_chip, np.random.default_rng(0).normal(size=(200, 4)))
    1
    """
    cite("joshi2020")
    inner: Sequential = net.net if isinstance(net, ChipNetwork) else _is_net("net", net)
    norms = [layer for layer in _layers_of(inner) if isinstance(layer, BatchNorm)]
    if not norms:
        raise ValueError(f"net must have batch normalisations; got {shown(inner)}")
    with ExitStack() as stack:
        for norm in norms:
            stack.enter_context(norm.recalibration())
        inner.predict(np.asarray(x), batch_size)
    return len(norms)


def _with_ranges(net: Sequential, digital: set[int], x: Any, quantile: float) -> list[float | None]:
    """The input range of every matrix: its own, or one that fits data."""
    own = [matrix.input_range for matrix in net.matrices()]
    if x is None and None not in own:
        return own
    if x is None:
        raise ValueError(
            "calibration must be inputs like those to come for a chip with input_range='static', where a matrix of the network "
            "has no input range of its own; got None"
        )
    copy = copy_network(
        net, lambda place: DigitalSGD(), lambda place, m: Mapping(digital_bias=True, input_range=m.input_range or 1.0)
    )
    copy.build(0)
    _copy_digital(net, copy)
    for old, new in _pairs(net, copy):
        new.set_weights(*old.logical())
    found = copy.calibrate_input_ranges(x, quantile)
    return [mine if mine is not None else theirs for mine, theirs in zip(own, found, strict=True)]


def program(
    net: Sequential,
    chip: Chip | None = None,
    *,
    rng: RNG = None,
    digital: Sequence[int] = (),
    chips: dict[int, Chip] | None = None,
    calibration: ArrayLike | None = None,
    quantile: float = 0.9999,
    held: bool = False,
) -> ChipNetwork:
    """Write a trained network onto chips; the network that is given is not touched.

    Every matrix, of whatever algorithm, is copied as it acts (W and b, scales included) onto arrays of the chip's size.

    Parameters
    ----------
    net : nn.Sequential
        Built, with at least one matrix.
    chip : Chip, optional
        By default `Chip()`: phase-change memory, 8 bits.
    rng : int, SeedSequence, Generator or None
    digital : sequence of int
        Places of layers, among those with matrices, that stay digital; negative ones count from the end.
    chips : dict of int to Chip, optional
        Other chips for some places.
    calibration : array_like, optional
        Inputs from which input ranges are found, for chips with ``input_range="static"``; ranges that were trained stay.
    quantile : float, default 0.9999
        See `nn.Sequential.calibrate_input_ranges`.
    held : bool, default False
        For networks that were trained in the devices: these go on from what they hold, without errors of programming.

    Returns
    -------
    ChipNetwork

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or the network has no matrices.
    RuntimeError
        If the network is not built.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 2, rpu.algorithms.DigitalSGD()))
    >>> net.build(rng=0)
    >>> on_chip = rpu.inference.program(net, rpu.inference.Chip(), rng=0)
    >>> on_chip.predict(np.ones((3, 4)), t_inference_s=3600.0).shape
    (3, 2)
    """
    _is_net("net", net)
    if not net.matrices():
        raise ValueError(f"net must have layers with matrices, such as Linear; got {shown(net)}")
    if not net.built:
        raise RuntimeError("net must be built (net.build(rng)) before it is programmed")
    main = Chip() if chip is None else is_chip("chip", chip)
    held = boolean("held", held)
    stay = _places(net, "digital", digital)
    others = {
        place: is_chip(f"chips[{given}]", value)
        for given, value in (chips or {}).items()
        for place in _places(net, "chips", [given])
    }

    def of_place(place: int) -> Chip:
        return others.get(place, main)

    ranges: list[float | None] = [matrix.input_range for matrix in net.matrices()]
    if any(one.input_range == "static" for one in (main, *others.values())):
        ranges = _with_ranges(net, stay, calibration, quantile)

    def rule(place: int) -> Algorithm:
        return DigitalSGD() if place in stay else OnChip(of_place(place), held)

    def mapping(place: int, own: Mapping) -> Mapping:
        one = of_place(place)
        static = own.input_range is not None or one.input_range == "static"
        if place in stay:
            return Mapping(digital_bias=own.digital_bias, input_range=own.input_range)
        return Mapping(
            max_inputs=one.max_inputs,
            max_outputs=one.max_outputs,
            digital_bias=one.digital_bias or static,
            input_range=(own.input_range or 1.0) if static else None,
        )

    new = copy_network(net, rule, mapping)
    with _no_warnings():
        new.build(child(seed_sequence(rng), 0))
    _copy_digital(net, new)
    for (old, fresh), found in zip(_pairs(net, new), ranges, strict=True):
        weights, bias = old.logical()
        fresh.set_weights(weights, bias)
        if fresh.input_range is not None and found is not None:
            fresh.set_input_range(found)
    _set_post(new)
    return ChipNetwork(new)


def _set_post(net: Sequential) -> None:
    """Put the digital processing of chips that have formats for it into these."""
    matrices = net.matrices()
    chips = [next((t.algorithm.chip for t in m.tiles if isinstance(t, ChipTile)), None) for m in matrices]
    if all(chip is None or chip.post is None for chip in chips):
        return
    if any(layer.children() for layer in net.layers):
        raise ValueError(f"net must be a row of layers for a chip with fixed-point processing; got {shown(net)}")
    for matrix, chip, following in zip(matrices[:-1], chips[:-1], matrices[1:], strict=True):
        if chip is None or chip.post is None or following.input_range is None:
            continue
        assert chip.periphery.adc.step is not None and chip.periphery.dac.step is not None and matrix.input_range is not None
        step = following.input_range * chip.periphery.dac.step
        for tile in matrix.tiles:
            tile.post_step = matrix.input_range * chip.periphery.adc.step / step
        bias = matrix.logical()[1]
        if bias is not None:
            matrix.set_bias(chip.post.offsets(bias / step) * step)
