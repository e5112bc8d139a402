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
from rpusim.inference.evaluation import InferenceResult, causes, evaluate, product_errors
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
from rpusim.inference.networks import ChipNetwork, ChipTile, OnChip, program
from rpusim.inference.noise import read_noise_covariance
from rpusim.inference.programmed import ProgrammedArray
from rpusim.inference.reram import SONOS, AnalogFoundation, CMOReRAM, HfO2ReRAM, WanReRAM

__all__ = [
    "PCM", "SONOS", "AnalogFoundation", "BitSlices", "CMOReRAM", "Chip", "ChipNetwork", "ChipTile", "Compensation",
    "Converter", "CustomNoise", "DifferentialPair", "Faults", "HermesPCM", "HermesSinglePCM", "HfO2ReRAM", "InferenceResult",
    "NoNoise", "NoiseModel", "OffsetPair", "OnChip", "Pairs", "PowerLawDrift", "ProgrammedArray", "RelativeNoise", "Scaling",
    "Signed", "SingleDevice", "StateIndependent", "TablePair", "WanReRAM", "causes", "evaluate", "product_errors", "program",
    "read_noise_covariance",
]  # fmt: skip
