"""Level 2: pairs of encoder and decoder, as functional Keras models."""

from kerasae.networks.causal_indices import index_transformer
from kerasae.networks.code_shape import shape_code
from kerasae.networks.conv_map_pair import conv_map
from kerasae.networks.conv_pair import conv
from kerasae.networks.convnext_pair import convnext, convnext_atto, convnext_mini, convnext_tiny
from kerasae.networks.convnext_resized import resize_convnext
from kerasae.networks.dense_pair import dense
from kerasae.networks.lstm_pair import gru, lstm
from kerasae.networks.places import patches_of, unpool
from kerasae.networks.residual_pair import residual, resize_residual
from kerasae.networks.shared_variance import share_variance
from kerasae.networks.transformer_pair import transformer
from kerasae.networks.vgg_pair import vgg
from kerasae.networks.vit_pair import pool_vit, resize_vit, vit, vit_base, vit_huge, vit_large, vit_small, vit_tiny

__all__ = [
    "conv",
    "conv_map",
    "convnext",
    "convnext_atto",
    "convnext_mini",
    "convnext_tiny",
    "dense",
    "gru",
    "index_transformer",
    "lstm",
    "patches_of",
    "pool_vit",
    "residual",
    "resize_convnext",
    "resize_residual",
    "resize_vit",
    "shape_code",
    "share_variance",
    "transformer",
    "unpool",
    "vgg",
    "vit",
    "vit_base",
    "vit_huge",
    "vit_large",
    "vit_small",
    "vit_tiny",
]
