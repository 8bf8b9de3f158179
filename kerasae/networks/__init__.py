"""Level 2: pairs of encoder and decoder, as functional Keras models."""

from kerasae.networks.conv import conv
from kerasae.networks.dense import dense

__all__ = ["conv", "dense"]
