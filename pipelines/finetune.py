"""Fine-tune a pretrained encoder with few labels, beside the same network from scratch."""

from dataclasses import dataclass, field, fields
from functools import partial
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.building import budget, distortions, starting
from pipelines.command_line import door
from pipelines.command_line.fields import DerivedRecipe, NumericsFields, in_place_of
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import within
from pipelines.fine_tuning import transformers


@dataclass(frozen=True, kw_only=True)
class FinetuneFields:
    """Settings of the training of a classifier on an encoder; shared by the pipelines that fine-tune."""

    labels: int | None = field(default=None, metadata=within("count"))
    """Labelled examples to use, balanced over the classes; all of them when not given."""
    repeats: int = field(default=1, metadata=within("count"))
    """Train this many times, with other labels and seeds, and report the mean and the standard deviation."""
    finetune_epochs: int = field(default=50, metadata=within("count"))
    """Epochs of supervised training."""
    finetune_batch: int = field(default=100, metadata=within("count"))
    """Examples per step of supervised training."""
    finetune_rate: float = field(default=1e-3, metadata=within("positive"))
    """Peak learning rate of supervised training."""
    finetune_min_steps: int = field(default=20, metadata=within("count"))
    """Steps that an epoch has at least, where few labels make few batches."""
    warmup: float = field(default=0.05, metadata=within("share"))
    """Share of the steps over which the learning rate rises; it then falls along a half-cosine."""
    weight_decay: float = field(default=0.0, metadata=within("amount"))
    """Decoupled weight decay; biases are spared."""
    class_weights: tuple[str, ...] | None = None
    """Weights of the classes in the loss: balanced, or a number for each class in the order of their names. Of several
    classes per image they weigh the presence of a class."""
    balanced_sampling: bool = False
    """Show every class as often as the largest one; an epoch has that many more examples."""
    label_smoothing: float = field(default=0.0, metadata=within("share"))
    """Share of the target spread over the other classes."""
    dropout: float = field(default=0.0, metadata=within("share"))
    """Share of hidden activations dropped."""
    input_dropout: float = field(default=0.0, metadata=within("share"))
    """Share of input values dropped."""
    freeze: bool = False
    """Train the head only."""
    holdout: float | None = field(default=None, metadata=within("share"))
    """Share of the labelled examples held out to choose the best epoch; 0 keeps the last epoch. When not given, 10 %
    of 1,000 labels or more, and none of fewer."""
    patience: int | None = field(default=None, metadata=within("count"))
    """Epochs without a better holdout accuracy, or of other labels than one class loss, after which training stops."""
    augment: Literal["none", "affine", "elastic"] = "none"
    """Distort the labelled images: shifts, turns and scalings, or these and elastic distortions."""
    scratch: bool = True
    """Also train the same network from random weights, with the same labels and steps, as a control."""
    baselines: bool = True
    """Give the same labels to classifiers that know no pretraining: of raw input and PCA, and a convolutional network
    from scratch."""


@dataclass(frozen=True, kw_only=True)
class Recipe(FinetuneFields, transformers.VisionFields, NumericsFields, DerivedRecipe):
    """Fine-tune the encoder of a run."""

    minutes: float | None = in_place_of("finetune_epochs")
    """Minutes in which all classifiers are trained, with their controls and repeats, instead of finetune_epochs."""

    @property
    def folder(self):
        """Name the folder inside the run by the number of labels."""
        return f"finetune-{self.labels or 'all'}"

    @property
    def batch(self):
        """Count the examples of a step."""
        return self.finetune_batch

    @property
    def divisible(self):
        """Tell whether micro-batches on separate cores are faster, as they are for transformers without batch norm."""
        from kerasae.runs import read_recipe

        origin = read_recipe(self.run)
        batch_norm = origin["recipe"].get("network") == "vgg"
        return origin["command"] in ("mae", "weights") and not self.jit and not batch_norm


