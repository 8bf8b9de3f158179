"""Draw what an autoencoder makes of examples, what its first layer looks for, and what it makes up."""

import math
from dataclasses import dataclass

import keras
import numpy as np

from kerasae import plots
from kerasae.applications import between
from kerasae.report.pictures.rendering import Picture, array, class_names, picture


@dataclass(frozen=True)
class Examples:
    """A few stored examples with their class names; `unseen` tells whether they are test examples."""

    images: np.ndarray
    names: list[str]
    unseen: bool

    @classmethod
    def of(cls, source, count=10):
        """Select examples of each class in turn, from the test split if there is one."""
        unseen = source.has_test
        split = source.test if unseen else source.train
        images, labels = split.gather(varied(split.labels, len(split), count))
        classes = class_names(source.info)
        names = [classes[n] if n >= 0 else f"example {i}" for i, n in enumerate(labels.numpy(), 1)]
        return cls(images.numpy(), names, unseen)


def varied(labels: np.ndarray | None, total: int, count: int) -> np.ndarray:
    """Choose `count` examples by index: the first of every class, then the second; evenly spread without labels."""
    if labels is None:
        return np.unique(np.linspace(0, total - 1, count).astype(int))
    turn = np.zeros(total, int)
    for label in np.unique(labels):
        turn[labels == label] = np.arange(np.sum(labels == label))
    return np.lexsort((labels, turn))[:count]


def reconstructions(model, examples: Examples) -> Picture | None:
    """Draw inputs, corrupted or masked inputs if the model has them, and reconstructions."""
    if model.example_shape == (2,):  # `plane_manifold` shows them
        return None
    prepared, corrupt = model.prepare(examples.images).x, corruption(model)
    x, seen = (model.restored(v) for v in (prepared, prepared if corrupt is None else corrupt(prepared)))
    what = "Test examples, which the training did not use" if examples.unseen else "Training examples"
    if hasattr(model, "hide"):
        caption = f"{what}; the patches that the encoder is shown; the model's prediction in place of the others."
        if model.normalize_targets:
            caption += " It predicts each patch's pattern, not its brightness and contrast: these mean nothing here."
        figure = masked_figure(model, examples.images)
    elif corrupt is None:
        caption = f"{what}, above what the model makes of each from its code alone."
        figure = plots.reconstructions(array(x), array(model.reconstruct(x)))
    else:
        caption = f"{what}; the same spoilt by {type(corrupt).__name__}; what the model makes of the spoilt ones."
        figure = plots.reconstructions(array(x), array(model.reconstruct(seen)), array(seen))
    return picture("Reconstructions", caption, figure, 0.78)


def masked_figure(model, images):
    """Draw images, their visible patches, and the reconstructions of a masked autoencoder."""
    noise = np.random.default_rng(0).random((len(images), model.patches_shape[0]))
    made, seen = model.reconstruct(images, noise), model.hide(images, noise)
    x = model.restored(model.prepare(images).x)
    return plots.reconstructions(array(x), array(made), array(seen), what="visible")


def corruption(model):
    """Copy the model's corruption with a fixed seed, for a stack the bottom layer's; None without one."""
    bottom = getattr(model, "autoencoders", [model])[0]
    layer = getattr(bottom, "corruption", None)
    return None if layer is None else type(layer).from_config({**layer.get_config(), "seed": 0})


def first_layer_filters(model, examples: Examples, count=64) -> Picture | None:
    """Draw the kernel of a dense or convolutional first layer as images, largest weights first."""
    layer = first_layer(model.encoder)
    if layer is None or model.example_shape == (2,):  # a filter of two values is no picture
        return None
    kernel = array(layer.kernel)
    dense, units = kernel.ndim == 2, kernel.shape[-1]
    shape = tuple(model.example_shape) if dense else kernel.shape[:-1]
    if math.prod(shape) != kernel.size // units:  # a dense layer that runs along one axis of the input
        return None
    order = np.argsort(-np.square(kernel).reshape(-1, units).sum(axis=0), kind="stable")
    figure = plots.filters(kernel[..., order], shape, count)
    which = f"{count} of {units:,} units, those with the largest weights" if units > count else f"All {units} units"
    caption = f"{which}: the weights of each on {'the whole input' if dense else 'one place and its surroundings'}."
    if len(shape) == 3:
        caption += " Bright: light there speaks for the unit's pattern; dark: against it; mid-grey: it does not matter."
    return picture("First-layer filters", caption, figure, 0.6 if dense else 0.4)


def first_layer(network):
    """Find the first layer with weights, also in nested networks; None unless dense or convolutional."""
    known = keras.layers.Dense | keras.layers.Conv1D | keras.layers.Conv2D
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            return first_layer(layer)
        if layer.weights:
            return layer if isinstance(layer, known) else None
    return None


def samples(model, examples: Examples, count=48) -> Picture | None:
    """Draw new examples, decoded from samples of the prior."""
    if not model.generative:
        return None
    figure = plots.image_grid(array(model.sample(count, seed=0)), columns=8)
    return picture("Samples", "New examples: codes drawn at random from the prior N(0, 1), decoded.", figure, 0.6)


def interpolations(model, examples: Examples, steps=9) -> Picture | None:
    """Draw decoded straight lines from the code of one example to the code of the next."""
    pairs = len(examples.names) // 2
    if not model.generative or not pairs:
        return None
    z = array(model.encode(examples.images[: 2 * pairs]))
    codes = between(z[0::2], z[1::2], steps)
    images = array(model.decode(codes.reshape(-1, *z.shape[1:])))
    figure = plots.interpolations(images.reshape(pairs, steps, *images.shape[1:]))
    ends = ", ".join(f"{a} to {b}" for a, b in zip(examples.names[0::2], examples.names[1::2], strict=False))
    caption = f"From the code of one test example to that of another in equal steps, each step decoded: {ends}."
    return picture("Interpolations", caption, figure, 0.65)
