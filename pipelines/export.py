"""Export the model of a run as a SavedModel, ONNX or LiteRT, and verify it in a process that does not import kerasae.

A SavedModel is one program; ONNX and LiteRT are a file for each endpoint. Their libraries are extras: `pip install
"kerasae[onnx,litert]"`. Ranges for 8 bits come from training examples; what 8 bits cost is measured on test examples.
"""

import json
import os
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import DerivedRecipe
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import within

EXAMPLES = 16  # sent through the model and through the reloaded export
CALIBRATION = 200
"""Training examples from which 8-bit integers take the ranges of activations."""
MOST_TESTED, MOST_VALUES = 10_000, 20_000_000
"""Most test examples, and most of their values, on which the cost of 8 bits is measured."""


@dataclass(frozen=True, kw_only=True)
class Recipe(DerivedRecipe):
    """Settings for exporting one model."""

    dest: str | None = field(default=None, metadata={"positional": True})
    """Folder of the export; saved_models/NAME OF THE RUN when not given. -FORMAT is appended to it for other formats
    than SavedModel, where it is not given or several formats are."""
    format: tuple[Literal["saved_model", "onnx", "litert", "litert-dynamic", "litert-int8"], ...] = ("saved_model",)
    """Formats to write: a SavedModel; files of ONNX or LiteRT; of LiteRT with weights in 8 bits (dynamic), or with
    activations too (int8)."""
    tolerance: float | None = field(default=None, metadata=within("positive"))
    """Largest allowed difference to the model in memory; relative for values above 1. 1e-5 for a SavedModel and 1e-4
    for ONNX and LiteRT when not given; 8 bits have none."""

    takes_heads = True

    @property
    def folder(self):
        """Name of the folder inside the run: other formats leave the results of the SavedModel as they are."""
        return "export" if self.format == ("saved_model",) else f"export-{'-'.join(self.format)}"

    def __post_init__(self):
        super().__post_init__()
        if len(set(self.format)) < len(self.format):
            raise InputError(f"format: expected each once. Received: {' '.join(self.format)}")


def run(recipe: Recipe, checker=None):
    """Write each format and its card, reload it in another process and compare outputs.

    An earlier export at the destination is replaced only after that. Several exports may share a
    `kerasae.export.Checker`.
    """
    from kerasae import runs
    from pipelines.labels.names import matched

    with door.entered(recipe) as (recipe, source, begin):
        model = runs.load_model(recipe.run, source.info)
        segments = isinstance(model, kerasae.models.Segmenter)
        source = source if segments else matched(recipe.run, model, source)  # the card names the outputs
        content = card(recipe, source.info) | answered(model, source.info, recipe.run)
        options = {"dtype": source.info.dtype, "card": content, "tolerance": recipe.tolerance, "checker": checker}
        options |= {"examples": examples(source), **measured(source, recipe.format)}
        figures = {}
        for format, dest in destinations(recipe).items():
            written = export(model, format, dest, options)
            print(summary(dest, written))
            figures |= figures_of(written)
        return finish(begin("export", later=("dest", "tolerance")), figures)


def destinations(recipe):
    """Choose a folder for each format."""
    base = recipe.dest or f"saved_models/{name_of(recipe.run)}"
    alone = recipe.dest is not None and len(recipe.format) == 1
    return {name: base if alone or name == "saved_model" else f"{base}-{name}" for name in recipe.format}


def export(model, format, dest, options):
    """Write one format and return its card; a difference is the user's matter."""
    try:
        kerasae.export.save(model, dest, format=format, **options)
    except kerasae.export.ParityError as error:
        raise InputError(f"{error}; nothing was exported to {dest} (see --tolerance)") from None
    return json.loads(Path(dest, "card.json").read_text(encoding="utf-8"))


def figures_of(card):
    """Name the figures of an export: its difference, and what 8 bits cost."""
    name = "export" if card["format"] == "saved_model" else card["format"].replace("-", "_")
    figures = {f"{name}_max_abs_diff": card["parity"]["max_abs_diff"]}
    if measure := (card.get("quantized") or {}).get("measure"):
        figures |= {f"float_{measure}": card["quantized"]["model"], f"{name}_{measure}": card["quantized"]["export"]}
    return figures


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


