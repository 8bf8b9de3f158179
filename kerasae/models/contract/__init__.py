"""The contract of every model: batch, named terms, players, state, training step and recorded arguments."""

from kerasae.models.contract.arguments import RecordedArguments
from kerasae.models.contract.base import Autoencoder, check_network
from kerasae.models.contract.batch import Batch
from kerasae.models.contract.codec import Codec
from kerasae.models.contract.knobs import Knob
from kerasae.models.contract.players import Player, Update
from kerasae.models.contract.replicas import batch_mean, batch_sum, whole_batch
from kerasae.models.contract.step import Proposal, ProposedStep
from kerasae.models.contract.terms import Found, Statistic, Term
from kerasae.models.contract.trainable import Trainable

__all__ = [
    "Autoencoder",
    "Batch",
    "Codec",
    "Found",
    "Knob",
    "Player",
    "Proposal",
    "ProposedStep",
    "RecordedArguments",
    "Statistic",
    "Term",
    "Trainable",
    "Update",
    "batch_mean",
    "batch_sum",
    "check_network",
    "whole_batch",
]
