"""Fine-tune a pretrained encoder with few labels, beside the same network from scratch."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

import kerasae
from pipelines.recipe import DerivedRecipe


@dataclass(frozen=True, kw_only=True)
class FinetuneFields:
    """How a classifier is trained on top of an encoder; shared by the pipelines that end in one."""

    labels: int | None = None
    """Labelled examples to use, balanced over the classes; all of them when not given."""
    repeats: int = 1
    """Train this many times, with other labels and seeds, and report the mean and the standard deviation."""
    finetune_epochs: int = 50
    """Epochs of supervised training."""
    finetune_batch: int = 100
    """Examples per step of supervised training."""
    finetune_rate: float = 1e-3
    """Peak learning rate of supervised training."""
    finetune_min_steps: int = 20
    """Steps that an epoch has at least, where few labels make few batches."""
    warmup: float = 0.05
    """Share of the steps over which the learning rate rises; it then falls along a half-cosine."""
    weight_decay: float = 0.0
    """Decoupled weight decay; biases are spared."""
    label_smoothing: float = 0.0
    """Share of the target spread over the other classes."""
    dropout: float = 0.0
    """Share of hidden activations dropped."""
    input_dropout: float = 0.0
    """Share of input values dropped."""
    freeze: bool = False
    """Train the head only."""
    holdout: float = 0.1
    """Share of the labelled examples held out to choose the best epoch; 0 keeps the last epoch."""
    patience: int | None = None
    """Epochs without a better holdout accuracy after which training stops."""
    augment: Literal["none", "affine", "elastic"] = "none"
    """Distort the labelled images: shifts, turns and scalings, or these and elastic distortions."""
    scratch: bool = True
    """Also train the same network from random weights, with the same labels and budget, as a control."""


@dataclass(frozen=True, kw_only=True)
class Recipe(FinetuneFields, DerivedRecipe):
    """Fine-tune the encoder of a run."""


RECIPES: dict[str, Callable[[], Recipe]] = {}


def run(recipe: Recipe):
    """Load the encoder, train a classifier on the labels, compare it with the control, save it."""
    from pipelines import run as runs

    recipe = recipe.inherit(f"finetune-{recipe.labels or 'all'}")
    source = recipe.source()
    model = runs.load_model(recipe.run, source.info)
    directory = runs.Run(recipe.out, "finetune", recipe)
    return directory.finish(compare(directory, model, source, recipe))


def of_run(path, recipe):
    """The fine-tuning that another pipeline's recipe asks for, of the run in `path`."""
    shared = {f.name: getattr(recipe, f.name) for f in fields(FinetuneFields)}
    return Recipe(run=str(path), data_dir=recipe.data_dir, seed=recipe.seed, **shared)


def compare(directory, model, source, recipe):
    """Fine-tune and, as a control, train from scratch, `repeats` times each; returns the figures.

    The classifier of the first repeat is the run's model.
    """
    from pipelines.subsets import check_labels, spread

    check_labels(source, recipe)
    scores = {"finetune": [], "scratch": []}
    for repeat in range(recipe.repeats):
        seed = recipe.seed + repeat
        for kind in ("finetune", "scratch") if recipe.scratch else ("finetune",):
            classifier = build(model, source, recipe, seed, fresh=kind == "scratch")
            fit(directory, f"{kind}-{repeat + 1}", classifier, source, recipe, seed)
            report = kerasae.evaluate.classify(classifier, source.test)
            scores[kind].append(report.accuracy)
            if repeat == 0 and kind == "finetune":
                directory.save_model(classifier)
    return spread(scores)


def build(model, source, recipe, seed, fresh):
    """A compiled classifier on the model's encoder, or on a copy of it with new random weights."""
    import keras

    keras.utils.set_random_seed(seed)
    # A copy, so that every repeat starts from the pretrained weights.
    encoder = keras.models.clone_model(model.feature_encoder())
    if not fresh:
        encoder.set_weights(model.feature_encoder().get_weights())
    classifier = kerasae.models.Classifier(
        encoder,
        source.info.classes,
        dropout=recipe.dropout,
        input_dropout=recipe.input_dropout,
        freeze=recipe.freeze and not fresh,
        pixel_max=source.info.max_value,
    )
    return classifier


def fit(directory, stage, classifier, source, recipe, seed):
    """Train a classifier on the labelled subset of this seed."""
    from pipelines import run as runs

    labelled, held = labelled_splits(source.train, recipe, seed)
    settings = runs.Stage(
        epochs=recipe.finetune_epochs,
        batch_size=recipe.finetune_batch,
        min_steps=recipe.finetune_min_steps,
        monitor="val_accuracy",
        patience=recipe.patience,
    )
    compile_classifier(classifier, recipe, settings.steps(labelled))
    directory.fit(stage, classifier, labelled, settings, seed=seed, validation=held, augment=augmentation(recipe))


def labelled_splits(train, recipe, seed):
    """The labelled examples of this seed to train on, and those held out, or None."""
    from pipelines.subsets import labelled

    subset = train.subset(labelled(train, recipe.labels, seed))
    if not recipe.holdout:
        return subset, None
    kept, held = kerasae.data.holdout(subset.labels, recipe.holdout, seed)
    return subset.subset(kept), subset.subset(held)


def compile_classifier(classifier, recipe, steps):
    """Adam with warm-up and cosine decay, cross-entropy on (smoothed) labels."""
    from pipelines import optimisers

    optimizer = optimisers.build(steps, recipe.finetune_rate, warmup=recipe.warmup, weight_decay=recipe.weight_decay)
    loss = kerasae.models.SmoothedCrossentropy(recipe.label_smoothing)
    classifier.compile(optimizer, loss=loss, metrics=["accuracy"])


def augmentation(recipe):
    """The distortion that the recipe names, or None."""
    from kerasae.data.augment import ElasticDistortion, RandomAffine

    if recipe.augment == "none":
        return None
    affine = RandomAffine(shift=0.1, rotate=15.0, scale=0.15, shear=10.0)
    if recipe.augment == "affine":
        return affine
    elastic = ElasticDistortion()
    return lambda images, seeds: elastic(affine(images, seeds), seeds)
