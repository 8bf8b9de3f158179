"""Pretrain, probe, fine-tune with few labels, export, reload and report, on handwritten digits."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import kerasae
from pipelines import export, finetune, mae, probe, report, stacked, train
from pipelines.command_line import door
from pipelines.command_line.fields import DataRecipe
from pipelines.command_line.figures import finish, without_baselines
from pipelines.command_line.ranges import within
from pipelines.recipes import digits


@dataclass(frozen=True, kw_only=True)
class Recipe(DataRecipe):
    """Settings of the quickstart; the defaults take three to four minutes on two slow cores."""

    labels: int = field(default=100, metadata=within("count"))
    """Labelled examples for the probe and the fine-tuning; the pretraining uses none."""
    repeats: int = field(default=3, metadata=within("count"))
    """Fine-tune and train from scratch this many times, with different labels, and report the mean."""
    out: str = "runs/quickstart"
    """Run directory of the quickstart; each pretraining has a folder inside."""
    exports: str = "saved_models"
    """Folder into which the SavedModels are written."""


def run(recipe: Recipe):
    """Take a stacked denoising, a variational and a masked autoencoder from unlabelled images to SavedModels."""
    with door.entered(recipe) as (recipe, source, begin):
        stacking, variational, masking = check(pretrainings(recipe), source)
        directory = begin("quickstart")
        step("1/5 pretrain a stacked denoising autoencoder, probe it, fine-tune it with few labels")
        stack = stacked.run(stacking)
        figures = {name: value for name, value in stack.figures.items() if "accuracy" in name}
        step("2/5 the same with a convolutional variational autoencoder")
        vae = train.run(variational)
        figures |= use_labels(recipe, "vae", vae, digits.vae_digits_100())
        step("3/5 the same with a masked autoencoder, a vision transformer that is shown a quarter of each image")
        masked = mae.run(masking)
        figures |= use_labels(recipe, "mae", masked, digits.mae_digits_100())
        step("4/5 export, reload in a process without kerasae, compare")
        difference = export_all(recipe, {"": stack, "vae-": vae, "mae-": masked})
        step("5/5 figures and report")
        finish(directory, figures | {"export_max_abs_diff": difference})
        report.write(directory.path)
        print(closing(directory, recipe))
        return directory


def pretrainings(recipe):
    """Adapt the named recipes for digits to the quickstart's data and folder."""
    labelled = {"labels": recipe.labels, "repeats": recipe.repeats}
    parts = {
        "stacked": replace(digits.sdae_digits(), **labelled),
        "vae": digits.vae_digits(),
        "mae": digits.mae_digits(),
    }
    data = {field.name: getattr(recipe, field.name) for field in fields(DataRecipe)}
    return [replace(part, **data, out=f"{recipe.out}/{name}") for name, part in parts.items()]


def check(parts, source):
    """Return the recipes; raise InputError, before anything is trained, for data that one of them cannot use."""
    finetune.check(parts[0], source)
    kerasae.networks.conv(source.info.shape, 1)
    mae.check(parts[2], source)
    return parts


def step(title):
    print(f"\n== {title}")


def use_labels(recipe, name, pretrained, tuning):
    """Probe and fine-tune a pretrained run; return the figures, prefixed with `name`."""
    names = ("seed", "deterministic", "repeats")
    base = {"run": str(pretrained.path), **{name: getattr(recipe, name) for name in names}}
    probed = probe.run(probe.Recipe(**base, labels=(recipe.labels,))).figures
    measured = without_baselines(probed | finetune.run(replace(tuning, **base, labels=recipe.labels)).figures)
    return {f"{name}_{figure}": value for figure, value in measured.items()}


def export_all(recipe, pretrained):
    """Export the autoencoders and their classifiers as SavedModels; return the largest difference to the models."""
    parts = {}
    for name, trained in pretrained.items():
        parts[f"quickstart-{name.removesuffix('-') or 'stacked'}"] = trained.path
        parts[f"quickstart-{name}classifier"] = trained.path / f"finetune-{recipe.labels}"
    with kerasae.export.Checker() as checker:
        results = [
            export.run(export.Recipe(run=str(path), dest=str(Path(recipe.exports) / name)), checker)
            for name, path in parts.items()
        ]
    return max(result.figures["export_max_abs_diff"] for result in results)


def closing(directory, recipe):
    """List the paths of report, figures and SavedModels."""
    return "\n".join(
        [
            "",
            f"look at   {directory.path / 'report.html'}",
            f"figures   {directory.path / 'summary.json'}",
            f"serve     {Path(recipe.exports) / 'quickstart-classifier'} and its neighbours",
        ]
    )
