"""Pretrain a stack of autoencoders greedily, layer by layer, then probe and fine-tune it."""

from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.building import budget, distributions, going_on, starting, variants
from pipelines.building.variants import CorruptionFields
from pipelines.command_line import door
from pipelines.command_line.fields import NumericsFields, RunRecipe, in_place_of
from pipelines.command_line.figures import finish, without_baselines
from pipelines.command_line.ranges import within
from pipelines.finetune import FinetuneFields

DECIDED = ("widths", "activation", "tied", "options")
"""Fields of a recipe that the weights decide which it starts from."""


@dataclass(frozen=True, kw_only=True)
class Recipe(CorruptionFields, NumericsFields, FinetuneFields, RunRecipe):
    """Settings for a stack of autoencoders, trained layer by layer."""

    widths: tuple[int, ...] = field(default=(256, 128), metadata=within("count"))
    """Width of the code of each layer, bottom first."""
    variant: str = field(default="denoising", metadata=variants.FIELD)
    """Variant of every layer, see `kerasae list`, or MODULE:CLASS of your own."""
    options: dict[str, float | str] = field(default_factory=dict)
    """Further arguments of the variant for every layer, such as --options.chains 100 or --options.penalty l1."""
    activation: Literal["sigmoid", "relu", "tanh", "linear"] = "sigmoid"
    """Activation of the codes, where the variant leaves the choice. Sigmoid codes are reconstructed by cross-entropy,
    others by squared error."""
    tied: bool = True
    """The decoder of a layer uses its encoder's weights transposed."""
    start: str | None = None
    """Run, or .keras file, of a stack of this variant whose layers to go on from, on examples of the same shape."""
    pretrain_epochs: int = field(default=30, metadata=within("count"))
    """Epochs of each layer."""
    minutes: float | None = in_place_of("pretrain_epochs")
    """Minutes that pretraining all layers and joint training may take, instead of pretrain_epochs: some steps of each
    layer are timed. Probing and fine-tuning come on top."""
    pretrain_batch: int = field(default=100, metadata=within("count"))
    """Examples per step of the layers' training."""
    pretrain_rate: float = field(default=1e-3, metadata=within("positive"))
    """Peak learning rate of the layers' training."""
    pretrain_optimizer: Literal["adam", "sgd"] = "adam"
    """Optimiser of the layers' training: adam, or sgd without momentum."""
    joint_epochs: int = field(default=0, metadata=within("count_or_none"))
    """Epochs of joint training: the whole stack then learns to reconstruct its input; 0 for none."""
    supervised: bool = True
    """Fine-tune a classifier at the end, where the data have labels."""

    folder = "stacked"


def run(recipe: Recipe):
    """Pretrain layer by layer, train jointly, probe, then fine-tune beside the same network from scratch."""
    from kerasae.training import precision
    from pipelines import finetune

    with door.entered(recipe) as (recipe, source, begin):
        supervised = recipe.supervised and source.train.labels is not None
        if supervised:
            finetune.check(recipe, source)
        recipe, begin = going_on.like_start(recipe, begin, "stacked", DECIDED)
        check(recipe)
        origin = load_start(recipe)
        first = origin and begin_with(origin, source, recipe)
        later = {f.name for f in fields(FinetuneFields)} | {"supervised"}
        recipe, begin = budget.with_epochs(
            recipe, begin, "stacked", lambda: cost(source, recipe), later=later, origin=origin
        )
        directory = begin("stacked", later=later, origin=origin)
        if first is not None:
            print(f"started from {recipe.start}")
            directory.save_start(first)
        layers = pretrain(directory, source, recipe, first)
        deep = precision.in_float32(lambda: variants.stack_class(recipe.variant)(layers))
        if recipe.joint_epochs:
            train_jointly(directory, deep, layers, source, recipe)
        directory.save_model(deep)
        split = source.test if source.has_test else source.train
        figures = {f"stack_{name}": value for name, value in kerasae.evaluate.reconstruction_error(deep, split).items()}
        return finish(directory, figures | (use_labels(directory, recipe) if supervised else {}))


def check(recipe):
    """Raise InputError for a variant that is no layer, and for settings that its layers cannot follow."""
    cls, name = variants.variant(recipe.variant), recipe.variant
    if cls.unstackable:
        raise InputError(f"variant: {name!r} cannot be a layer of a stack, as {cls.unstackable}")
    chosen = code_activation(recipe)
    if recipe.activation not in (default_of("activation"), chosen):
        raise InputError(f"activation: the codes of {name!r} are {chosen or 'linear'}. Received: {recipe.activation!r}")
    if not issubclass(cls, kerasae.models.Autoencoder):
        for field_name in ("activation", "tied"):
            if getattr(recipe, field_name) != default_of(field_name):
                raise InputError(f"{field_name}: has no effect on {name!r}, which has weights of its own; leave it out")


def default_of(name):
    """Return the default of a field of the recipe."""
    return Recipe.__dataclass_fields__[name].default


def code_activation(recipe):
    """Choose the activation of the codes: the variant's own, None where a prior asks for any value, or the recipe's."""
    cls = variants.variant(recipe.variant)
    return cls.code_activation or (None if cls.generative else recipe.activation)


def use_labels(directory, recipe):
    """Probe and fine-tune the encoder, beside training from scratch, in folders of the run; return the figures."""
    from pipelines import finetune, probe

    names = ("repeats", "seed", "deterministic", "baselines", "accept_changed_data")
    labels = None if recipe.labels is None else (recipe.labels,)
    shared = {name: getattr(recipe, name) for name in names}
    probed = probe.run(probe.Recipe(run=str(directory.path), labels=labels, **shared))
    tuned = finetune.run(finetune.of_run(directory.path, recipe))
    return without_baselines(probed.figures | tuned.figures)


