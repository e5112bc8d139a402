"""How one direction of an array is read, as the core takes it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ReadSettings"]


@dataclass(frozen=True, kw_only=True)
class ReadSettings:
    """What `Periphery.settings` makes of a periphery; levels are (1 / step, step, largest level), the scale 0 for none."""

    ideal: bool
    #: one pass through the product, and nothing between it and the ADCs
    plain: bool
    dac_levels: tuple[float, float, float]
    adc_levels: tuple[float, float, float]
    dac_bound: float
    adc_bound: float
    dac_noise: float
    adc_noise: float
    dac_asymmetry: float
    adc_asymmetry: float
    dac_stochastic: bool
    adc_stochastic: bool
    #: bits of one pass of a bit-serial input (0: the whole input at once), and how many passes there are
    slice_bits: int
    planes: int
    #: only outputs above the bound count as clipped
    one_sided: bool
    #: factor before the non-linearity
    slope: float
    ir_drop: float
    #: inputs / (conductance of a wire segment / largest of a device)
    ir_factor: float
    offset_w_min: float
    series: float
    series_max: float
    noise_management: str
    bound_management: str
    #: 0: none
    nm_threshold: float
    nm_decay: float
    #: bound management gives up beyond this
    max_reduction: float
    #: "abs_max_np_sum": largest weight assumed / the ADC's bound; limit relative to max|x|
    sum_factor: float
    sum_limit: float
    sign_handling: str
    read_noise: float
    read_noise_law: str
    out_scale: float
