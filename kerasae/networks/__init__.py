"""Level 2: pairs of encoder and decoder, as functional Keras models."""

from kerasae.networks.code_shape import shape_code
from kerasae.networks.conv_pair import conv
from kerasae.networks.dense_pair import dense
from kerasae.networks.lstm_pair import lstm
from kerasae.networks.vit_pair import pool_vit, resize_vit, vit, vit_base, vit_huge, vit_large, vit_small, vit_tiny

__all__ = [
    "conv",
    "dense",
    "lstm",
    "pool_vit",
    "resize_vit",
    "shape_code",
    "vit",
    "vit_base",
    "vit_huge",
    "vit_large",
    "vit_small",
    "vit_tiny",
]
