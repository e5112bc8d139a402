from rpusim.inference import chips
from rpusim.inference.chip import Chip, Compensation, Faults
from rpusim.inference.converters import (
    BitSlices,
    Converter,
    DifferentialPair,
    OffsetPair,
    Pairs,
    Scaling,
    Signed,
    SingleDevice,
    TablePair,
)
from rpusim.inference.costing import HERMES_FOUR_PHASE, HERMES_ONE_PHASE, InferenceCost, inference_cost
from rpusim.inference.evaluation import InferenceResult, causes, evaluate, product_errors, signal_to_noise
from rpusim.inference.fixed_point import FixedPoint
from rpusim.inference.hardware_aware import HardwareAware, HardwareAwareTile
from rpusim.inference.models import (
    PCM,
    CustomNoise,
    HermesPCM,
    HermesSinglePCM,
    NoiseModel,
    NoNoise,
    PowerLawDrift,
    RelativeNoise,
    StateIndependent,
)
from rpusim.inference.modifiers import (
    AddNormal,
    Clip,
    Discretize,
    DoReFa,
    DropConnect,
    FanInClip,
    FixedClip,
    GaussianClip,
    MeanMaxClip,
    Modifier,
    MultiplyNormal,
    OnDevices,
    PCMNoise,
    PolynomialNoise,
    ProgrammingNoise,
)
from rpusim.inference.networks import (
    ChipNetwork,
    adapt,
    adapters_of,
    convert,
    program,
    recalibrate_batch_norm,
)
from rpusim.inference.noise import read_noise_covariance
from rpusim.inference.on_chip import ChipTile, OnChip
from rpusim.inference.programmed import ProgrammedArray
from rpusim.inference.programming import GradientProgramming, TableSearch, optimize_tables, program_by_gradient
from rpusim.inference.reram import SONOS, AnalogFoundation, CMOReRAM, HfO2ReRAM, WanReRAM

__all__ = [
    "HERMES_FOUR_PHASE", "HERMES_ONE_PHASE", "PCM", "SONOS", "AddNormal", "AnalogFoundation", "BitSlices", "CMOReRAM", "Chip",
    "ChipNetwork", "ChipTile", "Clip", "Compensation", "Converter", "CustomNoise", "DifferentialPair", "Discretize", "DoReFa",
    "DropConnect", "FanInClip", "Faults", "FixedClip", "FixedPoint", "GaussianClip", "GradientProgramming", "HardwareAware",
    "HardwareAwareTile", "HermesPCM", "HermesSinglePCM", "HfO2ReRAM", "InferenceCost", "InferenceResult", "MeanMaxClip",
    "Modifier", "MultiplyNormal", "NoNoise", "NoiseModel", "OffsetPair", "OnChip", "OnDevices", "PCMNoise", "Pairs",
    "PolynomialNoise", "PowerLawDrift", "ProgrammedArray", "ProgrammingNoise", "RelativeNoise", "Scaling", "Signed",
    "SingleDevice", "StateIndependent", "TablePair", "TableSearch", "WanReRAM", "adapt", "adapters_of", "causes", "chips",
    "convert", "evaluate", "inference_cost", "optimize_tables", "product_errors", "program", "program_by_gradient",
    "read_noise_covariance", "recalibrate_batch_norm", "signal_to_noise",
]  # fmt: skip
