"""Level 2: pairs of encoder and decoder, as functional Keras models."""

from kerasae.networks.conv import conv
from kerasae.networks.dense import dense
from kerasae.networks.lstm import lstm
from kerasae.networks.vit import pool_vit, resize_vit, vit, vit_base, vit_huge, vit_large, vit_small, vit_tiny

__all__ = [
    "conv",
    "dense",
    "lstm",
    "pool_vit",
    "resize_vit",
    "vit",
    "vit_base",
    "vit_huge",
    "vit_large",
    "vit_small",
    "vit_tiny",
]