def measured(source, formats):
    """Select training examples for the ranges of 8 bits, and test examples to measure their cost on."""
    if not any(kerasae.export.FORMATS[name].tolerance is None for name in formats):
        return {}
    test = source.test if source.has_test else source.train
    most = min(MOST_TESTED, max(1, MOST_VALUES // prod(source.info.shape)))
    return {"calibration": spread(source.train, CALIBRATION), "test": spread(test, most)}


def spread(split, most):
    """Gather at most `most` examples (x, y), evenly over a split."""
    import numpy as np

    rows = np.linspace(0, len(split) - 1, min(most, len(split))).astype(int)
    return tuple(part.numpy() for part in split.gather(rows))


def card(recipe, info):
    """Collect the card's content: data, recipe and figures of the run, and the recipe of its pretraining."""
    from kerasae import runs

    content = runs.read_recipe(recipe.run)
    origin = content["recipe"].get("run")
    pretraining = runs.read_recipe(origin) if origin and Path(origin, "recipe.json").exists() else None
    metrics = runs.read_summary(recipe.run)
    return {"data": info.as_dict(), "recipe": content, "pretraining": pretraining, "metrics": metrics}


def answered(model, info, run):
    """What a classifier's or a segmenter's outputs mean, for the card; nothing of other models."""
    if isinstance(model, kerasae.models.Segmenter):
        from kerasae import runs

        return {"labels": {"kind": "pixels", "names": runs.label_kind(run)[1]}}
    if not isinstance(model, kerasae.models.Classifier):
        return {}
    return {"labels": {"kind": model.kind, "names": list(info.outputs)}}


def summary(dest, content):
    """Tabulate the endpoints, say what was left out and what 8 bits cost, and give a command that loads the export."""
    differences = content["parity"]["endpoints"]
    rows = [("endpoint", "takes", "gives", "difference")]
    for name, endpoint in content["endpoints"].items():
        rows.append((name, spell(endpoint["inputs"]), spell(endpoint["outputs"]), f"{differences[name]:.1e}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    left_out = [f"left out: {name}, as {why}" for name, why in content.get("left_out", {}).items()]
    return "\n".join([*table, *left_out, *costs(content), *USES[content["format"].split("-")[0]](dest, content)])


def costs(content):
    """Say what 8 bits cost: accuracy or error of the export beside the model's, or differences of its outputs."""
    if (found := content.get("quantized")) is None:
        return []
    if "measure" in found:
        unit, scale = ("%", 100) if found["measure"] == "accuracy" else ("", 1)
        values = [f"{scale * found[who]:.4g}{unit}" for who in ("export", "model")]
        measure = {"accuracy": "accuracy", "mae": "mean absolute error"}[found["measure"]]
        return [f"{measure} on {found['labelled']} test examples: {content['format']} {values[0]}, float {values[1]}"]
    return [f"{name} on {found['examples']} test examples: {spell_cost(of)}" for name, of in found["outputs"].items()]


def spell_cost(difference):
    """Say how far an output in 8 bits is from the same in floats."""
    if "same" in difference:
        return f"{100 * difference['same']:.4g}% the same as in floats"
    mean, deviation = difference["mean_abs_diff"], difference["deviation"]
    return f"mean absolute difference {mean:.2g} to floats, whose deviation is {deviation:.2g}"


def use_of_saved_model(dest, content):
    """Give the commands that inspect and load a SavedModel."""
    name, endpoint = next(iter(content["endpoints"].items()))
    zeros = [f"tf.zeros({blank(tensor)})" for tensor in endpoint["inputs"].values()]
    named = ", ".join(f"{key}={value}" for key, value in zip(endpoint["inputs"], zeros, strict=True))
    call = f"m.signatures['{name}']({zeros[0] if len(zeros) == 1 else named})"
    use = f"python -c \"import tensorflow as tf; m = tf.saved_model.load('{dest}'); print({call})\""
    return [f"saved_model_cli show --dir {dest} --all", use]


def use_of_onnx(dest, content):
    """Give the command that runs a file of ONNX."""
    file, given = first_file(dest, content)
    load = f"import numpy as np, onnxruntime; m = onnxruntime.InferenceSession('{file}')"
    return [f'python -c "{load}; print(m.run(None, {{{given}}}))"']


def use_of_litert(dest, content):
    """Give the command that runs a file of LiteRT."""
    file, given = first_file(dest, content)
    load = f"import numpy as np; from ai_edge_litert.interpreter import Interpreter as I; m = I('{file}')"
    return [f'python -c "{load}; print(m.get_signature_runner()(**{{{given}}}))"']


USES = {"saved_model": use_of_saved_model, "onnx": use_of_onnx, "litert": use_of_litert}
"""Format without its precision → function of folder and card that returns commands."""


def first_file(dest, content):
    """Return the file of the first endpoint, and its inputs as the items of a dict."""
    endpoint = next(iter(content["endpoints"].values()))
    given = ", ".join(f"'{name}': np.zeros({blank(tensor)})" for name, tensor in endpoint["inputs"].items())
    return f"{dest}/{endpoint['file']}", given


def blank(tensor):
    """Spell shape and type of two examples, as arguments."""
    return f"{[2 if n is None else n for n in tensor['shape']]}, '{tensor['dtype']}'"


def spell(tensors):
    """Format the card's tensors in one line: images uint8 [B, 8, 8, 1]."""
    return ", ".join(f"{name} {t['dtype']} [{', '.join(map(size, t['shape']))}]" for name, t in tensors.items())


def size(length):
    return "B" if length is None else str(length)
