"""Train an autoencoder of any variant, without labels, or with a few where the variant infers the others."""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.building import budget, distributions, going_on, variants
from pipelines.building.distributions import DistributionFields
from pipelines.building.masked_networks import side
from pipelines.building.variants import CorruptionFields
from pipelines.command_line import door
from pipelines.command_line.fields import NumericsFields, RunRecipe, in_place_of
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import within

DECIDED = (
    *("conditional", "network", "code", "widths", "filters", "depths", "patch", "kernel", "activation", "tied"),
    *distributions.DECIDED,
    "options",
)
"""Fields of a recipe that the weights decide which it starts from."""

CRITIC = 128
"""Features of the discriminator of images that a variant has."""

REGULARISERS = ("tied", "weight_decay_l1", "weight_decay_l2", "code_dropout")
"""Fields of dense or convolutional networks that restrict their weights or codes."""


@dataclass(frozen=True, kw_only=True)
class Recipe(DistributionFields, CorruptionFields, NumericsFields, RunRecipe):
    """Settings for training one autoencoder."""

    variant: str = field(default="plain", metadata={"positional": True, **variants.FIELD})
    """Variant of the autoencoder, see `kerasae list`, or MODULE:CLASS of your own."""
    options: dict[str, float | str] = field(default_factory=dict)
    """Further arguments of the variant, such as --options.beta 4 or --options.penalty l1."""
    anneal: dict[str, float] = field(default_factory=dict)
    """First values of numbers of the objective, such as --anneal.beta 0 or --anneal.k 100: each then changes linearly,
    to its value in `options`, over the first half of the steps."""
    network: Literal["dense", "conv", "convnext", "lstm"] = "dense"
    """Architecture: dense (fully connected), conv (convolutional, for signals, images and volumes), convnext (ConvNeXt
    V2, images only), or lstm (recurrent, sequences only, for the variant recurrent)."""
    code: int = field(default=32, metadata=within("count"))
    """Length of the code."""
    widths: tuple[int, ...] = field(default=(512,), metadata=within("count", may_be_empty=True))
    """Hidden widths of the dense network, or units of the recurrent one."""
    filters: tuple[int, ...] = field(default=(32, 64), metadata=within("count"))
    """Channels of each stage of a convolutional network; each stage halves every direction."""
    depths: tuple[int, ...] = field(default=(2, 6), metadata=within("depth"))
    """Blocks of each stage of convnext."""
    patch: tuple[int, ...] = field(default=(4,), metadata=within("count"))
    """Total stride of the convnext encoder: one number, or height and width."""
    kernel: int = field(default=7, metadata=within("count"))
    """Side of the depthwise kernels of convnext."""
    activation: Literal["relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid", "linear"] = "relu"
    """Activation of the hidden layers."""
    tied: bool = False
    """The decoder of a dense network uses the encoder's weights transposed."""
    weight_decay_l1: float = field(default=0.0, metadata=within("amount"))
    """Weight of Σ |w| over the kernels of a dense or conv network, which is added to the loss."""
    weight_decay_l2: float | None = field(default=None, metadata=within("amount"))
    """Weight of Σ w² over the kernels of a dense or conv network, which is added to the loss; 0.01 for the variant
    autorec, else 0, when not given."""
    code_dropout: float = field(default=0.0, metadata=within("share"))
    """Share of the code that the decoder of a dense or conv network does not see in training."""
    conditional: bool = False
    """Give the class of each example to the networks, of any variant that can be conditional: `sample` then draws
    examples of a class. All examples need a class."""
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
    if cls.infers_labels or recipe.conditional:
        check_labels(recipe, source, cls)
    convolves = recipe.network in ("conv", "convnext")
    unused = {"widths": convolves, "filters": not convolves, "activation": recipe.network in ("lstm", "convnext")}
    unused |= dict.fromkeys(("depths", "patch", "kernel"), recipe.network != "convnext")
    unused |= {name: recipe.network not in ("dense", "conv") for name in REGULARISERS}
    unused |= {"tied": recipe.network != "dense"}
    unused |= distributions.unused(recipe, cls)
    corrupts = "corruption" in variants.own_arguments(cls)
    unused |= dict.fromkeys(("corruption", "corruption_level"), not corrupts)
    unused["keep_best"] = splits(source, recipe)[1] is None
    unused |= dict.fromkeys(("labels", "labelled_share"), not cls.infers_labels)
    unused["conditional"] = cls.infers_labels or not cls.may_be_conditional
    if not issubclass(cls, kerasae.models.Autoencoder):  # such as a Boltzmann machine
        unused |= dict.fromkeys(("network", "widths", "filters", "depths", "patch", "kernel", *REGULARISERS), True)
    for name in unused:
        default = Recipe.__dataclass_fields__[name].default
        if unused[name] and getattr(recipe, name) != default:
            raise InputError(f"{name}: has no effect on {recipe.variant} {recipe.network} here; leave it out")


