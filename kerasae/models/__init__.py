"""Level 3: the contract and the variants, by family."""

from kerasae.models.adversarial import AdversarialAutoencoder
from kerasae.models.classifier import ClassAccuracy, Classifier, SmoothedCrossentropy
from kerasae.models.contract.base import Autoencoder
from kerasae.models.cross_masked import CrossMaskedAutoencoder
from kerasae.models.deterministic import DenoisingAutoencoder
from kerasae.models.masked import MaskedAutoencoder
from kerasae.models.ratings import AutoRec
from kerasae.models.recurrent import RecurrentAutoencoder
from kerasae.models.simmim import SimMIM
from kerasae.models.stacked import StackedAutoencoder
from kerasae.models.vamp_prior import VampPrior
from kerasae.models.variational import VariationalAutoencoder

__all__ = [
    "AdversarialAutoencoder",
    "AutoRec",
    "Autoencoder",
    "ClassAccuracy",
    "Classifier",
    "CrossMaskedAutoencoder",
    "DenoisingAutoencoder",
    "MaskedAutoencoder",
    "RecurrentAutoencoder",
    "SimMIM",
    "SmoothedCrossentropy",
    "StackedAutoencoder",
    "VampPrior",
    "VariationalAutoencoder",
]
