"""What every model keeps: its two halves, its one training step, and the record of its arguments."""

from kerasae.models.contract.arguments import RecordedArguments
from kerasae.models.contract.base import Autoencoder, check_network, penalties, scale_for_replicas
from kerasae.models.contract.step import Move, ProposedStep

__all__ = [
    "Autoencoder",
    "Move",
    "ProposedStep",
    "RecordedArguments",
    "check_network",
    "penalties",
    "scale_for_replicas",
]
