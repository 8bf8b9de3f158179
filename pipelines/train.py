"""Train an autoencoder of any variant, without labels, or with a few where the variant infers the others."""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.building import budget, distributions, going_on, networks, pairs, variants
from pipelines.building.distributions import DistributionFields
from pipelines.building.networks import NetworkFields
from pipelines.building.pairs import PairFields
from pipelines.building.variants import CorruptionFields
from pipelines.command_line import door
from pipelines.command_line.fields import NumericsFields, RunRecipe, in_place_of
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import within

DECIDED = (*networks.DECIDED, *distributions.DECIDED, "options")
"""Fields of a recipe that the weights decide which it starts from."""


@dataclass(frozen=True, kw_only=True)
class Recipe(NetworkFields, DistributionFields, CorruptionFields, PairFields, NumericsFields, RunRecipe):
    """Settings for training one autoencoder."""

    variant: str = field(default="plain", metadata={"positional": True, **variants.FIELD})
    """Variant of the autoencoder, see `kerasae list`, or MODULE:CLASS of your own."""
    options: dict[str, float | str] = field(default_factory=dict)
    """Further arguments of the variant, such as --options.beta 4 or --options.penalty l1."""
    anneal: dict[str, float] = field(default_factory=dict)
    """First values of numbers of the objective, such as --anneal.beta 0 or --anneal.k 100: each then changes linearly,
    to its value in `options`, over the first half of the steps."""
    anneal_cycles: int = field(default=1, metadata=within("count"))
    """Times that this happens, each in an equal share of the steps."""
    labels: int | None = field(default=None, metadata=within("count"))
    """Labelled examples to use, balanced over the classes, of a variant that infers labels; all of them when not
    given."""
    labelled_share: float = field(default=0.2, metadata=within("share"))
    """Least share of the examples of an epoch that are labelled ones; a few labelled examples come many times."""
    start: str | None = None
    """Run, or .keras file, of this variant whose weights and network to go on from, on examples of the same shape."""
    epochs: int = field(default=20, metadata=within("count"))
    """Epochs of training; raise them to continue a run that has ended."""
    minutes: float | None = in_place_of("epochs")
    """Minutes that training may take, instead of epochs: some steps are timed, and the epochs that fit are run."""
    batch_size: int = field(default=100, metadata=within("count"))
    """Examples per step."""
    learning_rate: float = field(default=1e-3, metadata=within("positive"))
    """Peak learning rate."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Optimiser: adam, or sgd without momentum, for variants with a learning rule of their own."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Schedule of the learning rate."""
    holdout: float = field(default=0.05, metadata=within("share"))
    """Share of the training examples held out for validation where the data have no validation split; 0 for none."""
    keep_best: bool = False
    """Keep the weights of the epoch with the lowest validation loss instead of the last."""

    def known_columns(self):
        """Return the vocabulary of the run that a training of texts starts from, whose words have their vectors."""
        from kerasae.runs import table_columns

        known = self.start is not None and self.data.startswith("text:")
        return table_columns(going_on.folder_of(self.start)) if known else None

    @property
    def folder(self):
        """Name the run's folder under runs/ after the variant."""
        return self.variant.rpartition(":")[2]


def run(recipe: Recipe):
    """Build the variant, train it on the unlabelled examples, save it."""
    from kerasae.training import precision
    from kerasae.training.memory_check import trainable

    with door.entered(recipe) as (recipe, source, begin):
        recipe, begin = going_on.like_start(recipe, begin, "train", DECIDED)
        check(recipe, source)
        told = networks.told_classes(recipe, variants.variant(recipe.variant))
        source = source.labelled() if told else source
        origin, model = going_on.load(recipe), trainable(lambda: build(recipe, source.info))
        if origin is not None:
            going_on.copy(origin, model, recipe.start)
        recipe, begin = budget.with_epochs(recipe, begin, "train", partial(cost, model, source, recipe), origin=origin)
        directory = begin("train", origin=origin, labelled=model.infers_labels)
        budget.announce(directory, "train", recipe.schedule)
        if origin is not None:
            print(f"started from {recipe.start}")
            directory.save_start(precision.float32_model(model, lambda: build(recipe, source.info)))
        progress = fit(directory, model, source, recipe)
        result = precision.float32_model(model, lambda: build(recipe, source.info))
        figures = measure(progress, result, source)
        figures |= measure_labels(result, source, recipe) if result.infers_labels else {}
        directory.save_model(result)
        return finish(directory, figures)


def check(recipe, source):
    """Raise InputError for a setting that would have no effect on this training."""
    cls = variants.variant(recipe.variant)
    networks.check(recipe, source, cls)
    pairs.check(recipe, source, cls)
    unused = networks.unused(recipe, source.info, cls) | distributions.unused(recipe, cls)
    corrupts = "corruption" in variants.own_arguments(cls)
    unused |= dict.fromkeys(("corruption", "corruption_level", "corruption_least"), not corrupts)
    unused["anneal_cycles"] = not recipe.anneal
    unused["keep_best"] = splits(source, recipe)[1] is None
    unused |= dict.fromkeys(("labels", "labelled_share"), not cls.infers_labels)
    for name in unused:
        default = Recipe.__dataclass_fields__[name].default
        if unused[name] and getattr(recipe, name) != default:
            raise InputError(f"{name}: has no effect on {recipe.variant} {recipe.network} here; leave it out")


