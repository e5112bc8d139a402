"""What tests of arrays share: devices, peripheries and vectors, reads in the oracle's terms, and tests of laws."""

from __future__ import annotations

import numpy as np
from scipy import stats

from rpusim import ADC, DAC, CrossbarArray, Periphery
from rpusim.devices import (
    ConstantStep,
    ExpStep,
    FromResponse,
    Ideal,
    LinearStep,
    PiecewiseStep,
    PowStep,
    PowStepReference,
    SoftBounds,
    SoftBoundsReference,
)

from . import reads

P_LIMIT = 1e-6


Z_LIMIT = 5.0


NO_SLOPE_SPREAD = dict(gamma_up_dtod=0.0, gamma_down_dtod=0.0)


MODELS = {
    "constant": ConstantStep(dw_min=0.01, up_down=0.1),
    "linear": LinearStep(dw_min=0.01, gamma_up=0.6, gamma_down=0.4, up_down=-0.1),
    "linear additive": LinearStep(dw_min=0.01, gamma_up=0.6, gamma_down=0.4, mean_bound_reference=False, mult_noise=False),
    "soft": SoftBounds(dw_min=0.01, up_down=0.1),
    "soft additive": SoftBounds(dw_min=0.01, mult_noise=False),
    "linear reversed": LinearStep(dw_min=0.01, gamma_up=0.6, gamma_down=0.4, reverse_up=True, reverse_down=True),
    "reference": SoftBoundsReference(dw_min=0.01, up_down=0.1, reference_std=0.1),
    "reference multiplicative": SoftBoundsReference(
        dw_min=0.01, reference_mean=0.1, slope_up_dtod=0.2, subtract_symmetry_point=True, mult_noise=True
    ),
    "exp": ExpStep(dw_min=0.01, up_down=0.1),
    "exp complex": ExpStep(dw_min=0.01, dw_min_std_add=0.004, dw_min_std_slope=0.02),
    "pow": PowStep(dw_min=0.02, pow_gamma=1.5, pow_up_down=0.1, pow_up_down_dtod=0.02),
    "pow reference": PowStepReference(dw_min=0.02, pow_gamma=0.7, up_down=0.1, reference_std=0.1),
    "piecewise": PiecewiseStep(dw_min=0.01, piecewise_up=(1.5, 1.2, 0.8, 0.1), piecewise_down=(0.3, 0.9, 1.0, 1.3)),
    "tabulated": FromResponse(
        lambda w: 0.01 * np.exp(-w), lambda w: 0.01 * np.exp(w), dw_min_dtod=0.3, dw_min_std=0.3, nodes=65
    ),
    "one node": PiecewiseStep(dw_min=0.01),
}


PLAIN_DAC = DAC(bits=None, bound=None)


PLAIN_ADC = ADC(bits=None, bound=None, noise=0.0)


def random_array(device, shape=(17, 23), **settings):
    """An array with weights spread over its devices' ranges."""
    array = CrossbarArray(shape, device, rng=3, **settings)
    p = array.parameters
    low, high = device.bounds_of(p)
    array.program(low + (high - low) * np.random.default_rng(4).random(shape))
    return array


def vectors(n, shape, seed=5, scale=1.0):
    """n pairs (x, d), float32, with zeros among them."""
    rng = np.random.default_rng(seed)
    x, d = rng.normal(0, 0.5, (n, shape[1])), rng.normal(0, scale, (n, shape[0]))
    x[rng.random(x.shape) < 0.1] = 0.0
    d[rng.random(d.shape) < 0.1] = 0.0
    return x.astype(np.float32), d.astype(np.float32)


def plain(**settings):
    """Exact reads but for the settings."""
    base = dict(dac=PLAIN_DAC, adc=PLAIN_ADC, noise_management="none", bound_management="none")
    return Periphery(**base | settings)


def array_of(w, periphery, rng=0, backward=None):
    """An array of ideal devices at exactly `w`."""
    w = np.asarray(w, dtype=np.float32)
    array = CrossbarArray(w.shape, Ideal(), forward=periphery, backward=backward, rng=rng)
    array.program(w)
    return array


def chain_of(p):
    """A periphery in the oracle's terms, without its noise."""
    return dict(
        dac_bound=p.dac.bound,
        dac_steps=None if p.dac.bits is None else reads.steps_of_bits(p.dac.bits),
        adc_bound=p.adc.bound,
        adc_steps=None if p.adc.bits is None else reads.steps_of_bits(p.adc.bits),
        bound_management=p.bound_management,
        max_factor=p.bm_max_factor,
        max_res=p.bm_max_resolution,
    )


def oracle_read(w, x, p, transposed=False, values=None):
    """The oracle's read; `values` replaces the noise-management value of every vector."""
    w, x = np.asarray(w, dtype=np.float64), np.asarray(x, dtype=np.float64)
    if values is None:
        kind = p.noise_management
        values = (
            reads.average_abs_max(x, decay=p.nm_decay)
            if kind == "average_abs_max"
            else [reads.noise_management(row, kind, p.nm_threshold or 0.0) for row in x]
        )
    w = w.T if transposed else w
    return np.array([reads.read_vector(w, row, nm=nm, **chain_of(p)) for row, nm in zip(x, values, strict=True)])


def chi2_p(statistic, n):
    return 2 * min(stats.chi2.cdf(statistic, n), stats.chi2.sf(statistic, n))


def assert_noise(values, std):
    """Normal of mean 0 and this standard deviation, independent between neighbours in both directions."""
    values = np.asarray(values, dtype=np.float64)
    n = values.size
    assert chi2_p(np.sum(values**2) / std**2, n) > P_LIMIT
    assert abs(values.mean()) < Z_LIMIT * std / np.sqrt(n)
    assert stats.kstest(values.ravel(), stats.norm(0, std).cdf).pvalue > P_LIMIT
    z = values / std
    for a, b in ((z[1:], z[:-1]), (z[:, 1:], z[:, :-1])):
        assert abs(np.sum(a * b)) < Z_LIMIT * np.sqrt(a.size)


def same(a, b):
    """Equal nested states, arrays by bits."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b
