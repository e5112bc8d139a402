"""Every specification: printed as written, equal by value, to and from dicts and JSON; wrong values are named."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import rpusim as rpu
from rpusim import ADC, DAC, ConductanceScale, Periphery, PulseScheme, Wires, WriteWires
from rpusim._base.specification import Specification
from rpusim.algorithms import SGD, SHD, DigitalSGD
from rpusim.devices import (
    ConstantStep,
    Drift,
    Ideal,
    LinearStep,
    PowStep,
    PowStepReference,
    PulsedDevice,
    SoftBounds,
    SoftBoundsReference,
)

CLASSES = [
    ConstantStep, LinearStep, SoftBounds, SoftBoundsReference, PowStep, PowStepReference, Ideal, DAC, ADC, Periphery,
    PulseScheme, SGD, SHD, DigitalSGD,
]  # fmt: skip
NAMESPACE = {kind.__name__: kind for kind in CLASSES}

# What lies outside each field's range. A field of type float or int that is not here is found by a test.
NOT_NEGATIVE = [-1e-9, -1.0]
POSITIVE = [0.0, -0.5]
NOT_FINITE_RESET = [math.inf, -math.inf]
OUTSIDE = {
    "nominal_step": POSITIVE,
    "dw_min": POSITIVE, "dw_min_dtod": NOT_NEGATIVE, "dw_min_std": NOT_NEGATIVE, "up_down": [-1.01, 1.01],
    "up_down_dtod": NOT_NEGATIVE, "w_max": NOT_NEGATIVE, "w_max_dtod": NOT_NEGATIVE, "w_min": [1e-9, 1.0],
    "w_min_dtod": NOT_NEGATIVE, "corrupt_devices_prob": [-0.01, 1.01], "corrupt_devices_range": NOT_NEGATIVE,
    "gamma_up": [-0.1], "gamma_down": [-0.1], "gamma_up_dtod": NOT_NEGATIVE, "gamma_down_dtod": NOT_NEGATIVE,
    "bits": [1, 0, -7, 25], "bound": POSITIVE, "noise": NOT_NEGATIVE, "nm_threshold": POSITIVE, "nm_decay": [0.0, 1.01],
    "bm_max_factor": [0.99, -1.0], "bm_max_resolution": POSITIVE, "desired_bl": [0, -1, 65536],
    "lifetime": NOT_NEGATIVE, "lifetime_dtod": NOT_NEGATIVE, "diffusion": NOT_NEGATIVE, "diffusion_dtod": NOT_NEGATIVE,
    "reset": NOT_FINITE_RESET, "reset_dtod": NOT_NEGATIVE, "reset_std": NOT_NEGATIVE, "um_grad_scale": POSITIVE,
    "transfer_every": [0, -3], "fast_lr": NOT_NEGATIVE, "slow_lr": NOT_NEGATIVE, "write_noise_std": NOT_NEGATIVE,
    "reverse_offset": NOT_NEGATIVE, "reference_mean": NOT_FINITE_RESET, "reference_std": NOT_NEGATIVE,
    "slope_up_dtod": NOT_NEGATIVE, "slope_down_dtod": NOT_NEGATIVE, "A_up": NOT_FINITE_RESET, "A_down": NOT_FINITE_RESET,
    "a": [2.1, -2.1], "b": [2.1, -2.1], "dw_min_std_add": NOT_NEGATIVE, "dw_min_std_slope": NOT_NEGATIVE,
    "pow_gamma": [-0.1, 21.0], "pow_gamma_dtod": NOT_NEGATIVE, "pow_up_down": [-1.01, 1.01],
    "pow_up_down_dtod": NOT_NEGATIVE, "n_estimation_steps": [-1],
    "endurance": NOT_NEGATIVE, "half_select": [-0.01, 1.01], "half_select_dtod": NOT_NEGATIVE,
    "asymmetry": [-1.01, 1.01], "slice_bits": [0, -1, 24], "noise_spread": NOT_NEGATIVE,
    "gain_spread": NOT_NEGATIVE, "offset_spread": NOT_NEGATIVE, "nonlinearity": NOT_NEGATIVE,
    "nonlinearity_spread": NOT_NEGATIVE, "slope_calibration": NOT_NEGATIVE, "nm_assumed_wmax": POSITIVE,
    "read_asymmetry_spread": NOT_NEGATIVE, "read_noise": NOT_NEGATIVE, "ir_drop": NOT_NEGATIVE, "ir_drop_g_ratio": POSITIVE,
    "voltage_offset": NOT_NEGATIVE, "voltage_offset_w_min": NOT_FINITE_RESET, "series_resistance": NOT_NEGATIVE,
    "series_resistance_max": POSITIVE, "out_scale": POSITIVE, "read_voltage": POSITIVE,
}  # fmt: skip
WRONG_TYPES = {
    "float": ["0.1", True, 1j, [0.5], np.array([0.5]), {}],
    "int": ["3", 1.5, 3.0, True, [3]],
    "bool": [0, 1, "True", 0.0, np.array(True)],
    "str": [1, None, b"none", ["none"], True],
    "tuple[float, ...]": ["0.1", 1.0, {1.0}, [["a"]], ()],
}
NOT_FINITE = [math.nan, math.inf, -math.inf, np.float32("nan")]
SPECIFICATIONS = {
    "Device": PulsedDevice, "Periphery": Periphery, "PulseScheme": PulseScheme, "DAC": DAC, "ADC": ADC, "Drift": Drift,
    "Wires": Wires, "ConductanceScale": ConductanceScale, "WriteWires": WriteWires,
}  # fmt: skip
MAY_BE_NONE_WITHOUT_SAYING = {("SHD", "transfer_forward")}


def fields_of(kind):
    return {field.name: str(field.type) for field in dataclasses.fields(kind)}


def wrong_values():
    for kind in CLASSES:
        for name, type_name in fields_of(kind).items():
            base = type_name.replace(" | None", "")
            values = [] if base in SPECIFICATIONS else list(WRONG_TYPES[base])
            if base == "float":
                values += NOT_FINITE
            if base == "int":
                values += [math.nan, 10**30]
            if base in SPECIFICATIONS:
                values += ["Periphery", 3, {}, kind if base != "Device" else ConstantStep, Specification]
                values += [Periphery() if base != "Periphery" else DAC()]
            if base == "str":
                values += ["", "bogus", "None"]
            if "None" not in type_name and (kind.__name__, name) not in MAY_BE_NONE_WITHOUT_SAYING:
                values.append(None)
            values += OUTSIDE.get(name, [])
            for value in values:
                yield pytest.param(kind, name, value, id=f"{kind.__name__}-{name}-{value!r}"[:80])


@pytest.mark.parametrize("kind, name, value", list(wrong_values()))
def test_wrong_values_are_refused_with_the_name_and_the_value(kind, name, value):
    with pytest.raises((TypeError, ValueError)) as caught:
        kind(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"{kind.__name__}: ") and name in message
    assert repr(value)[:70] in message


def test_every_range_is_in_the_table():
    for kind in CLASSES:
        for name, type_name in fields_of(kind).items():
            if type_name.replace(" | None", "") in ("float", "int"):
                assert name in OUTSIDE, (kind, name)


@pytest.mark.parametrize(
    "kind, settings, words",
    [
        (SoftBounds, dict(w_max=0.0, w_min=0.0), ["w_max", "w_min", "0.0"]),
        (DAC, dict(bound=None), ["bound", "None", "bits=7"]),
        (ADC, dict(bound=None), ["bound", "None", "bits=9"]),
        (DAC, dict(bits=None, stochastic_rounding=True), ["stochastic_rounding", "bits=None", "True"]),
        (Periphery, dict(dac=DAC(bound=2.0)), ["dac.bound", "noise_management='abs_max'", "2.0"]),
        (Periphery, dict(noise_management="none", nm_threshold=1.5), ["nm_threshold", "another noise_management", "1.5"]),
        (Periphery, dict(noise_management="average_abs_max", nm_threshold=1.5), ["nm_threshold", "1.5"]),
        (Periphery, dict(nm_decay=0.1), ["nm_decay", "average_abs_max", "0.1"]),
        (Periphery, dict(adc=ADC(bits=None, bound=None)), ["bound_management", "adc.bound", "'iterative'"]),
        (PulseScheme, dict(fixed_bl=False), ["fixed_bl", "update_bl_management", "False"]),
        (
            PulseScheme,
            dict(um_grad_scale=0.5, update_management=False, update_bl_management=False),
            ["um_grad_scale", "update_management", "0.5"],
        ),
    ],
)
def test_contradictions_between_fields_are_refused(kind, settings, words):
    with pytest.raises(ValueError) as caught:
        kind(**settings)
    assert all(word in str(caught.value) for word in words), str(caught.value)


# ---- round trips --------------------------------------------------------------------------------------------------


def drawn(kind, **strategies):
    """Specifications of `kind` with a drawn subset of its fields; contradictory ones are left out."""

    def build(settings):
        try:
            return kind(**settings)
        except ValueError:
            assume(False)

    return st.fixed_dictionaries({}, optional=strategies).map(build)


fraction = st.floats(0.0, 2.0)
common = dict(
    dw_min=st.floats(1e-6, 1.0),
    dw_min_dtod=fraction,
    dw_min_dtod_log_normal=st.booleans(),
    dw_min_std=fraction,
    up_down=st.floats(-1.0, 1.0),
    up_down_dtod=fraction,
    w_max=st.floats(0.0, 5.0),
    w_max_dtod=fraction,
    w_min=st.floats(-5.0, 0.0),
    w_min_dtod=fraction,
    corrupt_devices_prob=st.floats(0.0, 1.0),
    corrupt_devices_range=fraction,
    enforce_consistency=st.booleans(),
    perfect_bias=st.booleans(),
)
pulsed_devices = st.one_of(
    drawn(ConstantStep, **common),
    drawn(SoftBounds, mult_noise=st.booleans(), **common),
    drawn(
        LinearStep,
        gamma_up=st.floats(0.0, 3.0),
        gamma_up_dtod=fraction,
        gamma_down=st.floats(0.0, 3.0),
        gamma_down_dtod=fraction,
        allow_increasing=st.booleans(),
        mean_bound_reference=st.booleans(),
        mult_noise=st.booleans(),
        **common,
    ),
)
all_devices = st.one_of(pulsed_devices, st.just(Ideal()))
converter = dict(
    bits=st.none() | st.integers(2, 24), bound=st.floats(0.01, 50.0), noise=fraction, stochastic_rounding=st.booleans()
)
peripheries = st.one_of(
    st.just(Periphery.ideal()),
    drawn(
        Periphery,
        dac=drawn(DAC, **converter | dict(bound=st.just(1.0))),
        adc=drawn(ADC, **converter),
        noise_management=st.sampled_from(["abs_max", "max", "constant"]),
        nm_threshold=st.none() | st.floats(0.1, 9.0),
        bound_management=st.sampled_from(["none", "iterative"]),
        bm_max_factor=st.floats(1.0, 5000.0),
        bm_max_resolution=st.floats(0.01, 1.0),
    ),
    drawn(
        Periphery,
        dac=drawn(DAC, noise=fraction),
        adc=drawn(ADC, **converter),
        nm_decay=st.floats(1e-4, 1.0),
        noise_management=st.just("average_abs_max"),
    ),
)
schemes = drawn(
    PulseScheme,
    desired_bl=st.integers(1, 65535),
    update_management=st.booleans(),
    update_bl_management=st.booleans(),
    pulse_type=st.sampled_from(["stochastic", "mean_count", "deterministic_implicit"]),
    fixed_bl=st.booleans(),
    um_grad_scale=st.floats(0.1, 2.0),
)
algorithms = st.one_of(
    st.just(DigitalSGD()),
    drawn(SGD, device=all_devices, forward=st.none() | peripheries, pulses=schemes),
    drawn(
        SHD,
        fast=pulsed_devices,
        slow=st.none() | all_devices,
        transfer_every=st.integers(1, 1000),
        fast_lr=fraction,
        slow_lr=fraction,
        transfer_vectors=st.sampled_from(["one_hot", "hadamard"]),
        reference=st.sampled_from(["shared", "separate"]),
        zero_shift=st.sampled_from(["exact", "pulses"]),
        forward=st.none() | peripheries,
        transfer_forward=peripheries,
        pulses=schemes,
        transfer_pulses=schemes,
    ),
)


@given(st.one_of(all_devices, peripheries, schemes, algorithms))
def test_round_trips(specification):
    data = specification.to_dict()
    for other in (
        eval(repr(specification), dict(NAMESPACE)),
        rpu.from_dict(data),
        rpu.from_dict(json.loads(json.dumps(data))),
        rpu.from_json(specification.to_json()),
        pickle.loads(pickle.dumps(specification)),
        specification.replace(),
    ):
        assert other == specification and type(other) is type(specification)
        assert hash(other) == hash(specification)
        assert repr(other) == repr(specification)
    assert data["type"] == type(specification).__name__
    assert set(data) == {"type", *fields_of(type(specification))}


@given(pulsed_devices, pulsed_devices)
def test_specifications_are_equal_by_value(a, b):
    assert (a == b) == (a.to_dict() == b.to_dict())


@pytest.mark.parametrize("kind", CLASSES)
def test_specifications_are_printed_as_written(kind):
    assert repr(kind()) == f"{kind.__name__}()"


def test_only_what_differs_from_the_default_is_printed():
    assert repr(SoftBounds(dw_min=0.002, w_max=0.6)) == "SoftBounds(dw_min=0.002)"
    assert repr(SGD(SoftBounds(dw_min=0.002))) == "SGD(device=SoftBounds(dw_min=0.002))"
    assert repr(Periphery(adc=ADC(noise=0.0))) == "Periphery(adc=ADC(noise=0.0))"


def test_specifications_of_different_classes_differ():
    assert SoftBounds() != ConstantStep() and DAC() != ADC()
    assert len({SoftBounds(), SoftBounds(), ConstantStep()}) == 2


def test_numbers_of_any_kind_become_plain_ones():
    device = SoftBounds(dw_min=np.float32(0.5), w_max=1, perfect_bias=np.bool_(True))
    assert device == SoftBounds(dw_min=0.5, w_max=1.0, perfect_bias=True)
    assert [type(v) for v in (device.dw_min, device.w_max, device.perfect_bias)] == [float, float, bool]
    assert type(DAC(bits=np.int64(5)).bits) is int


@pytest.mark.parametrize("kind", CLASSES)
def test_specifications_cannot_be_changed(kind):
    specification = kind()
    for name in fields_of(kind):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(specification, name, 1)


def test_replace_checks_like_a_new_one():
    assert SoftBounds().replace(dw_min=0.5) == SoftBounds(dw_min=0.5)
    with pytest.raises(ValueError, match="dw_min"):
        SoftBounds().replace(dw_min=-0.5)
    with pytest.raises(TypeError, match="unknown_field"):
        SoftBounds().replace(unknown_field=1)


@pytest.mark.parametrize(
    "data, words",
    [
        ([], ["dict", "'type'", "[]"]),
        ({"dw_min": 1.0}, ["'type'", "dw_min"]),
        ({"type": "Memristor"}, ["data['type']", "SoftBounds", "'Memristor'"]),
        ({"type": ["SoftBounds"]}, ["data['type']", "['SoftBounds']"]),
        ({"type": "DAC", "bit": 3}, ["DAC", "'bit'", "bits"]),
        ({"type": "DAC", "bits": 1}, ["bits", "got 1"]),
        ({"type": "Periphery", "dac": {"type": "DAC", "bits": 1}}, ["bits", "got 1"]),
        ({"type": "Periphery", "dac": {"type": "ADC"}}, ["dac", "ADC"]),
    ],
)
def test_wrong_dicts_are_refused(data, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        rpu.from_dict(data)
    assert all(word in str(caught.value) for word in words), str(caught.value)


# ---- quantities of specifications ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bits, bound, step", [(7, 1.0, 2 / 126), (9, 12.0, 24 / 510), (2, 3.0, 3.0), (24, 1.0, 2 / 16777214)])
def test_steps_of_converters(bits, bound, step):
    assert DAC(bits=bits, bound=bound).step == pytest.approx(step, rel=1e-15)
    assert ADC(bits=bits, bound=bound).step == pytest.approx(step, rel=1e-15)
    assert ADC(bits=None, bound=bound).step is None


def test_default_converters_are_those_of_the_papers():
    assert (DAC().bits, DAC().bound, DAC().noise) == (7, 1.0, 0.0)
    assert (ADC().bits, ADC().bound, ADC().noise) == (9, 12.0, 0.06)


def test_only_the_ideal_periphery_is_ideal():
    assert Periphery.ideal().is_ideal and not Periphery().is_ideal
    assert not Periphery.ideal().replace(dac=DAC(bits=None, bound=None, noise=0.1)).is_ideal
    plain = Periphery(bm_max_factor=10.0).without_bound_management()
    assert plain == Periphery(bound_management="none")
    assert plain.without_bound_management() is plain


def test_long_tables_are_printed_short_and_written_whole():
    table = tuple(1.0 + k / 100 for k in range(101))
    rule = rpu.algorithms.SHD(rpu.devices.PiecewiseStep(piecewise_up=table, piecewise_down=table[::-1]))
    assert "piecewise_up=(1.0, 1.01, 1.02, ..., 2.0; 101 in all)" in str(rule) and len(str(rule)) < 200
    assert eval(repr(rule), NAMESPACE | {"PiecewiseStep": rpu.devices.PiecewiseStep}) == rule
    assert str(rpu.devices.SoftBounds(dw_min=0.1)) == repr(rpu.devices.SoftBounds(dw_min=0.1))
