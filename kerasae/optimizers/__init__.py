"""Level 2: optimisers that Keras lacks, and learning-rate schedules."""

from kerasae.optimizers.cyclical import Cyclical
from kerasae.optimizers.layerwise import LARS, TOKENS, LayerwiseAdamW, decayed, layer_scales

__all__ = ["LARS", "TOKENS", "Cyclical", "LayerwiseAdamW", "decayed", "layer_scales"]
