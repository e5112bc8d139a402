"""Figures of converters: what is drawn is what the converter does."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import rpusim as rpu
from rpusim import plotting


def test_adc_transfer_draws_the_levels_of_every_converter():
    ax = plotting.adc_transfer(rpu.ADC(bits=3, bound=1.5, noise=0.0), ax=Figure().subplots(), points=3001)
    ideal, converter = ax.lines
    x, y = converter.get_xdata(), converter.get_ydata()
    off_ties = np.abs(np.abs(x / 0.5) % 1 - 0.5) > 1e-3
    np.testing.assert_allclose(y[off_ties], np.clip(np.rint(x / 0.5) * 0.5, -1.5, 1.5)[off_ties], atol=1e-6)
    np.testing.assert_array_equal(ideal.get_xdata(), ideal.get_ydata())
    assert x[-1] == pytest.approx(1.25 * 1.5)
    many = plotting.adc_transfer(
        rpu.ADC(bits=None, bound=None, noise=0.0, gain_spread=0.1), ax=Figure().subplots(), n_converters=5, rng=3
    )
    gains = [line.get_ydata()[-1] / line.get_xdata()[-1] for line in many.lines[1:]]
    p = rpu.Periphery.ideal().replace(adc=rpu.ADC(bits=None, bound=None, noise=0.0, gain_spread=0.1))
    array = rpu.CrossbarArray((5, 1), rpu.devices.Ideal(), forward=p, rng=3)
    np.testing.assert_allclose(gains, array.forward_parameters["adc_gain"], rtol=1e-6)
    with pytest.raises(TypeError, match="adc.*ADC.*3"):
        plotting.adc_transfer(3)
