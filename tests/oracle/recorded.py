"""The terms of the recorded outputs in those of rpusim."""

import numpy as np

from rpusim import ADC, DAC, Periphery


def periphery_from_peer(io):
    """Settings of the recorded tool; its resolution is a step relative to the range, or a number of steps."""

    def bits(value):
        if value <= 0:
            return None
        steps = value if value > 1 else 1 / value
        return round(np.log2(steps + 2))

    def bound(value):
        return value if value > 0 else None

    kinds = {"None": "none", "AbsMax": "abs_max", "Max": "max", "Constant": "constant", "Iterative": "iterative"}
    signs = {"OnePass": "one_pass", "PosNegSeparate": "analog_sum", "PosNegSeparateDigitalSum": "digital_sum"}
    names = {
        "ir_drop": "ir_drop", "ir_drop_g_ratio": "ir_drop_g_ratio", "r_series": "series_resistance",
        "v_offset_w_min": "voltage_offset_w_min", "out_scale": "out_scale",
    }  # fmt: skip
    return Periphery(
        dac=DAC(bits=bits(io.get("inp_res", -1)), bound=bound(io.get("inp_bound", 1.0))),
        adc=ADC(
            bits=bits(io.get("out_res", -1)),
            bound=bound(io.get("out_bound", -1)),
            noise=0.0,
            asymmetry=io.get("out_asymmetry", 0.0),
            nonlinearity=io.get("out_nonlinearity", 0.0),
            slope_calibration=io.get("slope_calibration", 0.0),
        ),
        noise_management=kinds[io.get("noise_management", "None")],
        nm_threshold=io.get("nm_thres"),
        bound_management=kinds[io.get("bound_management", "None")],
        sign_handling=signs[io.get("mv_type", "OnePass")],
        **{ours: io[theirs] for theirs, ours in names.items() if theirs in io},
    )