def build(recipe, info):
    """Build the model of a recipe for data of a given shape and range."""
    cls = variants.variant(recipe.variant)
    builder = networks.builder(recipe, info, cls)
    parts = {"corruption": variants.corruption(recipe, info=info)} | networks.parts(builder, info, cls)
    builder = distributions.with_variance(networks.with_class(builder, recipe, info, cls), recipe)
    likelihood, of_code = (
        distributions.build_likelihood(networks.likelihood(recipe), info),
        distributions.of_code(recipe),
    )
    return variants.build(recipe.variant, builder, likelihood, variants.scale_of(info), recipe.options, parts, of_code)


def fit(directory, model, source, recipe):
    """Train the model on the unlabelled examples; return its progress."""
    training, validation = examples(model, source, recipe)
    training, changes = pairs.paired(training, recipe)
    settings = stage(recipe)
    compile_model(model, settings.steps(training), recipe)
    options = {"seed": recipe.seed, "validation": validation, "adapt": not recipe.start, **changes}
    options["callbacks"] = snapshots(directory, model, source, recipe)
    return directory.fit("train", model, training, settings, **options)


def snapshots(directory, model, source, recipe):
    """Build the callbacks that show how a model of pictures, vectors or signals learns; none for other data."""
    from kerasae import runs

    if source.info.kind not in ("image", "vector", "sequence", "array") or not hasattr(model, "reconstruct"):
        return []
    split = source.test if source.has_test else source.train
    return [runs.Snapshots(directory.path, model, split, recipe.epochs)]


def stage(recipe):
    """Collect epochs, batch size and the metric that chooses the best epoch."""
    from kerasae import runs

    monitor = "val_loss" if recipe.keep_best else None
    return runs.Stage(epochs=recipe.epochs, batch_size=recipe.batch_size, monitor=monitor, mode="min")


def compile_model(model, steps, recipe):
    """Compile the model with the optimiser and a learning-rate schedule over `steps` steps."""
    from kerasae.optimizers import schedules

    variants.anneal(model, recipe, steps)
    options = {"schedule": recipe.schedule, "optimizer": recipe.optimizer}
    optimizer = schedules.build(steps, recipe.learning_rate, **options)
    # On a CPU, XLA draws the random numbers of Markov chains slowly, and computes convolutions slowly, such as those of
    # a discriminator of images: a step takes several times as long.
    models = kerasae.models
    slow = (models.RestrictedBoltzmannMachine, models.GenerativeStochasticNetwork)
    slow += (models.ConditionalAdversarialAutoencoder,)
    model.compile(optimizer, jit_compile=recipe.network == "dense" and not isinstance(model, slow))


def cost(model, source, recipe):
    """Measure the time that training takes, without changing the model."""
    from kerasae import runs

    training, validation = examples(model, source, recipe)
    training, changes = pairs.paired(training, recipe)
    settings = stage(recipe)
    compile_model(model, settings.steps(training), recipe)
    options = {"seed": recipe.seed, "workers": recipe.data_workers, "validation": validation, **changes}
    return runs.measure(model, training, settings, recipe.minutes, **options)


def measure(progress, model, source):
    """Collect epochs, seconds, reconstruction errors on the test examples, and activity; warn of a collapsed code."""
    from pipelines.judging import collapse

    figures = {"epochs": progress.epoch, "training_seconds": progress.seconds}
    if source.info.kind == "ratings":
        return figures | kerasae.evaluate.rating_figures(model, source)
    if source.has_test:
        errors = kerasae.evaluate.reconstruction_error(model, source.test)
        if "target_activity" in model.knobs():
            errors |= kerasae.evaluate.unit_activity(model, source.test)
        figures |= {f"test_{name}": value for name, value in errors.items()}
        figures |= collapse.warned(model, source.test)
    if source.has_test and isinstance(model, kerasae.models.VectorQuantizedAutoencoder):
        figures |= {f"test_{name}": value for name, value in kerasae.evaluate.codebook_use(model, source.test).items()}
    return figures


def measure_labels(model, source, recipe):
    """Collect the accuracy of the inferred labels, beside that of raw input with the same labels."""
    from pipelines.labels import partly

    return partly.measure(model, splits(source, recipe)[0], source, recipe)


def examples(model, source, recipe):
    """Choose the training and validation examples, with the labels that the model may see."""
    from pipelines.labels import partly

    found = splits(source, recipe)
    return partly.split(*found, recipe) if model.infers_labels else found


def splits(source, recipe):
    """Choose the training examples, and the validation examples or None."""
    validation = source.splits.get("validation")
    if validation is not None and validation is not source.test:  # test examples must not choose the epoch
        return source.train, validation
    if not recipe.holdout or source.info.kind == "ratings":  # whose held-out ratings are of the same rows
        return source.train, None
    if source.train.starts is not None:  # windows, which may overlap
        return kerasae.data.holdout_in_time(source.train, recipe.holdout)
    kept, held = kerasae.data.holdout(len(source.train), recipe.holdout, recipe.seed)
    return source.train.subset(kept), source.train.subset(held)