def load_start(recipe):
    """Load the stack that the recipe starts from, or None; raise InputError for one of other layers than its own."""
    if recipe.start is None:
        return None
    whole, cls = variants.stack_class(recipe.variant), variants.variant(recipe.variant)
    origin = starting.load(recipe.start, lambda model: type(model) is whole, f"a {whole.__name__}")
    if [type(layer) for layer in origin.autoencoders] != [cls] * len(recipe.widths):
        names = ", ".join(type(layer).__name__ for layer in origin.autoencoders)
        raise InputError(f"start: {recipe.start} is a stack of {names}; give its variant and as many widths")
    return origin


def begin_with(origin, source, recipe):
    """Build a stack for these data with the weights of another."""
    from kerasae.training import precision

    def build():
        layers = build_layers([source.train.shape, *((width,) for width in recipe.widths)], source, recipe)
        for theirs, layer in zip(origin.autoencoders, layers, strict=True):
            going_on.copy(theirs, layer, recipe.start)
        return variants.stack_class(recipe.variant)(layers)

    return precision.in_float32(build)


def pretrain(directory, source, recipe, first=None):
    """Train each layer, starting from that of the stack `first` if given, on the codes below; return the layers."""
    from kerasae.training import precision

    layers, split = [], source.train
    for i, width in enumerate(recipe.widths, 1):
        build = partial(build_layer, i, width, split.shape, source, recipe)
        layer = build()
        if first is not None:
            going_on.copy(first.autoencoders[i - 1], layer, recipe.start)
        train_layer(directory, f"layer-{i}", layer, split, recipe)
        layers.append(precision.float32_model(layer, build))
        split = codes(layers[-1], split)
    return layers


def build_layer(i, width, shape, source, recipe):
    """Build layer i, a shallow autoencoder from `shape` to `width`."""
    from kerasae.training.memory_check import trainable

    activation = code_activation(recipe)

    def networks(posterior, pixel_parameters):
        return kerasae.networks.dense(
            shape,
            width,
            (),
            code_activation=activation,
            posterior=posterior,
            pixel_parameters=pixel_parameters,
            tied=recipe.tied and posterior is None and pixel_parameters == 1,
            name=f"layer{i}",
        )

    # Cross-entropy needs values in [0, 1]: the data, and sigmoid codes.
    likelihood = "bernoulli" if activation == "sigmoid" else "gaussian"
    likelihood = distributions.likelihood_of("auto", source.info) if i == 1 else likelihood
    parts = {"corruption": variants.corruption(recipe, layer=i)}
    scale = variants.scale_of(source.info) if i == 1 else source.info.max_value
    model = (recipe.variant, networks, likelihood, scale)
    return trainable(lambda: variants.build(*model, recipe.options, parts))


def build_layers(shapes, source, recipe):
    """Build all layers, for examples of these shapes."""
    sizes = zip(recipe.widths, shapes, strict=False)
    return [build_layer(i, width, shape, source, recipe) for i, (width, shape) in enumerate(sizes, 1)]


def train_layer(directory, stage, layer, split, recipe):
    """Train one layer's autoencoder, or the whole stack jointly."""
    fresh = not recipe.start and stage != "joint"
    directory.fit(stage, layer, split, compiled(layer, split, recipe), seed=recipe.seed, adapt=fresh)


def compiled(layer, split, recipe):
    """Compile a layer; return its training `Stage`."""
    from kerasae import runs
    from kerasae.optimizers import schedules

    settings = runs.Stage(epochs=recipe.pretrain_epochs, batch_size=recipe.pretrain_batch)
    layer.compile(schedules.build(settings.steps(split), recipe.pretrain_rate, optimizer=recipe.pretrain_optimizer))
    return settings


def cost(source, recipe):
    """Measure the time that training all layers takes, on untrained layers that are thrown away.

    A joint epoch counts as one epoch of every layer.
    """
    import keras

    from kerasae import runs

    found, split = [], source.train
    for i, width in enumerate(recipe.widths, 1):
        layer = build_layer(i, width, split.shape, source, recipe)
        options = {"seed": recipe.seed, "workers": recipe.data_workers}
        found.append(runs.measure(layer, split, compiled(layer, split, recipe), recipe.minutes, **options))
        split = codes(layer, split)
    keras.utils.set_random_seed(recipe.seed)  # building the measured layers drew from the seed; start again
    spent, start, epoch = map(sum, zip(*found, strict=True))
    return runs.Cost(spent, start + recipe.joint_epochs * epoch, epoch)


def codes(layer, split):
    """Encode a split; the codes are the training data of the next layer."""
    features = kerasae.evaluate.features(layer, split)
    return kerasae.data.Split.of(features, split.labels)


def train_jointly(directory, deep, layers, source, recipe):
    """Train the whole stack to reconstruct its input."""
    trained = deep if recipe.precision == "float32" else copy(deep, layers, source, recipe)
    train_layer(directory, "joint", trained, source.train, replace(recipe, pretrain_epochs=recipe.joint_epochs))
    deep.set_weights(trained.get_weights())


def copy(deep, layers, source, recipe):
    """Copy the stack into the recipe's number format."""
    twin = variants.stack_class(recipe.variant)(build_layers([x.example_shape for x in layers], source, recipe))
    twin.set_weights(deep.get_weights())
    return twin
