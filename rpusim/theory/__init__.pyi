from rpusim.theory.device import ResponseTheory, response_theory
from rpusim.theory.responses import Response, asymmetry, bounds, response
from rpusim.theory.sgd import Regression, SGDTrajectory, sgd_equilibrium, sgd_fixed_point, sgd_trajectory
from rpusim.theory.shd import Oscillator, SHDFixedPoint, SHDTrajectory, energy, oscillator, shd_fixed_points, shd_trajectory
from rpusim.theory.zero_shift import ZeroShift, zero_shift_law

__all__ = [
    "Oscillator",
    "Regression",
    "Response",
    "ResponseTheory",
    "SGDTrajectory",
    "SHDFixedPoint",
    "SHDTrajectory",
    "ZeroShift",
    "asymmetry",
    "bounds",
    "energy",
    "oscillator",
    "response",
    "response_theory",
    "sgd_equilibrium",
    "sgd_fixed_point",
    "sgd_trajectory",
    "shd_fixed_points",
    "shd_trajectory",
    "zero_shift_law",
]
