"""Table of all public classes and network builders: arguments, none at its default, and an input.

Adding a variant means adding its row here; `test_contract.py` runs every property on every row. `arguments` is a
function because every build needs networks of its own.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from kerasae import distributions, layers, models, networks


def adam():
    return {"optimizer": keras.optimizers.Adam(0.01)}


def steady_adam():
    # A key bias has a zero gradient up to rounding errors, which Adam's default ε would scale up to full steps.
    return {"optimizer": keras.optimizers.Adam(0.01, epsilon=1e-4)}


def sgd():
    return {"optimizer": keras.optimizers.SGD(0.05)}


def supervised():
    return {"optimizer": keras.optimizers.Adam(0.01), "loss": models.SmoothedCrossentropy(0.1)}


@dataclasses.dataclass(frozen=True)
class Case:
    """A row of the table."""

    target: Callable
    arguments: Callable[[], dict]
    x: Any
    """An input: for a model eight examples of stored integers, for a layer what it is called with."""
    y: np.ndarray | None = None
    """Labels, for targets that need them."""
    note: str = ""
    leaves: tuple[str, ...] = ()
    """Arguments that this row must leave at their default; another row gives them."""
    fixed: tuple[str, ...] = ()
    """Arguments of a parent class that this class sets itself."""
    deterministic: bool = True
    """Whether the objective (of a layer: the output) is a function of the input alone."""
    per_example: bool = True
    """Whether each term depends on its own example only, when the objective is deterministic."""
    evaluates_alike: bool = False
    """Whether the objective outside training is a function of the input although that of training is not."""
    bounded: bool = True
    """Whether what is decoded lies in the range of the input."""
    decodes_its_code: bool = True
    """Whether reconstruct is decode(encode(x))."""
    compiled: Callable[[], dict] = adam
    ready: Callable[[Any], Any] = lambda built: built
    """Function that prepares the built layer for a call."""

    @property
    def id(self) -> str:
        return "-".join(filter(None, (self.target.__name__, self.note)))

    def build(self):
        return self.ready(self.target(**self.arguments()))

    def compile(self, **options):
        """Build and compile the model of this row, with fixed initial weights."""
        keras.utils.set_random_seed(7)
        model = self.build()
        model.compile(**self.compiled(), **options)
        return model


def parameters_of(target) -> dict[str, Any]:
    """Collect constructor arguments and defaults, including those passed to parents by `**kwargs`."""
    found = {}
    for step in target.__mro__ if inspect.isclass(target) else (target,):
        if step.__module__.split(".")[0] == "kerasae" and (step is target or "__init__" in vars(step)):
            parameters = inspect.signature(step).parameters.values()
            named = {p.name: p.default for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
            found = {**named, **found}
            if len(named) == len(parameters):
                return found
    return {**found, "name": None}  # the last parent is Keras's own, whose `name` must come back too


def stored(*shape, levels=16, seed=0):
    """Draw eight examples of integers below `levels`, as a data set stores them."""
    return np.random.default_rng(seed).integers(0, levels, (8, *shape)).astype("uint8")


LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])
MASKS = np.where(np.arange(256) % 7 == 6, 255, np.arange(256) // 3 % 3).reshape(8, 8, 4)
FLAGS = np.stack([LABELS > 0, LABELS > 1, LABELS < 1], axis=1).astype("float32")


def named(pair):
    return dict(zip(("encoder", "decoder"), pair, strict=True))


def small_discriminator(code=2):
    inputs = keras.Input((code,))
    hidden = keras.layers.Dense(3, "tanh")(inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(hidden), name="critic")


def plain_conv():
    return {
        **named(networks.conv((5, 3, 2), 3, (2,))),
        "likelihood": distributions.Gaussian(scale=0.5, squash=True),
        "pixel_max": 15.0,
        "name": "row",
    }


def plain_tied():
    return {
        **named(networks.dense((3, 4), 2, (5,), activation="tanh", tied=True)),
        "likelihood": "bernoulli",
        "pixel_max": 15.0,
        "name": "row",
    }


def standardized():
    """Arguments for stored numbers of any range, of which NaN is a missing one."""
    return {
        **named(networks.dense((6,), 3, (5,), activation="tanh")),
        "likelihood": distributions.Gaussian(scale=0.5),
        "pixel_max": layers.Standardization([2.0, -7.0, 0.0, 3.0, 5.0, 8.0], [2.0, 5.0, 1.0, 3.0, 4.0, 6.0], True),
        "name": "row",
    }


def denoising():
    return {
        **named(networks.dense((6,), 4, (), code_activation="sigmoid", tied=True)),
        "likelihood": "bernoulli",
        "pixel_max": 1.0,
        "corruption": layers.GaussianCorruption(0.2, seed=3),
        "corrupted_weight": 0.5,
        "clean_weight": 0.25,
        "name": "row",
    }


def variational():
    return {
        **named(networks.conv((5, 4, 1), 2, (3,), widths=(4,), posterior="gaussian", pixel_parameters=4)),
        "likelihood": distributions.Categorical(levels=4),
        "pixel_max": 3.0,
        "beta": 0.5,
        "free_bits": 0.001,
        "capacity": 0.3,
        "posterior": distributions.posteriors.GaussianPosterior(),
        "prior": distributions.priors.StandardNormal(),
        "name": "row",
    }


def adversarial():
    return {
        **named(networks.dense((6,), 2, (5,), activation="tanh")),
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "discriminator": small_discriminator(),
        "adversarial_weight": 0.5,
        "name": "row",
    }


def vae_gan():
    given = {name: value for name, value in factor().items() if name != "discriminator"}
    return {**given, "critic": networks.dense((6,), 3, (4,), activation="tanh", name="critic")[0], "gamma": 0.4}


def conditional_adversarial():
    image, condition = keras.Input((3, 2, 1)), keras.Input((3,), name="condition")
    both = keras.layers.Concatenate()([keras.layers.Flatten()(image), condition])
    return {
        "encoder": networks.dense((3, 2, 1), 2, (5,), activation="tanh", code_activation="tanh")[0],
        "decoder": networks.dense((3, 2, 1), 2, (5,), activation="tanh", condition=3)[1],
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "image_discriminator": keras.Model([image, condition], keras.layers.Dense(1)(both)),
        "code_discriminator": small_discriminator(),
        "image_weight": 0.3,
        "code_weight": 0.2,
        "variation_weight": 0.1,
        "name": "row",
    }


def sparse(**changes):
    return {
        **named(networks.dense((6,), 4, (5,), activation="tanh", code_activation="sigmoid")),
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "sparsity_weight": 0.3,
        "name": "row",
        **changes,
    }


def dictionary(**changes):
    return {
        "shape": (3, 2),
        "latents": 8,
        "pixel_max": 15.0,
        "k": 3.0,
        "penalty_weight": 0.3,
        "bandwidth": 3.0,
        "dead_after": 2,
        "name": "row",
        **changes,
    }


def predictive_sparse():
    return {
        "shape": (3, 2),
        "latents": 8,
        "pixel_max": 15.0,
        "sparsity_weight": 0.2,
        "prediction_weight": 0.7,
        "steps": 20,
        "name": "row",
    }


def semantic_hashing():
    return {
        **named(networks.dense((6,), 4, (5,), activation="tanh")),
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "noise": 1.5,
        "name": "row",
    }


def k_sparse():
    return {
        **named(networks.dense((3, 2), 5, (), tied=True)),
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "k": 2.0,
        "alpha": 1.5,
        "name": "row",
    }


def contractive():
    return {
        **named(networks.dense((6,), 4, (5,), activation="tanh", code_activation="sigmoid")),
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "contraction_weight": 0.3,
        "penalty": "stochastic",
        "draws": 2,
        "higher_order": 0.2,
        "noise": 0.05,
        "name": "row",
    }


def shallow_contractive():
    """Arguments for the closed form, whose objective is a function of the input alone."""
    given = {**contractive(), **named(networks.dense((3, 2), 4, (), code_activation="tanh", tied=True))}
    return {name: value for name, value in given.items() if name not in CONTRACTIVE_DRAWS}


CONTRACTIVE_DRAWS = ("penalty", "draws", "higher_order", "noise")


def wasserstein():
    return {
        **named(networks.dense((6,), 3, (5,), activation="tanh")),
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "mmd_weight": 3.0,
        "prior": distributions.priors.UniformSphere(),
        "kernel": "rbf",
        "scales": (0.05, 0.1),  # so narrow that the draws of the prior, which XLA draws anew, hardly count
        "name": "row",
    }


def gaussian_wasserstein():
    given = {name: value for name, value in wasserstein().items() if name in ("encoder", "decoder", "likelihood")}
    return {**given, "pixel_max": 15.0, "w2_weight": 3.0, "name": "row"}


LEFT = ("gamma", "discriminator", *models.ImportanceWeightedAutoencoder.sets_itself)


def importance_weighted(estimator):
    given = {name: value for name, value in factor().items() if name not in LEFT}
    return {**given, "samples": 3, "estimator": estimator}


def total_correlation():
    return {name: value for name, value in factor().items() if name != "discriminator"}


def information():
    given = {name: value for name, value in factor().items() if name not in ("gamma", "discriminator")}
    return {**given, "mmd_weight": 3.0}


def factor():
    """Arguments that include every argument of the parent class."""
    return {
        **named(networks.dense((6,), 2, (5,), activation="tanh", posterior="gaussian")),
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "gamma": 2.5,
        "discriminator": small_discriminator(),
        "beta": 0.5,
        "free_bits": 0.001,
        "capacity": 0.3,
        "posterior": distributions.posteriors.GaussianPosterior(),
        "prior": distributions.priors.StandardNormal(),
        "name": "row",
    }


def semi_supervised():
    return {
        **named(networks.dense((6,), 2, (5,), activation="tanh", posterior="gaussian", condition=3)),
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "classifier": networks.dense((6,), 3, (4,), activation="tanh", name="classifier")[0],
        "alpha": 2.0,
        "trust": 0.5,
        "name": "row",
    }


def adversarial_classes():
    given = {name: value for name, value in semi_supervised().items() if name not in ("classifier", "trust", "encoder")}
    return {
        **given,
        "encoder": networks.dense((6,), 3 + 2, (5,), activation="tanh")[0],
        "class_discriminator": small_discriminator(3),
        "style_discriminator": small_discriminator(),
        "adversarial_weight": 0.5,
        "prior_scale": 2.0,
    }


def stack():
    bottom = models.VariationalAutoencoder(
        *networks.dense((4, 3, 1), 5, (), posterior="gaussian"), "bernoulli", 15.0, beta=0.3
    )
    top = models.DenoisingAutoencoder(
        *networks.dense((5,), 2, (), code_activation="tanh", tied=True),
        corruption=layers.MaskingCorruption(0.4),
    )
    return {"autoencoders": [bottom, top], "name": "row"}


def small_vit(**changes):
    """Arguments of `networks.vit` for images of 4×6×2, none at its default."""
    given = {
        "shape": (4, 6, 2),
        "patch": (2, 3),
        "width": 8,
        "depth": 1,
        "heads": 4,
        "decoder": "shallow",
        "decoder_width": 12,
        "decoder_depth": 1,
        "decoder_heads": 3,
        "mlp_ratio": 2.0,
        "class_token": False,
        "pooling": None,
        "learned_positions": True,
        "drop_path": 0.2,
        "layer_scale": 0.5,
        "mean": (0.4, 0.5),
        "std": (0.3, 0.2),
        "name": "row",
    }
    return {**given, **changes}


def masked(**changes):
    """Arguments of a masked autoencoder on images of 4×18×2, with 2×6 patches in groups of 2×2."""
    return {
        **named(networks.vit(**small_vit(shape=(4, 18, 2), **changes))),
        "mask_ratio": 0.5,
        "normalize_targets": False,
        "pixel_max": 15.0,
        "mask_group": 2,
        "target": built_target(),
        "name": "row",
    }


def built_target():
    """Adapt a `LowVariance` target to patches of 12 values."""
    target = layers.LowVariance(0.6, name="target")
    target.adapt(np.random.default_rng(2).normal(size=(10, 12, 12)).astype("float32"))
    return target


def pooled():
    """Arguments as in the paper: a class token, a deep decoder, normalised targets and single patches."""
    changes = {"class_token": True, "pooling": "class", "learned_positions": False, "depth": 2, "decoder": "deep"}
    given = {**masked(), **named(networks.vit(**small_vit(**changes)))}
    for name in ("normalize_targets", "mask_group", "target"):
        del given[name]
    return given


def cross_masked():
    return {**masked(decoder="cross"), "prediction_ratio": 0.4}


def simmim():
    return {**masked(decoder="linear"), "normalize_targets": True}


def small_convnext(**changes):
    """Arguments of `networks.convnext` for images of 4×12×2, none at its default but those of a code."""
    given = {
        "shape": (4, 12, 2),
        "patch": (2, 4),
        "widths": (6, 8),
        "depths": (1, 2),
        "kernel": 3,
        "expansion": 2.0,
        "decoder_width": 5,
        "decoder_depth": 2,
        "pooling": None,
        "drop_path": 0.2,
        "mean": (0.4, 0.5),
        "std": (0.3, 0.2),
        "name": "row",
    }
    return {**given, **changes}


def small_vgg():
    given = small_convnext(patch=2, widths=(6, 8), kernel=5, decoder_depth=1)
    return {name: value for name, value in given.items() if name not in ("depths", "expansion", "drop_path")}


def coded_vgg():
    """One with a code, for images that the patch does not divide."""
    given = {**small_vgg(), "shape": (5, 9, 2), "code": 3, "code_activation": "tanh"}
    del given["pooling"]
    return {**given, "posterior": "gaussian", "pixel_parameters": 2}


def coded_convnext():
    """Arguments with a code, for images that the patch does not divide."""
    given = small_convnext(shape=(5, 9, 2), code=3, code_activation="tanh", posterior="gaussian", pixel_parameters=2)
    del given["pooling"]
    return given


def plain_masked():
    given = {**masked(), **named(networks.vgg(**{**small_vgg(), "shape": (8, 16, 2), "pooling": "mean"}))}
    given["target"] = layers.LowVariance(0.6, name="target")
    given["target"].adapt(np.random.default_rng(2).normal(size=(20, 32, 8)).astype("float32"))
    return given


def convolutional_masked():
    given = {**masked(), **named(networks.convnext(**small_convnext(shape=(8, 16, 2), pooling="mean")))}
    given["target"] = layers.LowVariance(0.6, name="target")
    given["target"].adapt(np.random.default_rng(2).normal(size=(20, 16, 16)).astype("float32"))
    return given


def frozen_classifier():
    encoder, _ = networks.dense((6,), 4, (5,), activation="tanh")
    return {
        "encoder": encoder,
        "classes": 3,
        "dropout": 0.2,
        "input_dropout": 0.1,
        "freeze": True,
        "pixel_max": 15.0,
        "name": "row",
    }


def estimator():
    return {**frozen_classifier(), "kind": "numbers", "shift": [1.0, -3.0, 0.0], "scale": [0.5, 2.0, 1.0]}


def segmenter():
    pair = networks.vit((8, 4, 1), (4, 2), width=8, depth=1, heads=2, decoder_width=8, decoder_depth=1, decoder_heads=2)
    return {
        "encoder": pair[0],
        "classes": 3,
        "head": "conv",
        "head_width": 4,
        "freeze": True,
        "pixel_max": 15.0,
        "name": "row",
    }


def by_pixels():
    return {"optimizer": keras.optimizers.Adam(0.01), "loss": models.PixelCrossentropy([1.0, 2.0, 0.5])}


def tuned_classifier():
    given = {**frozen_classifier(), "encoder": models.VariationalAutoencoder(**variational()).feature_encoder()}
    del given["freeze"]
    return given


MODELS = [
    Case(models.Autoencoder, plain_conv, stored(5, 3, 2)),
    Case(models.Autoencoder, plain_tied, stored(3, 4), note="tied"),
    Case(models.Autoencoder, standardized, np.float32(stored(6)) - 9, note="standardized"),
    Case(models.DenoisingAutoencoder, denoising, stored(6, levels=2), deterministic=False),
    Case(models.VariationalAutoencoder, variational, stored(5, 4, 1, levels=4), deterministic=False),
    Case(models.AdversarialAutoencoder, adversarial, stored(6), deterministic=False),
    *(
        Case(
            target,
            arguments,
            stored(4, 18, 2),
            fixed=("likelihood",),
            deterministic=False,
            evaluates_alike=True,
            decodes_its_code=False,
            compiled=steady_adam,
        )
        for target, arguments in (
            (models.MaskedAutoencoder, masked),
            (models.CrossMaskedAutoencoder, cross_masked),
            (models.SimMIM, simmim),
        )
    ),
    *(
        Case(
            models.ConvolutionalMaskedAutoencoder,
            arguments,
            stored(8, 16, 2),
            note=note,
            fixed=("likelihood",),
            deterministic=False,
            evaluates_alike=True,
            decodes_its_code=False,
            compiled=steady_adam,
        )
        for arguments, note in ((convolutional_masked, ""), (plain_masked, "vgg"))
    ),
    Case(
        models.MaskedAutoencoder,
        pooled,
        stored(4, 6, 2),
        note="pooled",
        leaves=("normalize_targets", "mask_group", "target"),
        fixed=("likelihood",),
        deterministic=False,
        evaluates_alike=True,
        decodes_its_code=False,
        compiled=steady_adam,
    ),
    Case(
        models.StackedAutoencoder,
        stack,
        stored(4, 3, 1),
        fixed=("encoder", "decoder", "likelihood", "pixel_max"),
    ),
    Case(
        models.Classifier,
        frozen_classifier,
        stored(6),
        LABELS,
        leaves=("kind", "shift", "scale"),
        deterministic=False,
        compiled=supervised,
    ),
    Case(
        models.Classifier,
        estimator,
        stored(6),
        FLAGS,
        note="numbers",
        deterministic=False,
        compiled=lambda: {**supervised(), "loss": models.ScaledSquaredError([0.5, 2.0, 1.0])},
    ),
    Case(
        models.Classifier,
        tuned_classifier,
        stored(5, 4, 1, levels=4),
        LABELS,
        note="tuned",
        leaves=("freeze", "kind", "shift", "scale"),
        deterministic=False,
        compiled=supervised,
    ),
    Case(
        models.Segmenter,
        segmenter,
        stored(8, 4, 1),
        MASKS,
        deterministic=False,
        compiled=by_pixels,
    ),
    Case(models.SemanticHashingAutoencoder, semantic_hashing, stored(6), deterministic=False, evaluates_alike=True),
    Case(models.KSparseAutoencoder, k_sparse, stored(3, 2)),
    Case(models.PredictiveSparseDecomposition, predictive_sparse, stored(3, 2), bounded=False),
    Case(models.SparseDictionary, dictionary, stored(3, 2), leaves=("activation",), bounded=False),
    *(
        Case(
            models.SparseDictionary,
            lambda activation=activation: dictionary(activation=activation),
            stored(3, 2),
            note=activation,
            per_example=False,
            bounded=False,
        )
        for activation in ("batch-top-k", "jump-relu")
    ),
    Case(models.ContractiveAutoencoder, contractive, stored(6), deterministic=False),
    Case(models.ContractiveAutoencoder, shallow_contractive, stored(3, 2), note="shallow", leaves=CONTRACTIVE_DRAWS),
    Case(models.WassersteinAutoencoder, wasserstein, stored(6), deterministic=False, per_example=False),
    Case(
        models.SparseAutoencoder,
        lambda: sparse(target_activity=0.1),
        stored(6),
        per_example=False,
        leaves=("penalty",),
    ),
    Case(models.SparseAutoencoder, lambda: sparse(penalty="l1"), stored(6), note="l1", leaves=("target_activity",)),
    Case(models.GaussianWassersteinAutoencoder, gaussian_wasserstein, stored(6), per_example=False),
    Case(
        models.ImportanceWeightedAutoencoder,
        lambda: importance_weighted("doubly"),
        stored(6),
        deterministic=False,
        fixed=models.ImportanceWeightedAutoencoder.sets_itself,
    ),
    Case(models.TotalCorrelationAutoencoder, total_correlation, stored(6), deterministic=False, per_example=False),
    Case(models.InfoVariationalAutoencoder, information, stored(6), deterministic=False, per_example=False),
    Case(models.FactorVariationalAutoencoder, factor, stored(6), deterministic=False, per_example=False),
]

MODELS += [
    Case(models.SemiSupervisedVariationalAutoencoder, semi_supervised, stored(6), LABELS, deterministic=False),
    Case(
        models.ConditionalAdversarialAutoencoder, conditional_adversarial, stored(3, 2, 1), LABELS, deterministic=False
    ),
    Case(models.AdversarialVariationalAutoencoder, vae_gan, stored(6), deterministic=False),
    Case(models.SemiSupervisedAdversarialAutoencoder, adversarial_classes, stored(6), LABELS, deterministic=False),
]
SUPERVISED = (models.Classifier, models.Segmenter)
AUTOENCODERS = [case for case in MODELS if case.target not in SUPERVISED]


def tied_to_five(layer):
    """Tie a layer of inputs [B, 3] to a dense layer 5 → 3."""
    dense = keras.layers.Dense(3, name="below")
    dense.build((None, 5))
    layer.build((None, 3))
    layer.tie(dense)
    return layer


VALUES = np.linspace(0.1, 0.9, 24, dtype="float32").reshape(4, 6)


def built_for_tokens(layer):
    """Build the layer now, so that its initial weights are drawn before its first call."""
    layer.build((None, 3, 4))
    return layer


def built_for_values(layer):
    layer.build((None, 6))
    return layer


def responding(layer):
    """Build a layer for maps [B, 2, 3, 4], with weights that do not make it the identity."""
    layer.build((None, 2, 3, 4))
    for weight in (w for w in layer.weights if w.name in ("gamma", "beta")):
        weight.assign(weight + np.linspace(-0.5, 1, weight.shape[0]))
    return layer


def built_for_mask(layer):
    layer.build([(None, 3, 4), (None, 3)])
    return layer


def built_for_queries(layer):
    layer.build([(None, 1, 6), (None, 3, 4)])
    return layer


def adapted(layer):
    """Adapt the layer to images of three patches of four values."""
    layer.adapt(np.random.default_rng(3).uniform(size=(20, 3, 4)))
    return layer


TOKENS = np.concatenate([VALUES, 1 - VALUES]).reshape(4, 3, 4)
MAPS = np.concatenate([VALUES, 1 - VALUES, VALUES**2, 1 - VALUES**2]).reshape(4, 2, 3, 4)
PICTURES = np.concatenate([VALUES**i for i in range(1, 7)]).reshape(4, 6, 6, 1)

LAYERS = [
    Case(layers.SharedVariance, lambda: {"log_variance": -1.0, "name": "row"}, VALUES),
    Case(layers.GlobalResponseNorm, lambda: {"epsilon": 0.3, "name": "row"}, MAPS, ready=responding),
    Case(
        layers.ConvNextBlock,
        lambda: {"kernel": 3, "expansion": 1.5, "drop_path": 0.3, "name": "row"},
        MAPS,
        ready=responding,
    ),
    Case(layers.ConvBlock, lambda: {"filters": 3, "kernel": 1, "pool": True, "name": "row"}, MAPS),
    Case(
        layers.MaskingCorruption,
        lambda: {"rate": 0.4, "seed": 5, "name": "row"},
        VALUES,
        deterministic=False,
    ),
    Case(
        layers.GaussianCorruption,
        lambda: {"stddev": 0.7, "least": 0.1, "seed": 5, "name": "row"},
        VALUES,
        deterministic=False,
    ),
    Case(layers.DownscaleCorruption, lambda: {"scale": 3, "seed": 5, "name": "row"}, PICTURES),
    Case(layers.LeadingSum, lambda: {"name": "row"}, (PICTURES, PICTURES**2)),
    Case(layers.SpaceToDepth, lambda: {"block": 3, "name": "row"}, PICTURES),
    Case(layers.DepthToSpace, lambda: {"block": 3, "name": "row"}, np.repeat(PICTURES, 9, axis=-1)),
    Case(
        layers.SaltAndPepperCorruption,
        lambda: {"rate": 0.4, "seed": 5, "name": "row"},
        VALUES,
        deterministic=False,
    ),
    Case(
        layers.Dropout,
        lambda: {"rate": 0.4, "noise_shape": (None, 1), "seed": 5, "name": "row"},
        VALUES,
        deterministic=True,  # as it is called, outside training
    ),
    Case(layers.ScaledTanh, lambda: {"name": "row"}, VALUES),
    Case(layers.JumpReLU, lambda: {"threshold": 0.4, "bandwidth": 0.2, "name": "row"}, VALUES),
    Case(layers.Dictionary, lambda: {"latents": 5, "name": "row"}, VALUES, ready=built_for_values),
    Case(layers.KeepLargest, lambda: {"k": 2, "name": "row"}, VALUES),
    Case(
        layers.TiedDense,
        lambda: {"units": 5, "tied_to": "below", "activation": "tanh", "name": "row"},
        VALUES[:, :3],
        ready=tied_to_five,
    ),
    Case(
        layers.Patches,
        lambda: {"patch": (3, 2), "mean": (0.1, 0.2), "std": (0.5, 2.0), "name": "row"},
        np.concatenate([VALUES, 1 - VALUES]).reshape(4, 3, 2, 2),
    ),
    Case(
        layers.Images,
        lambda: {"patch": (1, 2), "grid": (3, 1), "name": "row"},
        VALUES.reshape(4, 3, 2),
    ),
    Case(
        layers.PatchTokens,
        lambda: {"grid": (1, 3), "class_token": False, "learned": True, "name": "row"},
        TOKENS,
        ready=built_for_tokens,
    ),
    Case(
        layers.RestoredTokens,
        lambda: {"grid": (3, 1), "class_token": False, "learned": True, "name": "row"},
        TOKENS,
        ready=built_for_tokens,
    ),
    Case(
        layers.MaskQueries,
        lambda: {"width": 8, "grid": (3, 2), "learned": True, "name": "row"},
        TOKENS,
        fixed=("class_token",),
        ready=built_for_tokens,
    ),
    Case(
        layers.MaskedTokens,
        lambda: {"name": "row"},
        (TOKENS, np.float32([[0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0]])),
        ready=built_for_mask,
    ),
    Case(
        layers.LowVariance,
        lambda: {"variance": 0.4, "whole": True, "name": "row"},
        TOKENS,
        ready=adapted,
    ),
    Case(
        layers.Standardization,
        lambda: {"mean": [1.0, -2.0, 0.5, 3.0, 0.0, 9.0], "deviation": [2.0] * 6, "missing": True, "name": "row"},
        VALUES,
    ),
    Case(
        layers.TokenNorm,
        lambda: {"epsilon": 0.3, "name": "row"},
        TOKENS,
        ready=built_for_tokens,
    ),
    Case(
        layers.TokenPooling,
        lambda: {"kind": "class", "name": "row"},
        TOKENS,
        leaves=("class_token",),
    ),
    Case(
        layers.TokenPooling,
        lambda: {"class_token": False, "name": "row"},
        TOKENS,
        note="mean",
        leaves=("kind",),
    ),
    Case(
        layers.Codebook,
        lambda: {"size": 3, "by_gradient": True, "name": "row"},
        TOKENS,
        ready=built_for_tokens,
    ),
    Case(
        layers.SelfAttention,
        lambda: {"heads": 2, "name": "row"},
        TOKENS,
        ready=built_for_tokens,
    ),
    Case(
        layers.CrossAttention,
        lambda: {"heads": 3, "name": "row"},
        (VALUES.reshape(4, 1, 6), TOKENS),
        ready=built_for_queries,
    ),
    Case(
        layers.CrossBlock,
        lambda: {"heads": 3, "mlp_ratio": 1.5, "drop_path": 0.3, "layer_scale": 0.5, "name": "row"},
        (VALUES.reshape(4, 1, 6), TOKENS),
        ready=built_for_queries,
    ),
    Case(
        layers.AttentionPooling,
        lambda: {"heads": 2, "seed": 5, "name": "row"},
        TOKENS,
        ready=built_for_tokens,
    ),
    Case(
        layers.TransformerBlock,
        lambda: {"heads": 2, "mlp_ratio": 1.5, "drop_path": 0.3, "layer_scale": 0.5, "name": "row"},
        TOKENS,
        ready=built_for_tokens,
    ),
]

NETWORKS = [
    Case(
        networks.dense,
        lambda: {
            "shape": (3, 2, 2),
            "code": 2,
            "widths": (5, 4),
            "activation": "tanh",
            "code_activation": "sigmoid",
            "posterior": "gaussian",
            "pixel_parameters": 3,
            "condition": 4,
            "kernel_initializer": "he_normal",
            "code_dropout": 0.3,
            "name": "row",
        },
        np.float32(stored(3, 2, 2)),
        leaves=("tied", "kernel_regularizer"),
    ),
    Case(
        networks.dense,
        lambda: {
            "shape": (6,),
            "code": 2,
            "widths": (5, 4),
            "activation": "tanh",
            "code_activation": "sigmoid",
            "tied": True,
            "kernel_initializer": "he_normal",
            "kernel_regularizer": keras.regularizers.L2(0.1),
            "code_dropout": 0.3,
            "name": "row",
        },
        np.float32(stored(6)),
        note="tied",
        leaves=("posterior", "pixel_parameters", "condition"),
    ),
    Case(
        networks.conv,
        lambda: {
            "shape": (7, 5, 3),
            "code": 2,
            "filters": (3, 4),
            "kernel": 5,
            "widths": (6,),
            "activation": "tanh",
            "code_activation": "sigmoid",
            "posterior": "gaussian",
            "pixel_parameters": 2,
            "condition": 3,
            "kernel_regularizer": keras.regularizers.L1(0.1),
            "code_dropout": 0.3,
            "name": "row",
        },
        np.float32(stored(7, 5, 3)),
    ),
]

TRANSFORMERS = [
    Case(networks.vit, small_vit, stored(4, 6, 2) / np.float32(15)),
    Case(
        networks.convnext,
        small_convnext,
        stored(4, 12, 2) / np.float32(15),
        leaves=("code", "code_activation", "posterior", "pixel_parameters"),
    ),
    Case(
        networks.vgg,
        small_vgg,
        stored(4, 12, 2) / np.float32(15),
        leaves=("code", "code_activation", "posterior", "pixel_parameters"),
    ),
    Case(networks.vgg, coded_vgg, stored(5, 9, 2) / np.float32(15), note="coded", leaves=("pooling",)),
    Case(networks.convnext, coded_convnext, stored(5, 9, 2) / np.float32(15), note="coded", leaves=("pooling",)),
]
"""Networks of patches. Unlike `NETWORKS`, they have no code of a chosen length and no choice of activations."""

LIKELIHOODS = [
    Case(distributions.Bernoulli, lambda: {}, np.float32(stored(3, 2, levels=2))),
    Case(distributions.Gaussian, lambda: {"scale": 0.3, "squash": True}, stored(3, 2) / np.float32(15)),
    Case(distributions.Categorical, lambda: {"levels": 5}, stored(3, 2, levels=5) / np.float32(4)),
    Case(distributions.GaussianPerValue, lambda: {"floor": 0.1}, stored(3, 2) / np.float32(15)),
    Case(distributions.LogisticMixture, lambda: {"levels": 5, "components": 2}, stored(3, 2, levels=5) / np.float32(4)),
    Case(
        distributions.TableColumns,
        lambda: {"numbers": 1, "categories": [3, 2], "shift": [0.2, 0.5, 0.3, 0.6, 0.4]},
        np.concatenate([VALUES[:, :1], np.eye(3)[[0, 2, 1, 1]], np.eye(2)[[1, 0, 0, 1]]], 1, dtype="float32")
        - np.float32([0, 0.2, 0.5, 0.3, 0.6, 0.4]),
    ),
]

LOSSES = [
    Case(
        models.SmoothedCrossentropy, lambda: {"smoothing": 0.3, "weights": [1.0, 2.0, 0.5], "name": "row"}, None, LABELS
    ),
    Case(
        models.SigmoidCrossentropy, lambda: {"smoothing": 0.3, "weights": [1.0, 2.0, 0.5], "name": "row"}, None, FLAGS
    ),
    Case(models.PixelCrossentropy, lambda: {"weights": [1.0, 2.0, 0.5], "name": "row"}, None, MASKS),
    Case(models.ScaledSquaredError, lambda: {"scale": [0.3, 5.0, 1.0], "name": "row"}, None, FLAGS),
    Case(models.ClassAccuracy, lambda: {"name": "row"}, None, LABELS),
]

ROWS = [*MODELS, *LAYERS, *NETWORKS, *TRANSFORMERS, *LIKELIHOODS, *LOSSES]

ABSTRACT = {"Corruption", "Likelihood", "MaskableBlock", "Positioned"}
"""Public abstract classes, whose subclasses have rows."""

# ---- masks, conditions, learned priors


def auto_rec():
    return {
        **named(networks.dense((6,), 3, (), code_activation="sigmoid")),
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "name": "row",
    }


def recurrent():
    return {
        **named(networks.lstm((4, 3), 2, (5,))),
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "name": "row",
    }


def vamp():
    return {
        **named(networks.dense((6,), 2, (5,), activation="tanh", posterior="gaussian")),
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "prior": models.VampPrior(3, seed=4),
        "name": "row",
    }


def hyperspherical():
    return {
        **named(networks.dense((6,), 3, (5,), activation="tanh", posterior="von_mises_fisher")),
        "pixel_max": 15.0,
        "beta": 0.5,
        "posterior": "von_mises_fisher",
        "prior": "sphere",
        "name": "row",
    }


def conditional():
    return {
        **named(networks.dense((6,), 2, (5,), activation="tanh", posterior="gaussian", condition=3)),
        "pixel_max": 15.0,
        "beta": 0.5,
        "name": "row",
    }


MODELS += [
    Case(models.AutoRec, auto_rec, stored(6)),
    Case(models.RecurrentAutoencoder, recurrent, stored(4, 3)),
    *(
        Case(
            models.VariationalAutoencoder,
            arguments,
            stored(6),
            labels,
            note=arguments.__name__,
            leaves=leaves,
            deterministic=False,
        )
        for arguments, labels, leaves in (
            (vamp, None, ("beta", "free_bits", "posterior", "capacity")),
            (hyperspherical, None, ("likelihood", "free_bits", "capacity")),
            (conditional, LABELS, ("likelihood", "free_bits", "posterior", "prior", "capacity")),
        )
    ),
]


def vector_quantized():
    return {
        **named(networks.shape_code(*networks.dense((6,), 6, (5,), activation="tanh"), (3, 2))),
        "likelihood": distributions.Gaussian(scale=0.7, squash=True),
        "pixel_max": 15.0,
        "entries": 5,
        "beta": 0.5,
        "decay": 0.9,
        "name": "row",
    }


def code_prior():
    network = networks.index_transformer(3, 5, 8, 1, 2, condition=3)
    return {"autoencoder": models.VectorQuantizedAutoencoder(**vector_quantized()), "network": network, "name": "row"}


def persistent_rbm():
    return {"shape": (3, 2), "hidden": 4, "pixel_max": 15.0, "steps": 2, "chains": 4, "centring": 0.1, "name": "row"}


MODELS += [
    Case(
        models.VectorQuantizedAutoencoder,
        lambda: {**vector_quantized(), "restart": 0.3},
        stored(6),
        leaves=("learning",),
    ),
    Case(
        models.VectorQuantizedAutoencoder,
        lambda: {**vector_quantized(), "learning": "gradient"},
        stored(6),
        note="gradient",
        leaves=("restart",),
    ),
    Case(
        models.CodePriorAutoencoder,
        code_prior,
        stored(6),
        LABELS,
        fixed=("encoder", "decoder", "likelihood", "pixel_max"),
        compiled=steady_adam,
    ),
    # The means of Gaussian visible units have no range; `test_boltzmann.py` has them.
    Case(
        models.RestrictedBoltzmannMachine,
        persistent_rbm,
        stored(3, 2),
        fixed=("likelihood",),
        deterministic=False,
        per_example=False,
        compiled=sgd,
    ),
]


def recirculation():
    return {"shape": (3, 2), "hidden": 4, "pixel_max": 15.0, "regression": 0.6, "name": "row"}


def stochastic():
    given = denoising()
    return {
        **{name: value for name, value in given.items() if name not in ("encoder", "decoder")},
        **named(networks.dense((6,), 4, (5,), code_activation="tanh")),
        "walkback": 3,
        "code_noise": 0.2,
    }


def belief():
    bottom = models.RestrictedBoltzmannMachine((3, 2), 5, pixel_max=15.0)
    return {"autoencoders": [bottom, models.RestrictedBoltzmannMachine((5,), 4, centring=0.1)], "name": "row"}


MODELS += [
    Case(models.GenerativeStochasticNetwork, stochastic, stored(6, levels=2), deterministic=False),
    Case(models.Recirculation, recirculation, stored(3, 2)),
    Case(
        models.DeepBeliefNetwork,
        belief,
        stored(3, 2),
        fixed=("encoder", "decoder", "likelihood", "pixel_max"),
    ),
]
AUTOENCODERS = [case for case in MODELS if case.target not in SUPERVISED]

NETWORKS_OF_SEQUENCES = [
    Case(
        networks.lstm,
        lambda: {
            "shape": (4, 3),
            "code": 2,
            "widths": (5, 4),
            "code_activation": "tanh",
            "pixel_parameters": 2,
            "name": "row",
        },
        np.float32(stored(4, 3)),
        leaves=("vocabulary", "embedding"),
    ),
    Case(
        networks.lstm,
        lambda: {"shape": (4,), "code": 2, "vocabulary": 7, "embedding": 3},
        np.float32(stored(4, levels=7)),
        note="ids",
        leaves=("widths", "code_activation", "pixel_parameters", "name"),
    ),
]
"""Networks whose encoders take x and a mask, unlike those of `NETWORKS`."""

POSTERIORS = [
    Case(distributions.GaussianPosterior, lambda: {}, VALUES),
    Case(distributions.VonMisesFisherPosterior, lambda: {}, VALUES),
    Case(distributions.FullGaussianPosterior, lambda: {}, VALUES[:, :5]),
    Case(distributions.OneHotPosterior, lambda: {"classes": 3, "temperature": 0.5}, VALUES),
]
"""Rows whose x is the output of an encoder."""

PRIORS = [
    Case(distributions.StandardNormal, lambda: {}, VALUES),
    Case(distributions.UniformSphere, lambda: {}, VALUES),
    Case(distributions.UniformCube, lambda: {}, VALUES),
    Case(distributions.UniformOneHot, lambda: {"classes": 3}, VALUES),
    Case(
        distributions.PosteriorMixture,
        lambda: {"posterior": distributions.GaussianPosterior(), "encoded": np.concatenate([VALUES, -VALUES], -1)},
        VALUES,
    ),
    Case(models.VampPrior, lambda: {"components": 3, "seed": 4, "name": "row"}, None),
    Case(models.MixturePrior, lambda: {"components": 3, "spread": 2.0, "seed": 4, "name": "row"}, None),
]
"""Rows whose x are codes; None if the prior is made of encoded inputs."""

# ---- sequences of ids


def masked_language():
    return {
        **named(networks.transformer((4,), 3, 8, 1, 2, pooling=None, vocabulary=7)),
        "likelihood": distributions.Tokens(7),
        "pixel_max": 6.0,
        "corruption": layers.TokenCorruption(7, 0.5, seed=3),
        "corrupted_weight": 0.5,
        "clean_weight": 0.25,
        "name": "row",
    }


def gru_pair():
    sizes = {"shape": (4,), "code": 2, "widths": (5, 4), "code_activation": "tanh", "pixel_parameters": 2}
    return {**sizes, "vocabulary": 7, "embedding": 3, "name": "row"}


def transformer_pair():
    sizes = {"shape": (4,), "code": 2, "width": 8, "depth": 1, "heads": 2, "decoder_depth": 1, "mlp_ratio": 1.5}
    further = {"pooling": None, "code_activation": "tanh", "pixel_parameters": 2, "vocabulary": 7, "name": "row"}
    return {**sizes, **further}


IDS = stored(4, levels=7)
KNOWN = np.float32([[1, 1, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]])
BLOCK = {"heads": 2, "mlp_ratio": 1.5, "drop_path": 0.3, "layer_scale": 0.5, "causal": True, "name": "row"}

MODELS += [
    Case(
        models.DenoisingAutoencoder,
        masked_language,
        IDS,
        note="ids",
        deterministic=False,
        bounded=False,
        compiled=steady_adam,
    ),
]
AUTOENCODERS.append(MODELS[-1])
NETWORKS_OF_SEQUENCES += [Case(networks.gru, gru_pair, IDS), Case(networks.transformer, transformer_pair, IDS)]
LAYERS += [
    Case(
        layers.TokenCorruption,
        lambda: {"vocabulary": 9, "rate": 0.5, "masked": 0.3, "random": 0.5, "seed": 5, "name": "row"},
        np.float32(stored(6, levels=9)),
        deterministic=False,
    ),
    Case(
        layers.StepAttention,
        lambda: {"heads": 2, "causal": True, "name": "row"},
        (TOKENS, KNOWN),
        ready=built_for_mask,
    ),
    Case(layers.StepBlock, lambda: dict(BLOCK), (TOKENS, KNOWN), ready=built_for_mask),
    Case(layers.StepMean, lambda: {"name": "row"}, (TOKENS, KNOWN)),
    Case(layers.StepPositions, lambda: {"steps": 3, "name": "row"}, TOKENS, ready=built_for_tokens),
]
LIKELIHOODS.append(Case(distributions.Tokens, lambda: {"vocabulary": 5}, np.float32(stored(3, levels=5))))

ROWS = [*MODELS, *LAYERS, *NETWORKS, *TRANSFORMERS, *LIKELIHOODS, *LOSSES]
ROWS += [*NETWORKS_OF_SEQUENCES, *POSTERIORS, *PRIORS]
ABSTRACT |= {"Posterior", "Prior"}

FUNCTIONS = {
    "bernoulli_kl": "test_sparse.py",
    "conv_map": "test_code_maps.py",
    "convnext_atto": "test_convnext.py",
    "convnext_mini": "test_convnext.py",
    "convnext_tiny": "test_convnext.py",
    "exact_gelu": "test_activations.py",
    "layer_norm": "test_normalization.py",
    "free_bits": "test_divergences.py",
    "gather_tokens": "test_patches.py",
    "group_masking": "test_patches.py",
    "gaussian_kl": "test_divergences.py",
    "gaussian_w2": "test_wasserstein.py",
    "gaussian_log_density": "test_divergences.py",
    "index_transformer": "test_code_prior.py",
    "inverse_multiquadratic": "test_wasserstein.py",
    "jacobian_products": "test_contractive.py",
    "fista": "test_predictive_sparse.py",
    "shrink": "test_predictive_sparse.py",
    "jump_relu": "test_dictionary.py",
    "keep_largest": "test_k_sparse.py",
    "mmd": "test_wasserstein.py",
    "normalize_patches": "test_patches.py",
    "patchify": "test_patches.py",
    "patches_of": "test_segment.py",
    "permute_dimensions": "test_factor.py",
    "pool_vit": "test_vit.py",
    "random_masking": "test_patches.py",
    "rbf": "test_wasserstein.py",
    "share_variance": "test_one_hot.py",
    "shape_code": "test_vector_quantized.py",
    "resize_positions": "test_positions.py",
    "resize_convnext": "test_convnext.py",
    "resize_vit": "test_vit.py",
    "sincos_positions": "test_positions.py",
    "step_above": "test_dictionary.py",
    "softmax": "test_activations.py",
    "sum_per_example": "test_likelihoods.py",
    "to_unit": "test_likelihoods.py",
    "total_variation": "test_conditional_adversarial.py",
    "tie_all": "test_layers.py",
    "Trigram": "test_trigram.py",
    "enlarge_images": "test_restoring.py",
    "residual": "test_restoring.py",
    "resize_residual": "test_restoring.py",
    "shrink_images": "test_restoring.py",
    "unpatchify": "test_patches.py",
    "unpool": "test_segment.py",
    "vit_base": "test_vit.py",
    "vit_huge": "test_vit.py",
    "vit_large": "test_vit.py",
    "vit_small": "test_vit.py",
    "vit_tiny": "test_vit.py",
}
"""Public function, or class that is made of data, → the test file that covers it."""


def first_of_its_family(rows):
    """Make pytest parameters of rows; all but the first of each family are marked slow."""
    seen, found = set(), []
    for case in rows:
        parents = [c for c in case.target.__mro__ if c.__module__.startswith("kerasae.models")]
        family = next((c for c in reversed(parents) if ".contract." not in c.__module__), models.Autoencoder)
        found.append(pytest.param(case, id=case.id, marks=[pytest.mark.slow] if family in seen else []))
        seen.add(family)
    return found