def run(recipe: Recipe):
    """Load the encoder, train a classifier on the labels, compare it with the control, save it."""
    from kerasae import runs

    with door.entered(recipe) as (recipe, source, begin):
        check(recipe, source)
        model = starting.fit_to(runs.load_model(recipe.run), source.info, recipe.run)
        if not hasattr(model, "feature_encoder"):
            raise InputError(f"{recipe.run} holds a classifier; fine-tune the run that it was made from")
        transformers.check(recipe, source.info, model.feature_encoder())
        recipe, begin = budget.with_epochs(
            recipe, begin, "finetune", partial(cost, model, source, recipe), origin=model
        )
        directory = begin("finetune", origin=model, labelled=True)
        figures = compare(directory, model, source, recipe)
        return directory.finish(figures) if "finetune_verdict" in figures else finish(directory, figures)


def check(recipe, source):
    """Raise InputError before anything is trained if these data cannot be fine-tuned on like that."""
    from pipelines.labels import balance
    from pipelines.labels.repeats import check_labels

    check_labels(source.labelled(), [recipe.labels], recipe.seed)
    balance.check(recipe, source.info)
    if source.info.kind == "tokens":
        raise InputError(
            f"data: {source.info.spec} holds tokens, which are not fine-tuned on; use kerasae train and kerasae probe"
        )
    if source.info.label_kind == "numbers" and recipe.label_smoothing:
        raise InputError("label_smoothing: numbers have no classes; leave it out")
    if recipe.augment != "none" and len(source.info.shape) != 3:
        raise InputError(f"augment: {recipe.augment} distortions need images, not examples {source.info.shape}")


def of_run(path, recipe):
    """Make the recipe that fine-tunes the run in `path` with the settings of another pipeline's recipe."""
    shared = {f.name: getattr(recipe, f.name) for f in (*fields(FinetuneFields), *fields(NumericsFields))}
    names = ("data_dir", "seed", "deterministic", "accept_changed_data")
    return Recipe(run=str(path), **{name: getattr(recipe, name) for name in names}, **shared)


def compare(directory, model, source, recipe):
    """Fine-tune and, as a control, train from scratch, `repeats` times each; return the figures.

    The classifier of the first repeat is the run's model.
    """
    from kerasae.training import precision
    from pipelines.labels import tuning

    measured = kerasae.evaluate.LABEL_KINDS[source.info.label_kind]
    reports, whole, source = {"finetune": [], "scratch": []}, source, source.labelled()
    for repeat in range(recipe.repeats):
        seed = recipe.seed + repeat
        for kind in ("finetune", "scratch") if recipe.scratch else ("finetune",):
            classifier = build(model, source, recipe, seed, fresh=kind == "scratch")
            decay = 1.0 if kind == "scratch" else recipe.layer_decay
            fit(directory, f"{kind}-{repeat + 1}", classifier, source, recipe, seed, decay)
            again = partial(build, model, source, recipe, seed, fresh=True)
            classifier = precision.float32_model(classifier, again)
            reports[kind].append(measured.run(classifier, source.test))
            if repeat == 0 and kind == "finetune":
                directory.save_model(classifier)
    return tuning.judge(directory, reports, model, whole, recipe)


def cost(model, source, recipe):
    """Measure the time that training all classifiers takes, on one that is thrown away."""
    from kerasae import runs

    source = source.labelled()
    classifier = build(model, source, recipe, recipe.seed, fresh=True)
    labelled, held, settings = prepare(classifier, source, recipe, recipe.seed)
    options = changes(classifier, source, recipe) | {"validation": held, "seed": recipe.seed}
    found = runs.measure(classifier, labelled, settings, recipe.minutes, **options)
    count = recipe.repeats * (1 + recipe.scratch)
    return runs.Cost(found.spent, count * found.start, count * found.epoch)


def build(model, source, recipe, seed, fresh):
    """Build a classifier on the pretrained encoder, or on one with random weights; its head keeps float32."""
    import keras

    from kerasae.training import precision

    keras.utils.set_random_seed(seed)
    # A copy, so that every repeat starts from the pretrained weights.
    encoder = transformers.clone(model.feature_encoder(), recipe.drop_path)
    if not fresh:
        encoder.set_weights(model.feature_encoder().get_weights())
    head = answering(source, recipe, seed)
    return precision.in_float32(lambda: on_top(encoder, source.info, recipe, recipe.freeze and not fresh, head))


