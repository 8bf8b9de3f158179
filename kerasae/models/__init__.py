"""Level 3: the contract, the variants by family, and their catalogue.

Classes load on first use, so that the catalogue can be read without importing TensorFlow.
"""

import importlib

from kerasae.models.catalogue import ROWS

HOMES = {
    **{row.name: row.module for row in ROWS},
    **dict.fromkeys(
        ("ClassAccuracy", "ScaledSquaredError", "SigmoidCrossentropy", "SmoothedCrossentropy"),
        "kerasae.models.label_losses",
    ),
    "MixturePrior": "kerasae.models.mixture_prior",
    "PixelCrossentropy": "kerasae.models.pixel_losses",
    "VampPrior": "kerasae.models.vamp_prior",
}
"""Public name → its module."""

__all__ = [
    "AdversarialAutoencoder",
    "AdversarialVariationalAutoencoder",
    "AutoRec",
    "Autoencoder",
    "ClassAccuracy",
    "Classifier",
    "CodePriorAutoencoder",
    "ConditionalAdversarialAutoencoder",
    "ContractiveAutoencoder",
    "ConvolutionalMaskedAutoencoder",
    "CrossMaskedAutoencoder",
    "DeepBeliefNetwork",
    "DenoisingAutoencoder",
    "FactorVariationalAutoencoder",
    "GaussianWassersteinAutoencoder",
    "GenerativeStochasticNetwork",
    "ImportanceWeightedAutoencoder",
    "InfoVariationalAutoencoder",
    "KSparseAutoencoder",
    "MaskedAutoencoder",
    "MixturePrior",
    "PixelCrossentropy",
    "PredictiveSparseDecomposition",
    "Recirculation",
    "RecurrentAutoencoder",
    "RestrictedBoltzmannMachine",
    "ScaledSquaredError",
    "Segmenter",
    "SemanticHashingAutoencoder",
    "SemiSupervisedAdversarialAutoencoder",
    "SemiSupervisedVariationalAutoencoder",
    "SigmoidCrossentropy",
    "SimMIM",
    "SmoothedCrossentropy",
    "SparseAutoencoder",
    "SparseDictionary",
    "StackedAutoencoder",
    "TotalCorrelationAutoencoder",
    "VampPrior",
    "VariationalAutoencoder",
    "VectorQuantizedAutoencoder",
    "WassersteinAutoencoder",
]


def __getattr__(name):
    if name in __all__:
        return getattr(importlib.import_module(HOMES[name]), name)
    raise AttributeError(f"module 'kerasae.models' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
