"""Data by one string: sources, splits, batches, labelled subsets and stateless augmentation."""

from kerasae.data.augment import ElasticDistortion, RandomAffine
from kerasae.data.batches import batches, in_order, steps_per_epoch
from kerasae.data.crops import RandomFlip, RandomResizedCrop
from kerasae.data.info import Info, Source
from kerasae.data.loading import load
from kerasae.data.splits import Split
from kerasae.data.statistics import channel_statistics
from kerasae.data.subsets import balanced_subset, holdout

__all__ = [
    "ElasticDistortion",
    "Info",
    "RandomAffine",
    "RandomFlip",
    "RandomResizedCrop",
    "Source",
    "Split",
    "balanced_subset",
    "batches",
    "channel_statistics",
    "holdout",
    "in_order",
    "load",
    "steps_per_epoch",
]
