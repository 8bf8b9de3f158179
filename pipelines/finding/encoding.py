"""Turn examples into codes or bits with names: what an index holds, and what is asked of it."""

from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import kerasae
from kerasae.errors import InputError
from pipelines.command_line.fields import DataRecipe


class Encoded(NamedTuple):
    """The codes of the examples of some parts of the data, in stored order."""

    splits: list
    """The parts."""
    codes: Any
    """float32 [N, Z]."""
    names: list[str]
    labels: Any
    """int64 [N], -1 where unknown; None for data without classes."""
    parts: Any
    """Name of the part of each example [N]."""


def opened(recipe, source):
    """Load the run's model and data; raises InputError for a model that cannot encode a new example."""
    from pipelines import embed

    if source.info.kind == "ratings":
        raise InputError("data: expected images, signals, tables or text. Received: ratings; see kerasae recommend")
    model, source = embed.opened_autoencoder(recipe, source)
    if model.needs_condition:
        raise InputError(
            f"run: {recipe.run} holds a conditional {type(model).__name__}, which needs the class of every example; "
            "give a run without --conditional"
        )
    return model, source


def encoded(model, source, split, most=None, seed=0) -> Encoded:
    """Encode a part of the data, or all of it; at most `most` examples, drawn at random, in stored order."""
    from pipelines import embed

    parts = thinned(embed.chosen(source, split), most, seed)
    about = embed.described(source.info, parts)
    names = about.places if about.names is None else about.names
    codes = np.concatenate([flat_codes(model, part) for part, _ in parts])
    return Encoded(
        [part for part, _ in parts], codes, [kerasae.results.encodable(n) for n in names], about.labels, about.splits
    )


def thinned(parts, most, seed):
    """Draw at most `most` examples of parts, pairs (split, names [N])."""
    total = sum(len(part) for part, _ in parts)
    if most is None or total <= most:
        return parts
    kept, start, found = np.sort(np.random.default_rng(seed).permutation(total)[:most]), 0, []
    for part, names in parts:
        own = kept[(kept >= start) & (kept < start + len(part))] - start
        found += [(part.subset(own), names[own])] if len(own) else []
        start += len(part)
    return found


def flat_codes(model, split):
    """Encode a split: float32 [N, Z]."""
    found = np.concatenate(list(kerasae.evaluate.embedded(model, split)))
    return found.reshape(len(split), -1).astype(np.float32)


def thresholds_of(model, codes):
    """Choose the values above which bits are set: the model's own, or the median of each number of the codes."""
    if model.bit_threshold is not None:
        return np.full(codes.shape[1], model.bit_threshold, np.float32)
    return np.median(codes, axis=0)


def as_stored(codes, thresholds):
    """Turn codes into what an index holds: bits where there are thresholds, else the codes."""
    return codes if thresholds is None else codes > np.asarray(thresholds, np.float32)


def facts(recipe, thresholds, info):
    """Collect what the header of an index says of its model and data."""
    return {
        "model_sha256": kerasae.applications.file_hash(Path(recipe.run, "model.keras")),
        "run": str(Path(recipe.run).absolute()),
        "thresholds": None if thresholds is None else [float(value) for value in thresholds],
        "kind": info.kind,
        "split": recipe.split,
        "data": {f.name: getattr(recipe, f.name) for f in fields(DataRecipe)},
    }


def spelled(labels, class_names):
    """Spell the class of each example, "" where unknown; None for data without classes."""
    return None if labels is None else [class_names[label] if label >= 0 else "" for label in labels]
