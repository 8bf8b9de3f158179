"""Pretrain, probe, fine-tune with few labels, export, reload and report, on handwritten digits."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import kerasae
from pipelines import export, finetune, mae, probe, report, stacked, train
from pipelines.command_line import door
from pipelines.command_line.fields import DataRecipe
from pipelines.command_line.figures import without_baselines
from pipelines.command_line.ranges import within
from pipelines.recipes import digits


@dataclass(frozen=True, kw_only=True)
class Recipe(DataRecipe):
    """Settings of the quickstart; the defaults take three minutes on two slow cores."""

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
        step("1/5 pretrain a stacked denoising autoencoder, probe it with 10 labels and more, fine-tune it")
        stack = stacked.run(replace(stacking, supervised=False))
        counts = numbers_of_labels(recipe, source.info)
        curve = probed(recipe, stack, counts)
        figures = tuned(recipe, "stacked", finetune.of_run(stack.path, stacking))
        step("2/5 the same with a convolutional variational autoencoder")
        vae = train.run(variational)
        figures |= use_labels(recipe, "vae", vae, digits.vae_digits_100())
        step("3/5 the same with a masked autoencoder, a vision transformer that is shown a quarter of each image")
        masked = mae.run(masking)
        figures |= use_labels(recipe, "mae", masked, digits.mae_digits_100())
        step("4/5 export, reload in a process without kerasae, compare")
        difference = export_all(recipe, {"": stack, "vae-": vae, "mae-": masked})
        step("5/5 figures and report")
        directory.finish(figures | {"export_max_abs_diff": difference})
        report.write(directory.path)
        print(closing(recipe, directory, curve, counts, figures, difference))
        return directory


def numbers_of_labels(recipe, info):
    """Choose the numbers of labels of the curve: 10 and 20 if they suffice for all classes, and `labels`."""
    return *(n for n in (10, 20) if info.classes <= n < recipe.labels), recipe.labels


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
    figures = without_baselines(probed(recipe, pretrained, (recipe.labels,)))
    base = {"run": str(pretrained.path), "labels": recipe.labels}
    base |= {name: getattr(recipe, name) for name in ("seed", "deterministic", "repeats")}
    return {f"{name}_{figure}": value for figure, value in figures.items()} | tuned(
        recipe, name, replace(tuning, **base)
    )


def probed(recipe, pretrained, counts):
    """Probe a pretrained run with these numbers of labels; return the figures."""
    shared = {name: getattr(recipe, name) for name in ("seed", "deterministic", "repeats")}
    return probe.run(probe.Recipe(run=str(pretrained.path), labels=counts, **shared)).figures


def tuned(recipe, name, tuning):
    """Fine-tune a pretrained run; return the figures, prefixed with `name`."""
    return {f"{name}_{figure}": value for figure, value in without_baselines(finetune.run(tuning).figures).items()}


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


def closing(recipe, directory, curve, counts, figures, difference):
    """Summarise the run on one screen: the stack's label curve, the fine-tuned classifiers, where results are."""
    names = {"stacked": "stacked autoencoder", "vae": "variational autoencoder", "mae": "masked autoencoder"}
    accuracies = (f"{title} {100 * figures[f'{name}_finetune_accuracy']:.1f} %" for name, title in names.items())
    lines = [
        "",
        "labels  stacked features  raw input or PCA  convolutional network from scratch, shifted images",
        *(compared(curve, count, f"labels_{count}_" if len(counts) > 1 else "") for count in counts),
        "",
        f"fine-tuned with {recipe.labels} labels: {', '.join(accuracies)}",
        f"exports differ from the models by {difference:.1e}",
        "",
        f"look at   {directory.path / 'report.html'}",
        f"figures   {directory.path / 'summary.json'}",
        f"serve     {Path(recipe.exports) / 'quickstart-classifier'} and its neighbours",
    ]
    return "\n".join(lines)


def compared(curve, count, prefix):
    """Set the better probe with some labels beside the best of raw input or PCA and the network, in one line."""
    from kerasae.evaluate import BASELINES

    means = {name: curve.get(f"{prefix}{name}_accuracy", 0.0) for name in ("probe", "knn", *BASELINES)}
    ours = max(means["probe"], means["knn"])
    plain = max(value for name, value in means.items() if name.startswith(("raw", "pca")))
    cells = (f"{100 * value:.1f} % ({100 * (ours - value):+.1f})" for value in (plain, means["convnet"]))
    return f"{count:6}  {100 * ours:14.1f} %  {next(cells):>16}  {next(cells):>16}"
