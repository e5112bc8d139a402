"""Pictures: every function draws into the Axes it is given (or the current one) and returns it."""

from rpusim.plotting.devices import device_figure, parameter_spread, pulse_response, response_functions, step_sizes
from rpusim.plotting.fitting import fit_residuals, fitted_ramps
from rpusim.plotting.measured import fitted_series, fitted_sweeps, step_table
from rpusim.plotting.periphery import adc_transfer
from rpusim.plotting.regression import hidden_against_weight, residuals, trajectories
from rpusim.plotting.style import save, style
from rpusim.plotting.training import learning_curve, saturation_histograms, weight_histograms
from rpusim.plotting.wires import device_currents, node_voltages, output_errors, wires_figure

__all__ = [
    "adc_transfer",
    "device_currents",
    "device_figure",
    "fit_residuals",
    "fitted_ramps",
    "fitted_series",
    "fitted_sweeps",
    "hidden_against_weight",
    "learning_curve",
    "node_voltages",
    "output_errors",
    "parameter_spread",
    "pulse_response",
    "residuals",
    "response_functions",
    "saturation_histograms",
    "save",
    "step_sizes",
    "step_table",
    "style",
    "trajectories",
    "weight_histograms",
    "wires_figure",
]
