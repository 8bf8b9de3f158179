"""Learn a prior over the codebook indices of a vector-quantized run, so that it can sample and has a likelihood."""

from dataclasses import dataclass, field

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import DerivedRecipe, NumericsFields
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import within


@dataclass(frozen=True, kw_only=True)
class Recipe(NumericsFields, DerivedRecipe):
    """Settings of the autoregressive transformer and of its training."""

    width: int = field(default=128, metadata=within("count"))
    """Width of the transformer."""
    depth: int = field(default=3, metadata=within("count"))
    """Blocks of the transformer."""
    heads: int = field(default=4, metadata=within("count"))
    """Attention heads, which divide the width."""
    dropout: float = field(default=0.0, metadata=within("share"))
    """Share of the embedded indices' values dropped in training."""
    conditional: bool = False
    """Learn p(indices given the class) of labelled examples; a conditional first stage implies it."""
    epochs: int = field(default=20, metadata=within("count"))
    """Epochs of training; raise them to continue a run that has ended."""
    batch_size: int = field(default=100, metadata=within("count"))
    """Examples per step."""
    learning_rate: float = field(default=1e-3, metadata=within("positive"))
    """Peak learning rate, which falls along a half-cosine."""
    holdout: float = field(default=0.05, metadata=within("share"))
    """Share of the training examples held out for validation where the data have no validation split; 0 for none."""
    keep_best: bool = False
    """Keep the weights of the epoch with the lowest validation loss instead of the last."""

    folder = "prior"


def run(recipe: Recipe):
    """Load the first stage, train the prior of its indices on the training examples, save both as one model."""
    from kerasae import runs
    from kerasae.training import precision
    from pipelines import train

    with door.entered(recipe) as (recipe, source, begin):
        first = runs.load_model(recipe.run, source.info)
        check(first, source, recipe)
        source = source.labelled() if told(first, recipe) else source
        model = build(first, source.info, recipe)
        directory = begin("prior", origin=first, labelled=model.conditional)
        training, validation = train.splits(source, recipe)
        settings = train.stage(recipe)
        compile_model(model, settings.steps(training), recipe)
        progress = directory.fit("prior", model, training, settings, seed=recipe.seed, validation=validation)
        result = precision.float32_model(model, lambda: build(first, source.info, recipe))
        directory.save_model(result)
        figures = {"epochs": progress.epoch, "training_seconds": progress.seconds}
        return finish(directory, figures | measure(result, source), kerasae.evaluate.MEANINGS)


def told(first, recipe):
    """Tell whether the prior knows the class."""
    return recipe.conditional or first.conditional


def check(first, source, recipe):
    """Raise InputError for a run without a codebook, for missing classes, and for a setting without effect."""
    from pipelines import train

    if not isinstance(first, kerasae.models.VectorQuantizedAutoencoder):
        raise InputError(
            f"run: expected one of `kerasae train vector-quantized`. Received: {recipe.run}, a {type(first).__name__}"
        )
    if told(first, recipe) and (not source.info.classes or source.train.labels is None):
        raise InputError(f"conditional: {source.info.spec} has no classes; leave it out, or give labelled data")
    if recipe.width % recipe.heads:
        raise InputError(f"heads: expected a number that divides width {recipe.width}. Received: {recipe.heads}")
    if recipe.keep_best and train.splits(source, recipe)[1] is None:
        raise InputError("keep_best: there is no validation split; give holdout, or leave it out")


def build(first, info, recipe):
    """Build the model of both stages, with a new transformer."""
    import math

    sizes = {"width": recipe.width, "depth": recipe.depth, "heads": recipe.heads, "dropout": recipe.dropout}
    classes = info.classes if told(first, recipe) else None
    places = math.prod(first.code_shape[:-1])
    network = kerasae.networks.index_transformer(places, first.codebook.size, **sizes, condition=classes)
    return kerasae.models.CodePriorAutoencoder(first, network)


def compile_model(model, steps, recipe):
    """Compile the model with Adam and a learning rate that falls along a half-cosine."""
    from kerasae.optimizers import schedules

    model.compile(schedules.build(steps, recipe.learning_rate, schedule="cosine", optimizer="adam"), jit_compile=False)


def measure(model, source):
    """Measure the prior on the test examples, beside a uniform and an independent one."""
    return kerasae.evaluate.index_bits(model, source.train, source.test) if source.has_test else {}
