"""Level 3: the contract, the variants by family, and the catalogue of them.

Classes load on first use: the catalogue is read where TensorFlow may not be imported.
"""

import importlib

from kerasae.models.catalogue import ROWS

HOMES = {
    **{row.name: row.module for row in ROWS},
    **dict.fromkeys(("ClassAccuracy", "SmoothedCrossentropy"), "kerasae.models.classifier"),
    "VampPrior": "kerasae.models.vamp_prior",
}
"""Public name → the module that it is in."""

__all__ = [
    "AdversarialAutoencoder",
    "AutoRec",
    "Autoencoder",
    "ClassAccuracy",
    "Classifier",
    "ConvolutionalMaskedAutoencoder",
    "CrossMaskedAutoencoder",
    "DenoisingAutoencoder",
    "FactorVariationalAutoencoder",
    "MaskedAutoencoder",
    "RecurrentAutoencoder",
    "RestrictedBoltzmannMachine",
    "SimMIM",
    "SmoothedCrossentropy",
    "SparseAutoencoder",
    "StackedAutoencoder",
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
