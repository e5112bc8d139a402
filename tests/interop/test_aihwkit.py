"""Configurations of AIHWKit: its presets by their numbers, objects by their names, and what has no counterpart."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field

import numpy as np
import pytest

import rpusim as rpu
from rpusim.devices import presets
from rpusim.interop.aihwkit import Configuration, from_config

PRESET_IO = {"class": "IOParameters", "inp_res": 1 / 126, "out_res": 1 / 510, "out_bound": 20.0, "out_noise": 0.1}
STANDARD_IO = {"inp_res": 1 / 254, "out_res": 254, "out_bound": 10.0, "out_noise": 0.04}
PRESET_UPDATE = {"class": "UpdateParameters", "desired_bl": 31, "pulse_type": "STOCHASTIC_COMPRESSED"}
ARRAY = {"class": "SoftBoundsReferenceDevice", "dw_min_dtod_log_normal": True, "w_max": 1.0, "w_min": -1.0,
         "reference_std": 0.05, "subtract_symmetry_point": True, "corrupt_devices_range": 0.01}  # fmt: skip
#: the numbers of AIHWKit's presets of devices, those that differ from the defaults of their classes
DEVICES = {
    "reram_es": {"class": "ExpStepDevice", "dw_min": 0.00135, "dw_min_dtod": 0.2, "dw_min_std": 5.0, "up_down": 0.259359,
                 "up_down_dtod": 0.05, "w_max": 1.0, "w_min": -1.0, "A_up": -1.18445, "A_down": -0.081404, "gamma_up": 5.0,
                 "gamma_down": 5.0, "a": -0.5, "b": -0.5, "write_noise_std": 75.0},
    "reram_sb": {"class": "SoftBoundsReferenceDevice", "dw_min": 0.002, "dw_min_std": 3.75, "w_max": 1.25, "w_max_dtod": 0.24,
                 "w_min": -0.75, "w_min_dtod": 0.4, "write_noise_std": 56.0, "mult_noise": False},
    "reram_array_om": ARRAY | {"dw_min": 0.0949, "dw_min_dtod": 0.7829, "dw_min_std": 0.4158, "w_max_dtod": 0.3499,
                               "w_min_dtod": 0.5695, "write_noise_std": 1.4113},
    "reram_array_hfo2": ARRAY | {"dw_min": 0.4622, "dw_min_dtod": 0.7125, "dw_min_std": 0.2174, "w_max_dtod": 0.4295,
                                 "w_min_dtod": 0.5990, "write_noise_std": 0.5841},
    "capacitor": {"class": "LinearStepDevice", "dw_min": 0.005, "dw_min_dtod": 0.1, "up_down_dtod": 0.06, "w_max": 1.0,
                  "w_max_dtod": 0.07, "w_min": -1.0, "w_min_dtod": 0.07, "gamma_up": 0.05, "gamma_down": 0.05,
                  "gamma_up_dtod": 0.01, "gamma_down_dtod": 0.01, "mult_noise": False, "lifetime": 1e6, "lifetime_dtod": 0.3},
    "ecram": {"class": "LinearStepDevice", "dw_min": 0.002, "dw_min_dtod": 0.1, "w_max": 1.1724, "w_max_dtod": 0.05,
              "w_min": -0.8276, "w_min_dtod": 0.05, "gamma_up": 0.1153, "gamma_down": 0.5085},
    "ecram_mo": {"class": "LinearStepDevice", "dw_min": 2.8214e-4, "dw_min_dtod": 0.1, "dw_min_std": 2.0, "w_max": 1.1714,
                 "w_max_dtod": 0.05, "w_min": -0.8286, "w_min_dtod": 0.05, "gamma_up": 0.4152, "gamma_down": 0.7342},
    "idealized": {"class": "ConstantStepDevice", "dw_min": 2e-4, "w_max": 1.0, "w_min": -1.0, "up_down_dtod": 0.0},
    "gokmen_vlasov": {"class": "ConstantStepDevice", "dw_min": 0.0016, "w_max": 1.0, "w_min": -1.0},
    "pcm": {"class": "ExpStepDevice", "dw_min": 0.01, "dw_min_dtod": 0.2, "dw_min_std": 0.6, "up_down_dtod": 0.05, "w_max": 2.0,
            "w_max_dtod": 0.1, "w_min": 0.0, "w_min_dtod": 0.0, "A_up": -27.235, "A_down": -2.235, "gamma_up": 2.5,
            "gamma_down": 2.5, "a": -1.0, "b": 0.0, "dw_min_std_add": 0.042, "dw_min_std_slope": 0.108, "reset": 0.01,
            "reset_dtod": 0.02},
}  # fmt: skip
#: their granularities, and numbers of states
STATES = {"capacitor": (0.005, 400), "ecram_mo": (2.8214e-4, 7089), "ecram": (0.002, 1000), "gokmen_vlasov": (0.0016, 1250),
          "idealized": (2e-4, 10000), "pcm": (0.03235, 61.8), "reram_array_hfo2": (0.4622, 4.33),
          "reram_array_om": (0.0949, 21.1), "reram_es": (0.00199144, 1004), "reram_sb": (0.002, 1000)}  # fmt: skip
TRAINED = ("reram_es", "reram_sb", "capacitor", "ecram", "ecram_mo", "idealized")


def config(device, kind="UnitCellRPUConfig", bl=31):
    update = PRESET_UPDATE | {"desired_bl": bl}
    return {"class": kind, "device": device, "forward": PRESET_IO, "backward": PRESET_IO, "update": update}


@pytest.mark.parametrize("name", DEVICES)
def test_presets_of_devices_are_ours(name):
    value, notes = from_config(DEVICES[name])
    assert value == presets.get(name)
    assert len(notes) == (name == "reram_es")
    parity = from_config(DEVICES[name], same_granularity=True).value
    g, states = STATES[name]
    assert parity.granularity == pytest.approx(g, rel=2e-4) and parity.number_of_states == pytest.approx(states, rel=3e-3)


@pytest.mark.parametrize("name", DEVICES)
def test_presets_of_single_devices_and_of_cells(name):
    kind = "SingleRPUConfig"
    if name == "pcm":
        one_sided = {"class": "OneSidedUnitCell", "unit_cell_devices": [DEVICES[name]] * 2, "refresh_every": 1,
                     "refresh_forward": PRESET_IO, "refresh_update": PRESET_UPDATE}  # fmt: skip
        made = from_config(config(one_sided), batch_size=10).value.algorithm
        assert made.device == rpu.devices.OneSidedCell(
            presets.pcm(), refresh_every=10, refresh_forward=made.forward, refresh_pulses=rpu.PulseScheme()
        )
        mixed = {"class": "MixedPrecisionCompound", "device": one_sided | {"refresh_every": 7}, "transfer_every": 2}
        made = from_config(config(mixed, "DigitalRankUpdateRPUConfig"), batch_size=10)
        # a mini-batch of the pair is the rows of a transfer
        assert made.value.algorithm.device.refresh_every == 7 and made.value.algorithm.transfer_every == 20
        assert not any("refresh_every" in note for note in made.notes)
        mixed["device"]["units_in_mbatch"] = False
        with pytest.raises(ValueError, match="units_in_mbatch must be True where devices are written by transfers"):
            from_config(config(mixed, "DigitalRankUpdateRPUConfig"))
        return
    whole = from_config(config(DEVICES[name], kind)).value
    assert isinstance(whole, Configuration) and whole.chip is None
    rule = whole.algorithm
    assert rule.forward == rpu.Periphery(adc=rpu.ADC(bits=9, bound=20.0, noise=0.1))
    assert rule.backward == rule.forward.without_bound_management() and rule.pulses == rpu.PulseScheme()
    assert rule.device == from_config(DEVICES[name]).value and rule.build((3, 4), rng=0).forward([0.1] * 4).shape == (3,)
    assert whole.mapping == rpu.nn.Mapping(max_inputs=512, max_outputs=512, digital_bias=True)
    for n in (2, 4):
        cell = {"class": "VectorUnitCell", "unit_cell_devices": [DEVICES[name]] * n, "update_policy": "SINGLE_RANDOM"}
        made = from_config(config(cell)).value.algorithm.device
        assert made == rpu.devices.VectorCell((rule.device,) * n, policy="random")


@pytest.mark.parametrize("name", TRAINED)
def test_presets_of_algorithms(name):
    two = [DEVICES[name]] * 2
    device, reram = from_config(DEVICES[name]).value, name.startswith("reram")
    none = PRESET_IO | {"noise_management": "NONE", "bound_management": "NONE"}
    common = {"unit_cell_devices": two, "transfer_forward": none}
    v1 = {"class": "TransferCompound", "transfer_every": 1.0, "units_in_mbatch": True, "transfer_update": PRESET_UPDATE}
    made = from_config(config(v1 | common), batch_size=5).value.algorithm
    assert made == rpu.algorithms.TikiTaka(
        device, transfer_every=5, zero_shift="none", forward=made.forward, backward=made.backward,
        transfer_forward=made.forward.replace(noise_management="none", bound_management="none"),
    )  # fmt: skip
    bl = 31 if name in ("reram_es", "reram_sb", "capacitor") else 100
    auto = 1000 if bl == 31 else 500
    v2 = {"class": "ChoppedTransferCompound", "in_chop_prob": 0.0, "auto_scale": True, "fast_lr": 0.5 if reram else 0.1,
          "auto_granularity": auto}  # fmt: skip
    for chop in (0.0, 0.01):
        made = from_config(config(v2 | common | {"in_chop_prob": chop}, bl=bl)).value.algorithm
        assert made == rpu.algorithms.ChoppedTikiTaka(
            device, zero_shift="none", in_chop_prob=chop, auto_scale=True, fast_lr=0.5 if reram else 0.1, auto_granularity=auto,
            forward=made.forward, backward=made.backward, transfer_forward=made.transfer_forward,
            pulses=rpu.PulseScheme(desired_bl=bl),
        )  # fmt: skip
        assert made.transfer_pulses == rpu.PulseScheme(desired_bl=1, update_management=False, update_bl_management=False)
    agad = v2 | common | {"class": "DynamicTransferCompound", "in_chop_prob": 0.02, "in_chop_random": False,
                          "tail_weightening": 5.0}  # fmt: skip
    made = from_config(config(agad, bl=bl)).value.algorithm
    assert type(made).__name__ == "AGAD" and made.in_chop_prob == 0.02 and made.auto_granularity == auto
    if not device.write_noise_std:
        mixed = {"class": "MixedPrecisionCompound", "device": DEVICES[name]}
        made = from_config(config(mixed, "DigitalRankUpdateRPUConfig"), batch_size=4).value.algorithm
        assert made.device == device and made.transfer_every == 4 and made.n_rows_per_transfer is None
        assert from_config(config(mixed, "DigitalRankUpdateRPUConfig"), same_granularity=True).value.algorithm.aihwkit_transfer


def test_presets_of_inference():
    whole = from_config({"class": "FloatingPointRPUConfig", "mapping": {"max_input_size": 0, "max_output_size": 0}}).value
    assert whole.algorithm == rpu.algorithms.DigitalSGD() and whole.mapping.max_inputs is None
    standard = {
        "class": "InferenceRPUConfig",
        "forward": STANDARD_IO | {"noise_management": "CONSTANT", "nm_thres": 1.0, "bound_management": "NONE",
                                  "w_noise": 0.0175, "w_noise_type": "PCM_READ", "ir_drop": 1.0},
        "mapping": {"weight_scaling_omega": 1.0, "weight_scaling_columnwise": True, "learn_out_scaling": True,
                    "out_scaling_columnwise": True, "max_input_size": 512, "max_output_size": 0, "digital_bias": True},
        "remap": {"type": "CHANNELWISE_SYMMETRIC"}, "clip": {"type": "FIXED_VALUE", "fixed_value": 1.0},
        "pre_post": {"input_range": {"enable": True}}, "noise_model": {"class": "PCMLikeNoiseModel", "g_max": 25.0},
        "drift_compensation": {"class": "GlobalDriftCompensation"},
    }  # fmt: skip
    whole, notes = from_config(json.dumps(standard))
    chip = rpu.inference.chips.get("rasch2023")
    assert whole.chip.periphery == chip.periphery and whole.chip.input_range == "static" and whole.chip.max_inputs == 512
    assert whole.chip.converter == chip.converter and whole.chip.model == chip.model.replace(q_from="programmed")
    assert whole.chip.compensation == rpu.inference.Compensation(probe="identity", estimator="ratio")
    assert whole.algorithm.clip == rpu.inference.FixedClip(1.0) and whole.algorithm.modifiers == ()
    assert whole.mapping.learn_input_range and whole.mapping.input_range == 3.0 and whole.mapping.scale_by_output
    assert any("calibrate_input_ranges" in note for note in notes)
    composer = {"class": "InferenceRPUConfig", "modifier": {"type": "ADD_NORMAL", "std_dev": 0.1},
                "clip": {"type": "FIXED_VALUE", "fixed_value": 1.0}, "drift_compensation": None}  # fmt: skip
    whole = from_config(composer).value
    assert whole.algorithm.modifiers == (rpu.inference.AddNormal(0.1),) and whole.chip.compensation is None
    net = rpu.nn.Sequential(rpu.nn.Linear(4, 3, whole.algorithm, mapping=whole.mapping))
    net.build(rng=0)
    assert rpu.inference.program(net, whole.chip, rng=0).predict(np.eye(4), 1.0).shape == (4, 3)


class BoundManagementType(enum.Enum):
    ITERATIVE = "Iterative"
    NONE = "None"
    SHIFT = "Shift"


@dataclass
class IOParameters:
    inp_res: float = 1 / 126
    out_res: float = 1 / 510
    out_bound: float = 12.0
    bound_management: BoundManagementType = BoundManagementType.ITERATIVE
    bindings_class: str = "AnalogMVParameter"


@dataclass
class ExpStepDevice:
    dw_min: float = 0.001
    up_down: float = 0.0
    w_max: float = 0.6
    w_min: float = -0.6
    A_up: float = 0.00081
    construction_seed: int = 0
    hidden_trick: float = 0.0


@dataclass
class OwnPresetDevice(ExpStepDevice):
    dw_min: float = 0.01


@dataclass
class SingleRPUConfig:
    device: ExpStepDevice = field(default_factory=OwnPresetDevice)
    forward: IOParameters = field(default_factory=IOParameters)
    tile_class: type = int


def test_what_only_says_how_things_run_there_is_left_out():
    found = from_config({"class": "TorchInferenceRPUConfig", "forward": {"is_perfect": True},
                         "simulator_tile_class": "TorchSimulatorTile",
                         "pre_post": {"input_range": {"calibration_info": "quantile"}}})  # fmt: skip
    assert found.value.algorithm.forward.is_ideal and found.value.chip.periphery.is_ideal
    assert found.value.algorithm.scale == "row"  # which exact reads do not see


def test_objects_are_read_by_the_names_of_their_classes_and_attributes():
    whole = from_config(SingleRPUConfig(forward=IOParameters(bound_management=BoundManagementType.NONE))).value
    assert whole.algorithm.device == rpu.devices.ExpStep(dw_min=0.01)
    assert whole.algorithm.forward == rpu.Periphery(bound_management="none")
    seeded, notes = from_config(OwnPresetDevice(construction_seed=3))
    assert seeded == rpu.devices.ExpStep(dw_min=0.01) and "construction_seed is not taken over" in notes[0]
    with pytest.raises(ValueError, match="config.hidden_trick has no counterpart here; got 0.5 of a ExpStepDevice"):
        from_config(OwnPresetDevice(hidden_trick=0.5))


def test_up_down_weakens_one_step_as_there():
    """s_up = dw_min (1 + min(u, 0)), s_down = dw_min (1 - max(u, 0)), with the absolute spreads of both."""
    for u in (0.3, -0.4):
        there = {"class": "ConstantStepDevice", "dw_min": 0.01, "up_down": u, "dw_min_dtod": 0.2, "up_down_dtod": 0.05}
        made = from_config(there, same_granularity=True).value
        assert made.dw_min * (1 + made.up_down) == pytest.approx(0.01 * (1 + min(u, 0)))
        assert made.dw_min * (1 - made.up_down) == pytest.approx(0.01 * (1 - max(u, 0)))
        assert made.dw_min * made.dw_min_dtod == pytest.approx(0.002) and made.granularity == 0.01
    power = from_config({"class": "PowStepDevice", "pow_gamma": 2.0, "pow_up_down": 0.2}).value
    assert power.pow_gamma * (1 + power.pow_up_down) == pytest.approx(2.0)
    assert power.pow_gamma * (1 - power.pow_up_down) == pytest.approx(1.6)


QUIET = dict.fromkeys(("dw_min_dtod", "dw_min_std", "up_down_dtod", "w_max_dtod", "w_min_dtod", "reset_std"), 0.0)


@pytest.mark.parametrize(("kind", "settings", "ups", "down"), [
    ("ConstantStep", {"dw_min": 0.01, "w_max": 0.8, "w_min": -0.6, "up_down": 0.2}, (0.06, 0.55, 0.8), -0.6),
    ("LinearStep", {"dw_min": 0.01, "w_max": 1.0, "w_min": -0.8, "gamma_up": 0.4, "gamma_down": 0.7, "gamma_up_dtod": 0.0,
                    "gamma_down_dtod": 0.0}, (0.0598, 0.494914, 1.0), -0.7733409),
    ("LinearStep", {"dw_min": 0.01, "w_max": 1.0, "w_min": -0.8, "gamma_up": 0.4, "gamma_down": 0.7, "gamma_up_dtod": 0.0,
                    "gamma_down_dtod": 0.0, "reverse_up": True, "reverse_down": True},
     (0.0602469, 0.6295286, 1.0), -0.3198467),
    ("SoftBounds", {"dw_min": 0.02, "w_max": 1.0, "w_min": -0.8, "up_down": -0.1}, (0.0671, 0.6169125, 0.97488), -0.7887775),
    ("SoftBoundsReference", {"dw_min": 0.02, "w_max": 1.0, "w_min": -0.8, "up_down": 0.1, "reference_mean": 0.15},
     (0.066, 0.5586641, 0.8359283), -0.9311552),
    ("ExpStep", {"dw_min": 0.005}, (0.0548933, 0.289676, 0.6), -0.3764367),
    ("PowStep", {"dw_min": 0.02, "w_max": 0.9, "w_min": -0.7, "pow_gamma": 1.5, "pow_gamma_dtod": 0.0, "pow_up_down": 0.2},
     (0.0577442, 0.3374203, 0.6683474), -0.5121037),
    ("PowStepReference", {"dw_min": 0.02, "w_max": 0.9, "w_min": -0.7, "pow_gamma": 1.5, "pow_gamma_dtod": 0.0, "up_down": 0.1,
                          "subtract_symmetry_point": True}, (0.0560615, 0.2797487, 0.5594935), -0.4989743),
])  # fmt: skip
def test_pulses_are_those_that_were_recorded_there(kind, settings, ups, down):
    """One device, from 0.05: after 1, 50 and 200 up pulses, and 200 down ones then (AIHWKit 1.1.0)."""
    made = from_config({"class": f"{kind}Device"} | QUIET | settings, same_granularity=True).value
    scheme = rpu.PulseScheme(
        desired_bl=1, pulse_type="deterministic_implicit", update_management=False, update_bl_management=False
    )
    array = rpu.CrossbarArray((1, 1), made, pulses=scheme, rng=0)
    array.program([[0.05]])
    seen = {}
    for k in range(1, 401):
        array.update([1.0], [-1.0 if k <= 200 else 1.0], lr=made.granularity)
        seen[k] = float(array.weights[0, 0])
    assert [seen[1], seen[50], seen[200], seen[400]] == pytest.approx([*ups, down], abs=3e-6)


@pytest.mark.parametrize(("part", "wanted"), [
    ({"class": "SoftBoundsPmaxDevice", "p_max": 200, "alpha": 0.01},
     rpu.devices.SoftBoundsPmax(p_max=200, alpha=0.01)),
    ({"class": "PiecewiseStepDevice", "piecewise_up": [1.0, 0.5], "piecewise_down": [0.5, 1.0]},
     rpu.devices.PiecewiseStep(piecewise_up=(1.0, 0.5), piecewise_down=(0.5, 1.0))),
    ({"class": "PowStepReferenceDevice", "n_estimation_steps": -1, "subtract_symmetry_point": True},
     rpu.devices.PowStepReference(subtract_symmetry_point=True)),
    ({"class": "IdealDevice"}, rpu.devices.Ideal()),
    ({"class": "LinearStepDevice", "drift": {"nu": 0.1, "t_0": 2.0}},
     rpu.devices.LinearStep(drift=rpu.devices.Drift(0.1, t_0=2.0))),
    ({"class": "VectorUnitCell", "unit_cell_devices": [{"class": "SoftBoundsDevice"}] * 2, "gamma_vec": [1.0, 0.5],
      "update_policy": "SINGLE_SEQUENTIAL"},
     rpu.devices.VectorCell(gammas=(1.0, 0.5), policy="sequential", first=1)),
    ({"class": "ReferenceUnitCell", "unit_cell_devices": [{"class": "SoftBoundsDevice"}] * 2}, rpu.devices.ReferenceCell()),
    ({"class": "IOParameters", "is_perfect": True}, rpu.Periphery.ideal()),
    ({"class": "IOParameters", "mv_type": "POS_NEG_SEPARATE", "r_series": 0.2, "v_offset_w_min": 0.0, "out_nonlinearity": 0.5,
      "slope_calibration": 0.5, "w_noise": 0.1, "w_noise_type": "ADDITIVE_CONSTANT", "noise_management": "ABS_MAX_NP_SUM"},
     rpu.Periphery(adc=rpu.ADC(nonlinearity=0.5, slope_calibration=0.5), sign_handling="analog_sum", series_resistance=0.2,
                   voltage_offset_w_min=0.0, read_noise=0.1, noise_management="abs_max_np_sum")),
    ({"class": "UpdateParameters", "pulse_type": "DeterministicImplicit", "desired_bl": 5, "update_bl_management": False,
      "update_management": False},
     rpu.PulseScheme(desired_bl=5, pulse_type="deterministic_implicit", update_management=False, update_bl_management=False)),
    ({"class": "WeightModifierParameter", "type": "DISCRETIZE_ADD_NORMAL", "res": 1 / 15, "std_dev": 0.05, "pdrop": 0.1},
     (rpu.inference.Discretize(1 / 15), rpu.inference.AddNormal(0.05), rpu.inference.DropConnect(0.1))),
    ({"class": "WeightModifierParameter", "type": "PROG_NOISE", "std_dev": 1.0, "coeffs": [0.26348, 1.965, -1.1731]},
     (rpu.inference.ProgrammingNoise(std=1.0),)),
    ({"class": "WeightModifierParameter", "type": "PCM_NOISE", "std_dev": 0.5, "pcm_t_inference": 60.0},
     (rpu.inference.PCMNoise(0.5, t_inference_s=60.0),)),
    ({"class": "WeightClipParameter", "type": "LAYER_GAUSSIAN", "sigma": 2.0}, rpu.inference.GaussianClip(2.0)),
    ({"class": "PerColumnDriftCompensation"}, rpu.inference.Compensation("column", probe="identity", estimator="ratio")),
    ({"class": "ReRamCMONoiseModel", "acceptance_range": 2},
     (rpu.inference.CMOReRAM("2%"), rpu.inference.SingleDevice(g_min_s=9e-6, g_max_s=88.2e-6, scale="array"))),
    ({"class": "HermesNoiseModel", "num_devices": 1},
     (rpu.inference.HermesSinglePCM(q_from="programmed"), rpu.inference.DifferentialPair(g_max_s=10.35e-6, scale="array"))),
    ({"class": "PCMLikeNoiseModel", "prog_noise_scale": 0.5,
      "g_converter": {"class": "NPairConductanceConverter", "f_lst": [1.0, 0.25], "g_max": 20.0}},
     (rpu.inference.PCM(prog_scale=0.5, q_from="programmed"),
      rpu.inference.Pairs(significance=(1.0, 0.25), g_max_s=20e-6, scale="array"))),
])  # fmt: skip
def test_parts(part, wanted):
    def close(one, other):
        if isinstance(one, tuple):
            return all(map(close, one, other))
        return json.loads(one.to_json(), parse_float=lambda t: round(float(t), 12)) == json.loads(
            other.to_json(), parse_float=lambda t: round(float(t), 12)
        )

    made = from_config(part).value
    assert type(made) is type(wanted) and close(made, wanted), made


@pytest.mark.parametrize(("part", "message"), [
    ({"class": "JARTv1bDevice"}, "config must be one of .*ConstantStepDevice.*; got 'JARTv1bDevice'"),
    ({"class": "ConstantStepDevice", "dwmin": 0.1}, "config.dwmin has no counterpart here"),
    ({"class": "ConstantStepDevice", "dw_min": -1.0}, "config: ConstantStep: dw_min must be"),
    ({"class": "IOParameters", "inp_res": 0.01}, "config.inp_res must be a resolution of 2"),
    ({"class": "IOParameters", "bound_management": "SHIFT"}, "config.bound_management must be one of none, iterative"),
    ({"class": "IOParameters", "mv_type": "BIT_WISE"}, "config.mv_type must be one of ideal"),
    ({"class": "UpdateParameters", "pulse_type": "NONE"}, "config.pulse_type must be one of stochastic"),
    ({"class": "UpdateParameters", "res": 0.1}, "config.res must be 0"),
    ({"class": "OneSidedUnitCell", "unit_cell_devices": [{"class": "SoftBoundsDevice", "w_min": 0.0}], "copy_inverted": True},
     "config.copy_inverted must be False"),
    ({"class": "ChoppedTransferCompound", "unit_cell_devices": [{"class": "SoftBoundsDevice"}] * 2, "transfer_every": -1.0},
     "config.transfer_every must be at least 0"),
    ({"class": "TransferCompound", "unit_cell_devices": [{"class": "SoftBoundsDevice"}] * 2, "gamma_vec": [1.0, 1.0]},
     "config.gamma_vec must be empty"),
    (config({"class": "VectorUnitCell", "unit_cell_devices": [{"class": "Odd"}]}), r"unit_cell_devices\[0\] must be one of"),
    ({"class": "InferenceRPUConfig", "pre_post": {"input_range": {"enable": True, "manage_output_clipping": True}}},
     "config.pre_post.input_range.manage_output_clipping must be False"),
    ({"class": "WeightModifierParameter", "type": "ADD_NORMAL", "rel_to_actual_wmax": False},
     "rel_to_actual_wmax must be True"),
])  # fmt: skip
def test_what_has_no_counterpart_is_named(part, message):
    with pytest.raises(ValueError, match=message):
        from_config(part)


@pytest.mark.parametrize(("given", "said"), [
    ({"class": "EcRamMOPresetDevice"}, r"rpusim\.devices\.presets\.ecram_mo is one, are read as AIHWKit's objects"),
    ({"class": "SomePresetDevice"}, "'SomePresetDevice': presets are read as"),
    ({"class": "SoftBoundDevice"}, r"'SoftBoundDevice': SoftBoundsDevice\?"),
    ({"dw_min": 0.1}, "a dict without 'class'"),
])  # fmt: skip
def test_what_is_no_class_is_told_what_may_be_meant(given, said):
    with pytest.raises(ValueError, match=said):
        from_config({"class": "SingleRPUConfig", "device": given})
