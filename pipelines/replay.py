"""Repeat a training step whose loss or gradients were not finite, and say which values caused it.

A run records such a step in its folder `nonfinite`: the batch, the state of the model before it, and the model. Neither
the data nor the rest of the run is read, and nothing is written.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field

from kerasae.errors import InputError
from pipelines.command_line.listing import aligned
from pipelines.command_line.ranges import within

SHOWN = 8  # lines of a table


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings for repeating one training step."""

    run: str = field(metadata={"positional": True})
    """Directory of the run."""
    stage: str | None = None
    """Stage of the run, such as layer-1 or finetune-1; that of the latest recorded step when not given."""
    step: int | None = field(default=None, metadata=within("count_or_none"))
    """Number of the step; the latest recorded one when not given."""


def run(recipe: Recipe):
    """Load the model and its state, repeat the step, print the values that are not finite or large."""
    from kerasae.training import incidents

    file = find(recipe)
    with guarded(file):
        batch, about = read_batch(file)
        model, progress = load(file, batch)
        found, met = incidents.examine(model, batch), f"met after {progress['step']} steps; then: {words(about)}"
        broken = examples(model, batch)
    inputs = [incidents.Values.of(name, x) for name, x in zip(("images", "labels"), batch, strict=False)]
    print(f"{file}: {len(batch[0])} examples, {met}")
    print(report(found, inputs, broken))
    return found


@contextmanager
def guarded(file):
    """Turn every error of a damaged or forged recording into an InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{file} cannot be replayed: {reason[:300]}") from error


def find(recipe):
    """Find the recorded batch that the recipe names; raise InputError that lists the recorded steps."""
    from pathlib import Path

    from kerasae.runs import read_recipe

    read_recipe(recipe.run)
    found = [path for path in Path(recipe.run).glob("nonfinite/*/step-*.npz") if path.stem[5:].isdecimal()]
    kept = sorted(filter(Path.is_file, found), key=lambda path: path.stat().st_mtime)
    if not kept:
        raise InputError(f"{recipe.run} has recorded no step that was not finite: there is nothing to replay")
    wanted = [f for f in kept if recipe.stage in (None, f.parent.name) and recipe.step in (None, number(f))]
    if not wanted:
        there = ", ".join(f"--stage {file.parent.name} --step {number(file)}" for file in kept)
        raise InputError(f"{recipe.run} has not recorded this step; it has {there}")
    return wanted[-1]


def number(file):
    """Read the number of the step from the name of a file."""
    return int(file.stem.removeprefix("step-"))


def read_batch(file):
    """Read the batch (images, labels) from a file, and the rest of its content by name."""
    import zipfile

    import numpy as np
    import tensorflow as tf

    with np.load(file, allow_pickle=False) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.zip.infolist()):
            raise InputError(f"{file} is damaged: it is compressed, and runs write such files uncompressed")
        content = dict(archive)
    batch = tuple(content.pop(name) for name in ("images", "labels") if name in content)
    if not all(isinstance(part, np.ndarray) and part.dtype.kind in "buif" for part in batch):
        raise InputError(f"{file} is damaged: its images or labels are not numbers")
    return tuple(map(tf.constant, batch)), content


def load(file, batch):
    """Load the model with the state before the batch of a file, and the progress of its run."""
    from kerasae import saving
    from kerasae.training import checkpoint

    parts = (file.parent / "model.keras", file.parent / "state" / file.name)
    if missing := [path for path in parts if not path.is_file()]:  # also a pipe, whose reading would not end
        raise InputError(f"{missing[0]} is missing")
    model = saving.load_model(parts[0], compiled=True)
    model.propose(batch)  # creates the metrics' variables
    model.build_training()
    values, progress = checkpoint.unpack(parts[1].read_bytes())
    checkpoint.assign(checkpoint.state_variables(model), values)
    return model, progress


def examples(model, batch):
    """Find the rows of the batch whose loss terms (of a classifier: outputs) are not finite."""
    import numpy as np

    from kerasae.models.contract.terms import logged
    from kerasae.models.contract.trainable import Trainable

    if isinstance(model, Trainable):
        found = model(model.prepare(*batch), training=True)
        values = [value for value in map(logged, found.terms.values()) if len(value.shape)]
    else:
        values = [model(batch[0], training=True)]
    rows = [np.isfinite(np.asarray(value, "float32")).reshape(len(batch[0]), -1).all(axis=1) for value in values]
    return np.flatnonzero(~np.all(rows, axis=0)).tolist()


# ---- the page


def words(about):
    """List the loss terms or gradients that were not finite when the step was recorded."""
    terms = [f"{name} {value}" for name, value in zip(about["terms"], about["values"], strict=True)]
    return ", ".join(terms) or f"{len(about['gradients'])} gradients that were not finite"


def report(found, inputs, rows):
    """Format the tables of the step."""
    weights = [("weight", values) for values in found.weights]
    gradients = [("gradient", values) for values in found.gradients]
    everything = [*(("batch", values) for values in inputs), *weights, *gradients]
    broken = [(kind, values) for kind, values in everything if values.bad]
    sections = {
        "this step": [(n, f"{value:.6g}") for n, value in {**found.terms, "gradient norm": found.norm}.items()],
        "examples of the batch that are not finite": [(shortened(rows),)] if rows else [],
        "not finite, and the largest finite magnitude beside": table(broken),
        "largest weights": table(largest(weights)),
        "largest gradients": table(largest(gradients)),
    }
    page = ["\n".join([title, *aligned(lines)]) for title, lines in sections.items() if lines]
    return "\n".join([found.cause(), *page])


def table(values):
    """Tabulate tensors: kind, name, count of values that are not finite, largest finite magnitude."""
    lines = [(kind, v.name, f"{v.bad} of {v.size}" if v.bad else "", f"{v.largest:.4g}") for kind, v in values[:SHOWN]]
    return lines if len(values) <= SHOWN else [*lines, (f"and {len(values) - SHOWN} more", "", "", "")]


def largest(values):
    """Select the tensors with the largest finite magnitudes."""
    return sorted(values, key=lambda pair: -pair[1].largest)[: SHOWN // 2]


def shortened(rows):
    """Write row numbers as text, the first few of many."""
    text = ", ".join(map(str, rows[: 2 * SHOWN]))
    return text if len(rows) <= 2 * SHOWN else f"{text} and {len(rows) - 2 * SHOWN} more"
