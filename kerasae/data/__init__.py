"""Data by one string: sources, splits, batches, labelled subsets and stateless augmentation."""

from kerasae.data.augment import Chain, ElasticDistortion, RandomAffine
from kerasae.data.batching import batches, in_order, steps_per_epoch
from kerasae.data.binary_draws import binarized
from kerasae.data.classes import match_classes
from kerasae.data.crops import RandomFlip, RandomResizedCrop
from kerasae.data.cutting import cut_patches
from kerasae.data.erasing import RandomErasing
from kerasae.data.info import Info, Source
from kerasae.data.intake import BrokenImage, Intake
from kerasae.data.loading import load
from kerasae.data.mixing import CutMix, Mixing, MixUp
from kerasae.data.neighbour_pairs import NeighbourPairs
from kerasae.data.one_class import class_number, only_class
from kerasae.data.pixel_masks import (
    Masked,
    fit_mask,
    palette,
    read_mask,
    stored_size,
    unfit_mask,
    with_masks,
    write_mask,
)
from kerasae.data.pixel_split import MirrorBoth, PixelSplit
from kerasae.data.rand_augment import RandAugment
from kerasae.data.splits import Split
from kerasae.data.statistics import channel_statistics, spread_examples
from kerasae.data.subsets import balanced_subset, holdout, labelled_subset, oversampled
from kerasae.data.windows import holdout_in_time

__all__ = [
    "BrokenImage",
    "Chain",
    "CutMix",
    "ElasticDistortion",
    "Info",
    "Intake",
    "Masked",
    "MirrorBoth",
    "MixUp",
    "Mixing",
    "NeighbourPairs",
    "PixelSplit",
    "RandAugment",
    "RandomAffine",
    "RandomErasing",
    "RandomFlip",
    "RandomResizedCrop",
    "Source",
    "Split",
    "balanced_subset",
    "batches",
    "binarized",
    "channel_statistics",
    "class_number",
    "cut_patches",
    "fit_mask",
    "holdout",
    "holdout_in_time",
    "in_order",
    "labelled_subset",
    "load",
    "match_classes",
    "only_class",
    "oversampled",
    "palette",
    "read_mask",
    "spread_examples",
    "steps_per_epoch",
    "stored_size",
    "unfit_mask",
    "with_masks",
    "write_mask",
]
