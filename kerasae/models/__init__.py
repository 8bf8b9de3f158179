"""Level 3: the contract and the variants, by family."""

from kerasae.models.adversarial import AdversarialAutoencoder
from kerasae.models.base import Autoencoder
from kerasae.models.classifier import ClassAccuracy, Classifier, SmoothedCrossentropy
from kerasae.models.deterministic import DenoisingAutoencoder
from kerasae.models.masked import MaskedAutoencoder
from kerasae.models.stacked import StackedAutoencoder
from kerasae.models.variational import VariationalAutoencoder

__all__ = [
    "AdversarialAutoencoder",
    "Autoencoder",
    "ClassAccuracy",
    "Classifier",
    "DenoisingAutoencoder",
    "MaskedAutoencoder",
    "SmoothedCrossentropy",
    "StackedAutoencoder",
    "VariationalAutoencoder",
]
