"""Export the model of a run as a SavedModel, and verify it in a process that does not import kerasae."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import DerivedRecipe
from pipelines.command_line.figures import finish

EXAMPLES = 16  # sent through the model and through the reloaded export


@dataclass(frozen=True, kw_only=True)
class Recipe(DerivedRecipe):
    """Settings for exporting one model."""

    dest: str | None = field(default=None, metadata={"positional": True})
    """Folder of the SavedModel; saved_models/NAME OF THE RUN when not given."""
    tolerance: float = 1e-5
    """Largest allowed difference to the model in memory; relative for values above 1."""

    folder = "export"
    of_detectors = True


def run(recipe: Recipe, checker=None):
    """Write the SavedModel and its card, reload it in another process and compare outputs.

    An earlier export at the destination is replaced only after that. Several exports may share a
    `kerasae.export.Checker`.
    """
    from kerasae import runs
    from pipelines.labels.names import matched

    with door.entered(recipe) as (recipe, source, begin):
        model = runs.load_model(recipe.run, source.info)
        source = matched(recipe.run, model, source)  # the card names the outputs
        dest = recipe.dest or f"saved_models/{name_of(recipe.run)}"
        options = {"dtype": source.info.dtype, "examples": examples(source), "tolerance": recipe.tolerance}
        try:
            content = card(recipe, source.info) | answered(model, source.info)
            kerasae.export.save(model, dest, card=content, checker=checker, **options)
        except kerasae.export.ParityError as error:
            raise InputError(f"{error}; nothing was exported (see --tolerance)") from None
        content = json.loads(Path(dest, "card.json").read_text(encoding="utf-8"))
        directory = begin("export")
        print(summary(dest, content))
        return finish(directory, {"export_max_abs_diff": content["parity"]["max_abs_diff"]})


def name_of(run):
    """Join the names of a run and of the runs whose folders contain it: quickstart-stacked-finetune-100."""
    path = Path(os.path.abspath(run))
    above = [folder for folder in reversed(path.parents) if (folder / "recipe.json").exists()]
    return "-".join(folder.name for folder in [*above, path])


def examples(source):
    """Select EXAMPLES examples spread over the test (or training) split; a small split repeats some."""
    import numpy as np

    split = source.test if source.has_test else source.train
    return split.gather(np.linspace(0, len(split) - 1, EXAMPLES).astype(int))[0].numpy()


def card(recipe, info):
    """Collect the card's content: data, recipe and figures of the run, and the recipe of its pretraining."""
    from kerasae import runs

    content = runs.read_recipe(recipe.run)
    origin = content["recipe"].get("run")
    pretraining = runs.read_recipe(origin) if origin and Path(origin, "recipe.json").exists() else None
    metrics = runs.read_summary(recipe.run)
    return {"data": info.as_dict(), "recipe": content, "pretraining": pretraining, "metrics": metrics}


def answered(model, info):
    """What a classifier's outputs mean, for the card; nothing of other models."""
    if not isinstance(model, kerasae.models.Classifier):
        return {}
    return {"labels": {"kind": model.kind, "names": list(info.outputs)}}


def summary(dest, content):
    """Tabulate the endpoints, and give the commands that inspect and load the export."""
    differences = content["parity"]["endpoints"]
    rows = [("endpoint", "takes", "gives", "difference")]
    for name, endpoint in content["endpoints"].items():
        rows.append((name, spell(endpoint["inputs"]), spell(endpoint["outputs"]), f"{differences[name]:.1e}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    first, shape, dtype = next(iter(content["endpoints"])), content["input"]["shape"], content["input"]["dtype"]
    call = f"m.signatures['{first}'](tf.zeros({[2, *shape[1:]]}, '{dtype}'))"
    use = f"python -c \"import tensorflow as tf; m = tf.saved_model.load('{dest}'); print({call})\""
    return "\n".join([*table, f"saved_model_cli show --dir {dest} --all", use])


def spell(tensors):
    """Format the card's tensors in one line: images uint8 [B, 8, 8, 1]."""
    return ", ".join(f"{name} {t['dtype']} [{', '.join(map(size, t['shape']))}]" for name, t in tensors.items())


def size(length):
    return "B" if length is None else str(length)
