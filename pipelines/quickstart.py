"""The whole journey on handwritten digits: pretrain, probe, fine-tune with few labels, export, reload, report."""

from dataclasses import dataclass, field, fields
from pathlib import Path

import kerasae
from pipelines import export, finetune, mae, probe, report, stacked, train
from pipelines.command_line import door
from pipelines.command_line.fields import DataRecipe
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import within

TUNING = {"finetune_epochs": 20, "holdout": 0.0}
MAE_TUNING = {
    **TUNING,
    "finetune_batch": 50,
    "finetune_min_steps": 10,
    "augment": "affine",
    "weight_decay": 0.05,
}


@dataclass(frozen=True, kw_only=True)
class Recipe(DataRecipe):
    """The journey; the defaults take three to four minutes on two slow cores."""

    labels: int = field(default=100, metadata=within("count"))
    """Labelled examples for the probe and the fine-tuning; the pretraining uses none."""
    repeats: int = field(default=3, metadata=within("count"))
    """Fine-tune and train from scratch this many times, with other labels, and report the mean."""
    out: str = "runs/quickstart"
    """Run directory of the whole journey; each part has a folder inside."""
    exports: str = "saved_models"
    """Folder in which the SavedModels land."""


def run(recipe: Recipe):
    """Stacked denoising, variational and masked autoencoder, from unlabelled images to SavedModels."""
    with door.entered(recipe) as entry:
        check(recipe, entry.source)
        directory = entry.directory("quickstart")
        step("1/5 pretrain a stacked denoising autoencoder, probe it, fine-tune it with few labels")
        stack = stacked.run(stacked_recipe(recipe))
        figures = {name: value for name, value in stack.figures.items() if "accuracy" in name}
        step("2/5 the same with a convolutional variational autoencoder")
        vae = train.run(vae_recipe(recipe))
        figures |= use_labels(recipe, "vae", vae, TUNING)
        step("3/5 the same with a masked autoencoder, a vision transformer that is shown a quarter of each image")
        masked = mae.run(mae_recipe(recipe))
        figures |= use_labels(recipe, "mae", masked, MAE_TUNING)
        step("4/5 export, reload in a process without kerasae, compare")
        difference = export_all(recipe, stack, vae, masked)
        step("5/5 figures and report")
        finish(directory, figures | {"export_max_abs_diff": difference})
        report.write(directory.path)
        print(closing(directory, recipe))
        return directory


def check(recipe, source):
    """Raise InputError before anything is trained if these data cannot make the whole journey."""
    finetune.check(stacked_recipe(recipe), source)
    kerasae.networks.conv(source.info.shape, 1)
    mae.check(mae_recipe(recipe), source)


def step(title):
    print(f"\n== {title}")


def reading(recipe):
    """Where the data come from, for the recipes of the parts."""
    return {field.name: getattr(recipe, field.name) for field in fields(DataRecipe)}


def stacked_recipe(recipe):
    """Two denoising layers, 64-512-256, then 100 labels."""
    return stacked.Recipe(
        **reading(recipe),
        out=f"{recipe.out}/stacked",
        widths=(512, 256),
        pretrain_epochs=150,
        pretrain_batch=30,
        labels=recipe.labels,
        repeats=recipe.repeats,
        **TUNING,
    )


def vae_recipe(recipe):
    """Sixteen latent dimensions, two halvings."""
    return train.Recipe(
        variant="variational",
        network="conv",
        # Cross-entropy of 64 grey values leaves little to gain from a code: at beta 1 only 3 nats of it are used.
        options={"beta": 0.2},
        **reading(recipe),
        out=f"{recipe.out}/vae",
        code=16,
        epochs=120,
        batch_size=50,
    )


def mae_recipe(recipe):
    """Three blocks of width 96 on patches of 2×2; pixels as targets, so that the pictures show the digits' own grey."""
    return mae.Recipe(
        **reading(recipe),
        out=f"{recipe.out}/mae",
        patch=(2,),
        width=96,
        depth=3,
        heads=4,
        decoder_width=48,
        decoder_depth=1,
        decoder_heads=4,
        normalize_targets=False,
        epochs=150,
        warmup_epochs=10,
        batch_size=128,
        base_rate=4e-3,
        crop=0.6,
        flip=False,
        pictures_every=50,
    )


def use_labels(recipe, name, pretrained, tuning):
    """Probe and fine-tune a pretrained run; its figures, with `name` in front."""
    names = ("seed", "deterministic", "labels", "repeats")
    base = {"run": str(pretrained.path), **{name: getattr(recipe, name) for name in names}}
    measured = probe.run(probe.Recipe(**base)).figures | finetune.run(finetune.Recipe(**base, **tuning)).figures
    return {f"{name}_{figure}": value for figure, value in measured.items()}


def export_all(recipe, stack, vae, masked):
    """SavedModels of the autoencoders and of their classifiers; the largest of their differences to the models."""
    tuned = f"finetune-{recipe.labels}"
    parts = {
        "quickstart-stacked": stack.path,
        "quickstart-classifier": stack.path / tuned,
        "quickstart-vae": vae.path,
        "quickstart-vae-classifier": vae.path / tuned,
        "quickstart-mae": masked.path,
        "quickstart-mae-classifier": masked.path / tuned,
    }
    with kerasae.export.Checker() as checker:
        results = [
            export.run(export.Recipe(run=str(path), dest=str(Path(recipe.exports) / name)), checker)
            for name, path in parts.items()
        ]
    return max(result.figures["export_max_abs_diff"] for result in results)


def closing(directory, recipe):
    """The paths to look at."""
    return "\n".join(
        [
            "",
            f"look at   {directory.path / 'report.html'}",
            f"figures   {directory.path / 'summary.json'}",
            f"serve     {Path(recipe.exports) / 'quickstart-classifier'} and its neighbours",
        ]
    )
