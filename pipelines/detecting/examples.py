"""Choose the examples that fit a detector, those that choose its threshold, and those that judge it."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kerasae
from kerasae.errors import InputError


@dataclass(frozen=True)
class Parts:
    """The examples of a detector: `train` as stored, the split `held` or None, `test`, and labels of the latter."""

    train: Any
    """Array [N, *shape] of normal training examples."""
    held: Any
    """`Split` of normal examples that training has not seen; None without any."""
    others: Any
    """Function that opens the training examples of other classes, a `Split`; None where there are none."""
    test: Any
    """`Split` that judges."""
    anomalies: Any
    """Bool [N] of the test examples; None where nothing says which are anomalies."""

    def held_out(self):
        """Read the held-out normal examples; raises InputError where there are none."""
        if self.held is None:
            raise InputError(
                "contamination: a threshold needs normal examples that training has not seen, but this run held none "
                "out; train with --only-class, --holdout or data with a validation part, or give --no-calibrate"
            )
        return self.held.arrays()[0]

    def labelled_held_out(self):
        """Read held-out normal examples and as many training examples of other classes, and say which are these."""
        import numpy as np

        normal = self.held_out()
        if self.others is None:
            raise InputError("threshold_by: f1 needs known anomalies, other classes than --only-class; leave it out")
        other = some(self.others(), len(normal))
        return np.concatenate([normal, other]), np.arange(len(normal) + len(other)) >= len(normal)


def parts(recipe, source) -> Parts:
    """Collect the parts of a recipe's data; what is trained on and held out is what the run recorded."""
    from kerasae import runs

    recorded = runs.read_recipe(recipe.run)["recipe"]
    for other in recipe.others:
        refuse_other_data(recorded, runs.read_recipe(other)["recipe"], other)
    own = recorded.get("data") == recipe.data and recorded.get("only_class") == recipe.only_class
    origin = source if own else runs.open_source(recorded, recipe.data_dir)
    train, held = (normal(split, origin.info, recipe) for split in trained_and_held(recorded, origin))
    others = None
    if recipe.only_class and origin.info.class_names:
        others = lambda: other_classes(recipe, recorded)  # noqa: E731
    test = source.test if source.has_test else source.train
    return Parts(some(train, recipe.most, recipe.seed), held, others, test, labels_of(test, source.info, recipe))


def refuse_other_data(recorded, other, path):
    """Raise InputError if a further run has learned from other data, or held others out."""
    unseen = lambda r: r.get("only_class") is not None  # noqa: E731  whose validation part depends on nothing else
    names = ["data", "only_class", *([] if unseen(recorded) else ["seed", "holdout"])]
    for name in names:
        if recorded.get(name) != other.get(name):
            raise InputError(
                f"others: {path} was trained with {name}={other.get(name)}, the first run with {recorded.get(name)}, "
                "so that they have seen different examples; give runs with the same one, or train with --only-class"
            )


def trained_and_held(recorded, source):
    """Part the training examples of a run into those that it has seen, and those that it has not or None."""
    from pipelines import train

    if Path(str(recorded.get("out") or "")).name and "holdout" in recorded and "variant" in recorded:
        return train.splits(source, SimpleNamespace(holdout=recorded["holdout"], seed=recorded["seed"]))
    validation = source.splits.get("validation")
    return source.train, None if validation is source.test else validation


def normal(split, info, recipe):
    """Keep the normal examples of a split, where a class is named."""
    import numpy as np

    if split is None or recipe.only_class is None or split.labels is None:
        return split
    rows = np.flatnonzero(split.labels == kerasae.data.class_number(info, recipe.only_class))
    return split.subset(rows) if len(rows) else None


def other_classes(recipe, recorded):
    """Open the training examples of the classes that are not normal."""
    import numpy as np

    from kerasae import runs

    whole = runs.open_source({**recorded, "only_class": None}, recipe.data_dir)
    number = kerasae.data.class_number(whole.info, recipe.only_class)
    return whole.train.subset(np.flatnonzero((whole.train.labels != number) & (whole.train.labels >= 0)))


def labels_of(test, info, recipe):
    """Tell which test examples are anomalies, by their classes; None where no class is named or known."""
    if recipe.only_class is None or test.labels is None or info.label_kind != "class":
        return None
    found = test.labels != kerasae.data.class_number(info, recipe.only_class)
    return found if found.any() and not found.all() else None


def some(split, count, seed=0):
    """Read at most `count` examples, drawn at random: [n, *shape]."""
    import numpy as np

    if len(split) > count:
        split = split.subset(np.sort(np.random.RandomState(seed).permutation(len(split))[:count]))
    return split.arrays()[0]