def on_top(encoder, info, recipe, freeze, head):
    """Put a head, and the pooling of tokens that the recipe names, on an encoder."""
    if recipe.pooling:
        encoder = kerasae.networks.pool_vit(encoder, recipe.pooling)
    head |= {"dropout": recipe.dropout, "input_dropout": recipe.input_dropout}
    return kerasae.models.Classifier(encoder, len(info.outputs), freeze=freeze, pixel_max=info.max_value, **head)


def answering(source, recipe, seed):
    """Choose arguments of a `Classifier` by the kind of labels; numbers are standardised by the training labels."""
    kind = source.info.label_kind
    if kind != "numbers":
        return {"kind": kind}
    labels = labelled_splits(source.train.labelled(), recipe, seed)[0].labels.astype("float64")
    deviations = [float(value) or 1.0 for value in labels.std(axis=0)]
    return {"kind": kind, "shift": labels.mean(axis=0).tolist(), "scale": deviations}


def fit(directory, stage, classifier, source, recipe, seed, layer_decay=1.0):
    """Train a classifier on the labelled subset of this seed."""
    labelled, held, settings = prepare(classifier, source, recipe, seed, layer_decay)
    options = changes(classifier, source, recipe)
    directory.fit(stage, classifier, labelled, settings, seed=seed, validation=held, **options)


def prepare(classifier, source, recipe, seed, layer_decay=1.0):
    """Compile a classifier for the labels of a seed; returns what it is trained on, what is held out, its `Stage`."""
    from kerasae import runs
    from kerasae.training import devices
    from pipelines.labels import balance

    labelled, held = labelled_splits(source.train, recipe, seed)
    weights, labelled = balance.weights(recipe, labelled.labels, source.info), balance.sampled(recipe, labelled, seed)
    monitor, mode = classifier.answers.monitor
    settings = runs.Stage(
        epochs=recipe.finetune_epochs,
        batch_size=recipe.finetune_batch,
        min_steps=recipe.finetune_min_steps,
        monitor=monitor,
        mode=mode,
        patience=recipe.patience,
    )
    compile_classifier(classifier, recipe, settings.steps(labelled), layer_decay, weights)
    classifier.set_micro_batches(*devices.parts(recipe, min(settings.batch_size, len(labelled))))
    return labelled, held, settings


def changes(classifier, source, recipe):
    """Build the augmentation and the mixing of the labelled images."""
    return {
        "augment": augmentation(recipe, source.info, classifier.encoder),
        "mix": transformers.mixing(recipe, source.info),
    }


def labelled_splits(train, recipe, seed):
    """Split the labelled examples of a seed into those to train on and those held out, or None."""
    from pipelines.labels.repeats import labelled

    subset = train.subset(labelled(train, recipe.labels, seed))
    share = recipe.holdout if recipe.holdout is not None else 0.1 * (len(subset) >= 1000)
    if not share:
        return subset, None
    kept, held = kerasae.data.holdout(subset.labels, share, seed)
    return subset.subset(kept), subset.subset(held)


def compile_classifier(classifier, recipe, steps, layer_decay, class_weights=None):
    """Compile a classifier: Adam with warm-up and cosine decay, and cross-entropy, or squared error for numbers."""
    from kerasae.optimizers import schedules

    optimizer = schedules.build(
        steps,
        recipe.finetune_rate,
        warmup=recipe.warmup,
        floor=recipe.min_rate,
        weight_decay=recipe.weight_decay,
        scales=kerasae.optimizers.layer_scales(classifier.encoder, layer_decay) if layer_decay < 1 else None,
        spare_tokens=True,
        ema=recipe.ema,
    )
    loss, metrics = classifier.answers.loss(recipe.label_smoothing, class_weights), [classifier.answers.metric()]
    classifier.compile(optimizer, loss=loss, jit_compile=recipe.jit or "auto", metrics=metrics)


def augmentation(recipe, info, encoder):
    """Build the augmentation that the recipe names, or None."""
    return transformers.augmentation(recipe, info, encoder, distortions.named(recipe.augment))