def check_labels(recipe, source, cls):
    """Raise InputError for data or a network with which the variant cannot learn classes."""
    from pipelines.labels import partly

    partly.check(recipe, source, all_known=not cls.infers_labels)


def build(recipe, info):
    """Build the model of a recipe for data of a given shape and range."""

    cls = variants.variant(recipe.variant)
    code_activation = cls.code_activation or cls.usual_code_activation

    def networks(posterior, pixel_parameters, code=recipe.code, condition=None, name=recipe.network):
        if recipe.network == "lstm":
            return kerasae.networks.lstm(info.shape, recipe.code, recipe.widths, pixel_parameters=pixel_parameters)
        shared = {"posterior": posterior, "pixel_parameters": pixel_parameters, "code_activation": code_activation}
        if recipe.network == "convnext":
            sizes = {"widths": recipe.filters, "depths": recipe.depths, "kernel": recipe.kernel}
            return kerasae.networks.convnext(info.shape, side(recipe), code=code, name=name, **sizes, **shared)
        shared |= {"condition": condition, "name": name}
        shared |= {"activation": recipe.activation, "code_dropout": recipe.code_dropout, **weight_decay(recipe)}
        if recipe.network == "conv":
            return kerasae.networks.conv(info.shape, code, recipe.filters, **shared)
        return kerasae.networks.dense(info.shape, code, recipe.widths, tied=recipe.tied, **shared)

    likelihood, of_code = distributions.build_likelihood(recipe.likelihood, info), distributions.of_code(recipe)
    parts = {"corruption": variants.corruption(recipe)}
    if cls.infers_labels:
        parts["classifier"] = networks(None, 1, code=info.classes, name="classifier")[0]
    if "critic" in variants.own_arguments(cls):
        parts["critic"] = networks(None, 1, code=CRITIC, name="critic")[0]
    if cls.infers_labels or recipe.conditional:
        networks = with_class(cls, networks, recipe.code, info.classes)
    model = (recipe.variant, distributions.with_variance(networks, recipe), likelihood, variants.scale_of(info))
    return variants.build(*model, recipe.options, parts, of_code)


def with_class(cls, networks, code, classes):
    """Wrap a builder of networks for a variant that knows K classes: the decoder takes the class as its condition.

    The encoder takes it too, or gives the class beside the code, or neither, as the variant says.
    """
    if cls.conditional_encoder and not cls.encodes_class:
        return partial(networks, condition=classes)
    longer = code + classes * cls.encodes_class

    def build(*sizes):
        return networks(*sizes, code=longer)[0], networks(*sizes, condition=classes)[1]

    return build


def weight_decay(recipe):
    """Make the regulariser of the kernels, as an argument of the network builders; none without weight decay."""
    import keras

    l1, l2 = recipe.weight_decay_l1, recipe.weight_decay_l2
    if l2 is None:
        l2 = 0.01 * (recipe.variant == "autorec")
    return {"kernel_regularizer": keras.regularizers.L1L2(l1, l2)} if l1 or l2 else {}


def fit(directory, model, source, recipe):
    """Train the model on the unlabelled examples; return its progress."""
    training, validation = examples(model, source, recipe)
    settings = stage(recipe)
    compile_model(model, settings.steps(training), recipe)
    options = {"seed": recipe.seed, "validation": validation, "adapt": not recipe.start}
    return directory.fit("train", model, training, settings, **options)


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
    # XLA draws the random numbers of Markov chains slowly: a step takes two to five times as long on a CPU.
    chains = (kerasae.models.RestrictedBoltzmannMachine, kerasae.models.GenerativeStochasticNetwork)
    model.compile(optimizer, jit_compile=recipe.network == "dense" and not isinstance(model, chains))


def cost(model, source, recipe):
    """Measure the time that training takes, without changing the model."""
    from kerasae import runs

    training, validation = examples(model, source, recipe)
    settings = stage(recipe)
    compile_model(model, settings.steps(training), recipe)
    options = {"seed": recipe.seed, "workers": recipe.data_workers, "validation": validation}
    return runs.measure(model, training, settings, recipe.minutes, **options)


def measure(progress, model, source):
    """Collect epochs, seconds and the reconstruction errors on the test examples."""
    figures = {"epochs": progress.epoch, "training_seconds": progress.seconds}
    if source.info.kind == "ratings":
        return figures | kerasae.evaluate.rating_figures(model, source)
    if source.has_test and model.conditional and not model.infers_labels:
        scores = model.score(*source.test.arrays())
        return figures | {"test_score": float(scores.numpy().mean(dtype="float64"))}
    if source.has_test:
        errors = kerasae.evaluate.reconstruction_error(model, source.test)
        figures |= {f"test_{name}": value for name, value in errors.items()}
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
