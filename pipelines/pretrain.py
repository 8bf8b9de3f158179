"""Pretrain, probe, fine-tune, export and report by one command that chooses method and sizes."""

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

from kerasae.errors import InputError
from pipelines import export, finetune, mae, probe, report, stacked
from pipelines.building import rules
from pipelines.command_line import door
from pipelines.command_line.fields import DataRecipe, NumericsFields, RunRecipe
from pipelines.command_line.figures import finish, without_baselines
from pipelines.command_line.ranges import within


@dataclass(frozen=True, kw_only=True)
class Recipe(NumericsFields, RunRecipe):
    """Data, labels and minutes."""

    minutes: float = field(default=30.0, metadata=within("positive"))
    """Minutes for everything: a bit more than half for pretraining, a quarter for fine-tuning, the rest for baselines,
    export and page."""
    labels: int | None = field(default=None, metadata=within("count"))
    """Labelled examples to use, balanced over the classes; all of them when not given."""
    repeats: int = field(default=3, metadata=within("count"))
    """Probe and fine-tune this many times, with other labels, and report the mean and the standard deviation."""
    dest: str | None = None
    """Folder of the SavedModel; saved_models/NAME OF THE RUN when not given."""

    folder = "pretrain"

    def size_for(self, shape):
        """Choose the size that image files are read at; arrays keep their own."""
        return rules.image_size(shape) if self.data.startswith(("folder:", "tfds:")) else None


def run(recipe: Recipe):
    """Pretrain by the rules, then probe, fine-tune, export and write the page."""
    with door.entered(recipe) as (recipe, source, begin):
        chosen = rules.pretraining(source.info, shared(recipe, "pretraining"), recipe.minutes)
        labelled = source.train.labels is not None
        tuning = rules.tuning(source.info, chosen.out, recipe.labels, use(recipe), recipe.minutes)
        check(recipe, source, chosen, tuning if labelled else None)
        print(rules.explain(source.info, chosen))
        with leaving_nothing(recipe.out):
            directory = begin("pretrain", labelled=labelled, later={"labels", "repeats", "dest"})
            pretrained = (mae if isinstance(chosen, mae.Recipe) else stacked).run(chosen)
        figures = dict(pretrained.figures)
        if labelled:
            figures |= use_labels(tuning)
        exported = export_model(recipe, pretrained.path, tuning if labelled else None)
        finish(directory, without_baselines(figures | exported))
        report.write(directory.path)
        print(f"look at   {directory.path / 'report.html'}")
        return directory


def check(recipe, source, chosen, tuning):
    """Raise InputError, before anything is written, for data that the chosen recipes cannot use."""
    if tuning is not None:
        finetune.check(tuning, source)
    elif recipe.labels is not None:
        raise InputError(f"labels: {source.info.spec} has no classes; leave labels out")
    if isinstance(chosen, mae.Recipe):
        mae.check(chosen, source)


@contextmanager
def leaving_nothing(path):
    """Remove a new run directory when a mistake, such as too few minutes, ends the command before it trained."""
    from kerasae.runs import begun

    existed = Path(path).exists()
    try:
        yield
    except InputError:
        if not existed and Path(path).exists() and not begun(Path(path)):
            shutil.rmtree(path)
        raise


def shared(recipe, name):
    """Collect the fields that a pretraining shares with this command, and its folder inside the run."""
    names = [f.name for cls in (DataRecipe, NumericsFields) for f in fields(cls)]
    return {name: getattr(recipe, name) for name in names} | {"out": f"{recipe.out}/{name}"}


def use(recipe):
    """Collect the fields that a fine-tuning shares with this command."""
    names = ("data_dir", "seed", "deterministic", "accept_changed_data", "repeats")
    names += tuple(f.name for f in fields(NumericsFields))
    return {name: getattr(recipe, name) for name in names}


def use_labels(tuning):
    """Probe and fine-tune the pretrained run; return the figures."""
    names = ("run", "data_dir", "seed", "deterministic", "accept_changed_data", "repeats")
    labels = None if tuning.labels is None else (tuning.labels,)
    probed = probe.run(probe.Recipe(**{name: getattr(tuning, name) for name in names}, labels=labels))
    return probed.figures | finetune.run(tuning).figures


def export_model(recipe, path, tuning):
    """Export the classifier, or without labels the autoencoder; return the figures of the comparison."""
    source = path if tuning is None else path / tuning.folder
    dest = recipe.dest or f"saved_models/{export.name_of(recipe.out)}"
    return export.run(export.Recipe(run=str(source), dest=dest, data_dir=recipe.data_dir)).figures
