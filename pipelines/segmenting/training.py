"""Train a segmenter on a pretrained encoder, and as a control the same network from random weights."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import kerasae
from kerasae.errors import InputError
from pipelines.fine_tuning import transformers


@dataclass(frozen=True)
class Parts:
    """Images with masks: those to learn from, those held out (or None), those to measure on, and what they are."""

    labelled: Any
    train: Any
    held: Any
    test: Any
    info: Any
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """What training gave: the segmenter, classes that each network names on the test images, notes on the epochs."""

    segmenter: Any
    named: dict
    epochs: dict


def parts(recipe, source) -> Parts:
    """Join images and masks, draw the labelled ones, and hold some of them out."""
    from pipelines.labels import balance

    found = kerasae.data.with_masks(source, recipe.masks, recipe.center)
    labels = {"label_kind": "pixels", "label_names": found.class_names, "label_columns": ("masks",)}
    info = replace(source.info, **labels, label_fingerprint=found.fingerprint, class_names=None)
    balance.check(recipe, info)
    if "train" not in found.splits or not {"test", "validation"} & found.splits.keys():
        raise InputError(f"masks: {recipe.masks} has no mask of the images of train, or none of test; add some")
    test = found.splits.get("test", found.splits.get("validation"))
    labelled = drawn(found.splits["train"], recipe.labels, recipe.seed)
    if not recipe.holdout:
        return Parts(labelled, labelled, None, test, info, found.notes)
    kept, held = kerasae.data.holdout(len(labelled), recipe.holdout, recipe.seed)
    return Parts(labelled, labelled.subset(kept), labelled.subset(held), test, info, found.notes)


def drawn(train, count, seed):
    """Draw labelled images by a seed; fewer are a part of more."""
    import numpy as np

    if count is None:
        return train
    if not 2 <= count <= len(train):
        raise InputError(f"labels: expected 2 to {len(train)}, the training images with masks. Received: {count}")
    return train.subset(np.sort(np.random.RandomState(seed).permutation(len(train))[:count]))


def trained(directory, model, parts, recipe) -> Trained:
    """Train both networks, and name the pixels of the test images by them."""
    from kerasae.training import precision

    found, epochs, kept = {}, {}, None
    longer = recipe.scratch_epochs or 3 * recipe.epochs
    for kind, count in {"pretrained": recipe.epochs, "scratch": longer}.items():
        if kind == "scratch" and not recipe.scratch:
            continue
        make = partial(build, model, parts.info, recipe)
        segmenter = make(fresh=kind == "scratch")
        progress = fit(directory, kind, segmenter, parts, recipe, count)
        segmenter = precision.float32_model(segmenter, partial(make, fresh=True))
        found[kind] = kerasae.evaluate.segment(segmenter, parts.test)
        epochs[kind] = said(progress, count, parts.held)
        kept = kept or segmenter
    return Trained(kept, found, epochs)


def said(progress, count, held):
    """Say which epoch was kept, and whether training had stopped getting better."""
    if held is None:
        return f"{count} epochs"
    better = "still getting better" if progress.best_epoch > 0.95 * count else "better no more"
    return f"best on the holdout: epoch {progress.best_epoch} of {count}, {better}"


def build(model, info, recipe, fresh):
    """Build a segmenter on the pretrained encoder, or on one with random weights; its logits keep float32."""
    import keras

    from kerasae.training import precision

    keras.utils.set_random_seed(recipe.seed)
    encoder = transformers.clone(model.feature_encoder(), 0.0)
    if not fresh:
        encoder.set_weights(model.feature_encoder().get_weights())
    settings = {"head": recipe.head, "head_width": recipe.head_width, "freeze": recipe.freeze and not fresh}
    count = len(info.label_names)
    return precision.in_float32(lambda: kerasae.models.Segmenter(encoder, count, pixel_max=info.max_value, **settings))


def fit(directory, stage, segmenter, parts, recipe, epochs):
    """Compile and train a segmenter; the epoch with the best intersection over union of the holdout is kept."""
    from kerasae import runs
    from kerasae.optimizers import schedules

    monitor, mode = segmenter.monitor if parts.held is not None else (None, "max")
    sizes = {"epochs": epochs, "batch_size": recipe.batch_size, "min_steps": recipe.min_steps}
    settings = runs.Stage(**sizes, monitor=monitor, mode=mode, patience=recipe.patience)
    optimizer = schedules.build(
        settings.steps(parts.train), recipe.rate, warmup=recipe.warmup, weight_decay=recipe.weight_decay,
        spare_tokens=True,
    )  # fmt: skip
    loss = segmenter.loss_of(weights(recipe, parts))
    segmenter.compile(optimizer, loss=loss, metrics=[segmenter.metric()], jit_compile="auto")
    mix = kerasae.data.MirrorBoth() if recipe.flip else None
    return directory.fit(stage, segmenter, parts.train, settings, seed=recipe.seed, validation=parts.held, mix=mix)


def weights(recipe, parts):
    """A weight for each class by a recipe: none, those given, or N / (K n_k) of its n_k pixels among N."""
    import numpy as np

    from pipelines.labels import balance

    if recipe.class_weights != ("balanced",):
        return balance.given(recipe.class_weights, parts.info) if recipe.class_weights else None
    masks = parts.train.masks
    counts = np.bincount(masks[masks != 255], minlength=len(parts.info.label_names))
    return np.where(counts, counts.sum() / (len(counts) * np.maximum(counts, 1)), 1.0).tolist()
