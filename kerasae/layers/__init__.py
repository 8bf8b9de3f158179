"""Level 1: one weight or one roll of the dice."""

from kerasae.layers.corruption import Corruption, GaussianCorruption, MaskingCorruption, SaltAndPepperCorruption
from kerasae.layers.stochastic import GaussianSample
from kerasae.layers.tied import TiedDense, tie_all

__all__ = [
    "Corruption",
    "GaussianCorruption",
    "GaussianSample",
    "MaskingCorruption",
    "SaltAndPepperCorruption",
    "TiedDense",
    "tie_all",
]
