"""Reconstruct an example from a distorted one, or from a neighbour of it: fields and batches of `kerasae train`."""

from dataclasses import dataclass, field
from typing import Literal

from kerasae.errors import InputError
from pipelines.building import distortions
from pipelines.command_line.ranges import within


@dataclass(frozen=True, kw_only=True)
class PairFields:
    """Settings for what the network sees, and what it reconstructs from that."""

    neighbours: int = field(default=0, metadata=within("count_or_none"))
    """Reconstruct, in place of an example, one of this many nearest training examples, drawn anew every time; 0 for the
    example itself. Codes then keep what neighbours share, which helps kerasae search."""
    augment: Literal["none", "affine", "elastic"] = "none"
    """Distort the images that the encoder sees, by shifts, turns and scalings, or these and elastic distortions; the
    undistorted ones are reconstructed."""


def check(recipe, source, cls):
    """Raise InputError for pairs that the variant does not take, or that these data do not have."""
    given = [name for name, used in (("neighbours", recipe.neighbours), ("augment", wanted(recipe))) if used]
    if not given:
        return
    told = recipe.conditional or cls.always_conditional or cls.infers_labels
    if told or not getattr(cls, "takes_target", False):
        raise InputError(f"{given[0]}: {recipe.variant} reconstructs nothing but its input; leave it out")
    if source.info.kind in ("tokens", "ratings", "table"):
        raise InputError(f"{given[0]}: expected images, signals or vectors. Received: {source.info.kind}; leave it out")
    if wanted(recipe) and len(source.info.shape) != 3:
        raise InputError(f"augment: {recipe.augment} distortions need images, not examples {source.info.shape}")


def wanted(recipe):
    """Tell whether images are distorted."""
    return recipe.augment != "none"


def paired(split, recipe):
    """Return the split to train on, and the arguments of its batches that make pairs; none without pairs."""
    from kerasae.data import Chain, NeighbourPairs

    if not (recipe.neighbours or wanted(recipe)):
        return split, {}
    pairs = NeighbourPairs(split, recipe.neighbours)
    return pairs.numbered, {
        "mix": pairs,
        "augment": Chain(*distortions.named(recipe.augment)) if wanted(recipe) else None,
    }
