"""Level 2: optimisers that Keras lacks, and learning-rate schedules."""

from kerasae.optimizers.layerwise import LARS, TOKENS, LayerwiseAdamW, decayed, layer_scales

__all__ = ["LARS", "TOKENS", "LayerwiseAdamW", "decayed", "layer_scales"]
