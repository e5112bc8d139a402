"""Pictures: every function draws into the Axes it is given (or the current one) and returns it.

Those called `..._figure` make a whole figure, for print: `width` is 3.3 inches for one column of a journal, 7 for two. Legends
stand below the Axes; figures of one's own have the room for them with ``layout="constrained"``, which is part of `style`.
"""

from rpusim.plotting.devices import device_figure, parameter_spread, pulse_response, response_functions, step_sizes
from rpusim.plotting.fitting import fit_figure, fit_residuals, fitted_ramps
from rpusim.plotting.inference import (
    chip_figure,
    conductance_histograms,
    conductance_trajectories,
    device_errors,
    inference_against,
    inference_against_figure,
    inference_curve,
    inference_figure,
)
from rpusim.plotting.measured import fitted_series, fitted_sweeps, measured_figure, step_table
from rpusim.plotting.periphery import adc_transfer
from rpusim.plotting.regression import hidden_against_weight, regression_figure, residuals, spiral_figure, trajectories
from rpusim.plotting.spikes import spike_errors, spike_raster
from rpusim.plotting.style import DOUBLE, SINGLE, save, style
from rpusim.plotting.training import learning_curve, learning_figure, saturation_histograms, weight_histograms
from rpusim.plotting.wires import device_currents, ir_drop_map, node_voltages, output_errors, wires_figure

__all__ = [
    "DOUBLE",
    "SINGLE",
    "adc_transfer",
    "chip_figure",
    "conductance_histograms",
    "conductance_trajectories",
    "device_currents",
    "device_errors",
    "device_figure",
    "fit_figure",
    "fit_residuals",
    "fitted_ramps",
    "fitted_series",
    "fitted_sweeps",
    "measured_figure",
    "hidden_against_weight",
    "inference_against",
    "inference_against_figure",
    "inference_curve",
    "inference_figure",
    "ir_drop_map",
    "learning_curve",
    "learning_figure",
    "node_voltages",
    "output_errors",
    "parameter_spread",
    "pulse_response",
    "regression_figure",
    "residuals",
    "response_functions",
    "saturation_histograms",
    "save",
    "spiral_figure",
    "spike_errors",
    "spike_raster",
    "step_sizes",
    "step_table",
    "style",
    "trajectories",
    "weight_histograms",
    "wires_figure",
]
