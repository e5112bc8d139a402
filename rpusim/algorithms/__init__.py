"""How arrays make one trainable weight: a specification per algorithm, and the tile it builds."""

from rpusim.algorithms.base import Algorithm, Tile
from rpusim.algorithms.sgd import SGD, DigitalSGD
from rpusim.algorithms.shd import SHD

__all__ = ["SGD", "SHD", "Algorithm", "DigitalSGD", "Tile"]
