from rpusim.algorithms import named
from rpusim.algorithms.agad import AGAD
from rpusim.algorithms.base import Algorithm, ArrayTile, Resources, Tile
from rpusim.algorithms.chopped_tiki_taka import ChoppedTikiTaka
from rpusim.algorithms.eapu import EaPU
from rpusim.algorithms.low_rank_tiki_taka import LowRankTikiTaka
from rpusim.algorithms.manhattan import Manhattan
from rpusim.algorithms.mixed_precision import MixedPrecision
from rpusim.algorithms.multi_tile_residual import MultiTileResidual
from rpusim.algorithms.residual_learning import ResidualLearning, ResidualLearningV2
from rpusim.algorithms.rider import ERIDER, RIDER
from rpusim.algorithms.sgd import SGD, DigitalSGD
from rpusim.algorithms.shd import SHD
from rpusim.algorithms.tiki_taka import TikiTaka
from rpusim.algorithms.tiki_taka_v2 import TikiTakaV2

__all__ = [
    "AGAD",
    "ERIDER",
    "RIDER",
    "SGD",
    "SHD",
    "Algorithm",
    "ArrayTile",
    "ChoppedTikiTaka",
    "Resources",
    "DigitalSGD",
    "EaPU",
    "LowRankTikiTaka",
    "Manhattan",
    "MixedPrecision",
    "MultiTileResidual",
    "ResidualLearning",
    "ResidualLearningV2",
    "TikiTaka",
    "TikiTakaV2",
    "Tile",
    "named",
]
