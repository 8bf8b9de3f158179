"""Train any variant of the zoo, without labels."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import kerasae
from pipelines import variants
from pipelines.listing import command_names
from pipelines.recipe import RunRecipe
from pipelines.variants import CorruptionFields


@dataclass(frozen=True, kw_only=True)
class Recipe(CorruptionFields, RunRecipe):
    """One autoencoder."""

    variant: str = field(default="plain", metadata={"positional": True, "choices": command_names})
    """Variant of the autoencoder; `kerasae list` shows them."""
    options: dict[str, float] = field(default_factory=dict)
    """Further arguments of the variant, such as --options.beta 4."""
    network: Literal["dense", "conv"] = "dense"
    """Fully connected, or convolutional (images only)."""
    code: int = 32
    """Length of the code."""
    widths: tuple[int, ...] = (512,)
    """Hidden widths of the dense network."""
    filters: tuple[int, ...] = (32, 64)
    """Channels of each halving stage of the convolutional network."""
    activation: str = "relu"
    """Activation of the hidden layers."""
    likelihood: Literal["bernoulli", "gaussian", "categorical"] = "bernoulli"
    """What the decoder's output says about the input."""
    epochs: int = 20
    """Epochs of training."""
    batch_size: int = 100
    """Examples per step."""
    learning_rate: float = 1e-3
    """Peak learning rate of Adam."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Course of the learning rate."""
    holdout: float = 0.05
    """Share of the training examples held out for validation where the data have no validation split; 0 for none."""
    keep_best: bool = False
    """Keep the weights of the epoch with the lowest validation loss instead of the last."""


def vae_bmnist() -> Recipe:
    """Variational autoencoder on static binarised MNIST, 784-400-40, Adam 1e-4, batch 100.

    Reproduces: NLL 89.8 nats with 200 importance samples after 500 epochs (pythae's reproduction of the VampPrior
    paper's baseline).
    Command: kerasae train --recipe vae-bmnist, then kerasae evaluate runs/vae-bmnist
    """
    return Recipe(
        variant="variational",
        data="tfds:binarized_mnist",
        out="runs/vae-bmnist",
        code=40,
        widths=(400,),
        epochs=500,
        learning_rate=1e-4,
        schedule="constant",
        keep_best=True,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {"vae-bmnist": vae_bmnist}


def run(recipe: Recipe):
    """Build the variant, train it on the unlabelled examples, save it."""
    import keras

    from pipelines import run as runs

    source = recipe.source()
    directory = runs.Run(recipe.out or f"runs/{recipe.variant}", "train", recipe)
    keras.utils.set_random_seed(recipe.seed)
    model = build(recipe, source.info)
    figures = fit(directory, model, source, recipe)
    directory.save_model(model)
    return directory.finish(figures)


def build(recipe, info):
    """The model that the recipe describes, for data of this shape."""

    def networks(code_parameters, pixel_parameters):
        shared = {"code_parameters": code_parameters, "pixel_parameters": pixel_parameters}
        if recipe.network == "dense":
            return kerasae.networks.dense(
                info.shape, recipe.code, recipe.widths, activation=recipe.activation, **shared
            )
        return kerasae.networks.conv(info.shape, recipe.code, recipe.filters, activation=recipe.activation, **shared)

    likelihood = recipe.likelihood
    if likelihood == "categorical":
        likelihood = kerasae.ops.Categorical(int(info.max_value) + 1 if info.dtype == "uint8" else 256)
    corrupt = variants.corruption(recipe)
    return variants.build(recipe.variant, networks, likelihood, info.max_value, recipe.options, corrupt)


def fit(directory, model, source, recipe):
    """Train, and measure on the test examples; returns the figures."""
    from pipelines import optimisers
    from pipelines import run as runs

    training, validation = splits(source, recipe)
    settings = runs.Stage(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        monitor="val_loss" if recipe.keep_best else None,
        mode="min",
    )
    optimizer = optimisers.build(settings.steps(training), recipe.learning_rate, schedule=recipe.schedule)
    model.compile(optimizer, jit_compile=recipe.network == "dense")
    progress = directory.fit("train", model, training, settings, seed=recipe.seed, validation=validation)
    figures = {"epochs": progress.epoch, "training_seconds": progress.seconds}
    if "test" in source.splits:
        errors = kerasae.evaluate.reconstruction_error(model, source.test)
        figures |= {f"test_{name}": value for name, value in errors.items()}
    return figures


def splits(source, recipe):
    """Training examples, and validation examples or None."""
    if "validation" in source.splits:
        return source.train, source.splits["validation"]
    if not recipe.holdout:
        return source.train, None
    kept, held = kerasae.data.holdout(len(source.train), recipe.holdout, recipe.seed)
    return source.train.subset(kept), source.train.subset(held)
