"""The whole journey on handwritten digits: pretrain, probe, fine-tune with few labels, export, reload, report."""

from dataclasses import dataclass
from pathlib import Path

from pipelines import export, probe, report, stacked, train
from pipelines.recipe import DataRecipe


@dataclass(frozen=True, kw_only=True)
class Recipe(DataRecipe):
    """The journey; the defaults take about two minutes on two cores."""

    labels: int = 100
    """Labelled examples for the probe and the fine-tuning; the pretraining uses none."""
    repeats: int = 5
    """Fine-tune and train from scratch this many times, with other labels, and report the mean."""
    out: str = "runs/quickstart"
    """Run directory of the whole journey; each part has a folder inside."""
    exports: str = "saved_models"
    """Folder in which the two SavedModels land."""


def run(recipe: Recipe):
    """Stacked denoising autoencoder and convolutional VAE, from unlabelled images to SavedModels."""
    from pipelines import run as runs

    directory = runs.Run(recipe.out, "quickstart", recipe)
    figures = {}
    step("1/5 pretrain a stacked denoising autoencoder, fine-tune it with few labels")
    stack = stacked.run(stacked_recipe(recipe))
    figures |= {name: value for name, value in stack.figures.items() if "accuracy" in name}
    step("2/5 pretrain a convolutional variational autoencoder")
    vae = train.run(vae_recipe(recipe))
    step("3/5 probe its code")
    probed = probe.run(probe.Recipe(run=str(vae.path), labels=recipe.labels, repeats=recipe.repeats))
    figures |= {"vae_probe_accuracy": probed.figures["probe_accuracy"]}
    step("4/5 export both, reload them in a fresh process, compare")
    figures |= {"export_max_abs_diff": export_both(recipe, stack, vae)}
    step("5/5 report")
    directory.finish(figures)
    report.write(directory.path)
    print(closing(directory, recipe))
    return directory


def step(title):
    print(f"\n== {title}")


def stacked_recipe(recipe):
    """Two denoising layers, 64-512-256, then 100 labels."""
    return stacked.Recipe(
        data=recipe.data,
        data_dir=recipe.data_dir,
        image_size=recipe.image_size,
        skip_broken=recipe.skip_broken,
        seed=recipe.seed,
        out=f"{recipe.out}/stacked",
        widths=(512, 256),
        pretrain_epochs=150,
        pretrain_batch=30,
        labels=recipe.labels,
        repeats=recipe.repeats,
        holdout=0.0,
        finetune_epochs=20,
    )


def vae_recipe(recipe):
    """Sixteen latent dimensions, two halvings."""
    return train.Recipe(
        variant="variational",
        network="conv",
        data=recipe.data,
        data_dir=recipe.data_dir,
        image_size=recipe.image_size,
        skip_broken=recipe.skip_broken,
        seed=recipe.seed,
        out=f"{recipe.out}/vae",
        code=16,
        epochs=120,
        batch_size=50,
    )


def export_both(recipe, stack, vae):
    """SavedModels of the fine-tuned classifier and of the VAE; the larger of their parity differences."""
    classifier = next(stack.path.glob("finetune-*"))
    parts = {"quickstart-classifier": classifier, "quickstart-vae": vae.path}
    results = [
        export.run(export.Recipe(run=str(path), dest=str(Path(recipe.exports) / name))) for name, path in parts.items()
    ]
    return max(result.figures["export_max_abs_diff"] for result in results)


def closing(directory, recipe):
    """The paths to look at."""
    return "\n".join(
        [
            "",
            f"look at   {directory.path / 'report.html'}",
            f"figures   {directory.path / 'summary.json'}",
            f"serve     {Path(recipe.exports) / 'quickstart-classifier'}, {Path(recipe.exports) / 'quickstart-vae'}",
        ]
    )
