"""Level 1: layers, each one operation with weights or with random draws."""

from kerasae.layers.codebook import Codebook
from kerasae.layers.convolution import ConvNextBlock, GlobalResponseNorm
from kerasae.layers.corruption import (
    Corruption,
    DownscaleCorruption,
    GaussianCorruption,
    MaskingCorruption,
    SaltAndPepperCorruption,
)
from kerasae.layers.draws import Dropout
from kerasae.layers.low_variance import LowVariance
from kerasae.layers.normalization import TokenNorm
from kerasae.layers.plain_convolution import ConvBlock, MaskableBlock
from kerasae.layers.pooling import AttentionPooling
from kerasae.layers.shared_variance import SharedVariance
from kerasae.layers.shuffling import DepthToSpace, LeadingSum, SpaceToDepth
from kerasae.layers.sparse_codes import Dictionary, JumpReLU, KeepLargest, ScaledTanh
from kerasae.layers.standardization import Standardization
from kerasae.layers.steps import StepAttention, StepBlock, StepMean, StepPositions
from kerasae.layers.tied import TiedDense, tie_all
from kerasae.layers.token_corruption import TokenCorruption
from kerasae.layers.tokens import (
    Images,
    MaskedTokens,
    MaskQueries,
    Patches,
    PatchTokens,
    Positioned,
    RestoredTokens,
    TokenPooling,
)
from kerasae.layers.transformer import CrossAttention, CrossBlock, SelfAttention, TransformerBlock

__all__ = [
    "AttentionPooling",
    "Codebook",
    "ConvBlock",
    "ConvNextBlock",
    "Corruption",
    "CrossAttention",
    "CrossBlock",
    "DepthToSpace",
    "Dictionary",
    "DownscaleCorruption",
    "Dropout",
    "GaussianCorruption",
    "GlobalResponseNorm",
    "Images",
    "JumpReLU",
    "KeepLargest",
    "LeadingSum",
    "LowVariance",
    "MaskQueries",
    "MaskedTokens",
    "MaskableBlock",
    "MaskingCorruption",
    "PatchTokens",
    "Patches",
    "Positioned",
    "RestoredTokens",
    "SaltAndPepperCorruption",
    "ScaledTanh",
    "SelfAttention",
    "SharedVariance",
    "SpaceToDepth",
    "Standardization",
    "StepAttention",
    "StepBlock",
    "StepMean",
    "StepPositions",
    "TiedDense",
    "TokenCorruption",
    "TokenNorm",
    "TokenPooling",
    "TransformerBlock",
    "tie_all",
]
