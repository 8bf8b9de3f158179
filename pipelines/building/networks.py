"""Build the encoder and decoder of `kerasae train` by the names that recipes give them."""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.building.masked_networks import side
from pipelines.building.variants import own_arguments
from pipelines.command_line.ranges import within

OF_SEQUENCES = ("lstm", "gru", "transformer")
"""Networks of sequences with padding."""

CRITIC = 128
"""Features of the discriminator of images that a variant has."""

REGULARISERS = ("tied", "weight_decay_l1", "weight_decay_l2", "code_dropout")
"""Fields of dense or convolutional networks that restrict their weights or codes."""


@dataclass(frozen=True, kw_only=True)
class NetworkFields:
    """Settings for the encoder and the decoder."""

    network: Literal["dense", "conv", "convnext", "residual", "lstm", "gru", "transformer"] = "dense"
    """Architecture: dense (fully connected), conv (convolutional, for signals, images and volumes), convnext (ConvNeXt
    V2, images only), residual (maps as large as the image, for denoising images of any size), or lstm, gru
    (recurrent) and transformer, of sequences only."""
    code: int = field(default=32, metadata=within("count"))
    """Length of the code, or channels of the maps of a residual network."""
    widths: tuple[int, ...] = field(default=(512,), metadata=within("count", may_be_empty=True))
    """Hidden widths of the dense network, units of a recurrent one, or the one width of the transformer."""
    filters: tuple[int, ...] = field(default=(32, 64), metadata=within("count"))
    """Channels of each stage of a convolutional network; each stage halves every direction."""
    depths: tuple[int, ...] = field(default=(2, 6), metadata=within("depth"))
    """Blocks of each stage of convnext."""
    patch: tuple[int, ...] = field(default=(4,), metadata=within("count"))
    """Total stride of the convnext encoder: one number, or height and width."""
    kernel: int = field(default=7, metadata=within("count"))
    """Side of the depthwise kernels of convnext."""
    embedding: int = field(default=64, metadata=within("count"))
    """Length of the learned vector of a token, of a recurrent network of tokens."""
    blocks: int = field(default=2, metadata=within("count"))
    """Blocks of the transformer, or residual blocks of a residual network or of a conv one without pooling, in the
    encoder and in the decoder."""
    heads: int = field(default=4, metadata=within("count"))
    """Attention heads of the transformer, which divide its width."""
    pooling: Literal["mean", "none"] = "mean"
    """Code of the transformer, or of a conv network that is vector-quantized: one for the whole example, or none of
    that but one for each step, or for each place of the last map."""
    activation: Literal["relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid", "linear"] = "relu"
    """Activation of the hidden layers."""
    initializer: Literal["glorot_uniform", "fan_in"] = "glorot_uniform"
    """First weights of a dense network: Glorot's, or fan_in, by the number of inputs alone: He's before a rectifier
    and LeCun's elsewhere. fan_in leaves fewer dimensions of a code idle where the prior weighs much."""
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
    """Encoder and decoder of a dense or conv network are told the class of every example, which must have one."""


DECIDED = (
    *("network", "code", "widths", "filters", "depths", "patch", "kernel", "activation", "initializer", "tied"),
    *("embedding", "blocks", "heads", "pooling", "conditional"),
)
"""Fields that the weights decide which a recipe starts from."""


def unused(recipe, info, cls):
    """Map the fields that may have no effect to whether they have none, for a variant of a class."""
    convolves, residual = recipe.network in ("conv", "convnext"), recipe.network == "residual"
    found = {"widths": convolves or residual, "filters": not convolves}
    found["activation"] = recipe.network not in ("dense", "conv", "residual")
    found |= dict.fromkeys(("depths", "patch", "kernel"), recipe.network != "convnext")
    found |= {name: recipe.network not in ("dense", "conv") for name in (*REGULARISERS, "conditional")}
    found |= dict.fromkeys(("blocks", "heads", "pooling"), recipe.network != "transformer")
    if residual:
        found |= dict.fromkeys(("blocks", "weight_decay_l1", "weight_decay_l2"), False)
    if recipe.network == "conv" and issubclass(cls, kerasae.models.VectorQuantizedAutoencoder):
        found |= {"pooling": False, "blocks": recipe.pooling != "none"}
        found |= dict.fromkeys(("code_dropout", "conditional"), recipe.pooling == "none")
    found["embedding"] = recipe.network not in ("lstm", "gru") or info.kind != "tokens"
    found |= dict.fromkeys(("tied", "initializer"), recipe.network != "dense")
    found["conditional"] |= not cls.may_be_conditional or cls.infers_labels or cls.always_conditional
    if not issubclass(cls, kerasae.models.Autoencoder):  # such as a Boltzmann machine
        names = ("network", "widths", "filters", "depths", "patch", "kernel", "conditional", "initializer")
        found |= dict.fromkeys((*names, *REGULARISERS), True)
    return found


def check(recipe, source, cls):
    """Raise InputError for tokens without a network of sequences, and classes that the data or the network lack."""
    from pipelines.labels import partly

    if cls.infers_labels:
        partly.check(recipe, source)
    if source.info.kind == "tokens" and recipe.network not in OF_SEQUENCES:
        raise InputError(
            f"network: {recipe.network} does not read tokens in their order; give --network {', '.join(OF_SEQUENCES)}"
        )
    if told_classes(recipe, cls) and (not source.info.classes or source.train.labels is None):
        what = "conditional" if recipe.conditional else recipe.variant
        raise InputError(f"{what}: {source.info.spec} has no classes; leave it out, or give labelled data")


def told_classes(recipe, cls):
    """Whether the networks of a variant are told the class of every example."""
    return recipe.conditional or cls.always_conditional


def builder(recipe, info, cls):
    """Return a function (posterior, pixel_parameters) → (encoder, decoder) for a variant of a class."""
    code_activation = cls.code_activation or cls.usual_code_activation

    def networks(posterior, pixel_parameters, code=recipe.code, condition=None, name=recipe.network):
        if recipe.network in OF_SEQUENCES:
            return of_sequences(recipe, info, posterior, pixel_parameters)
        shared = {"posterior": posterior, "pixel_parameters": pixel_parameters, "code_activation": code_activation}
        if recipe.network == "conv" and recipe.pooling == "none":
            return of_map(recipe, info, pixel_parameters)
        if recipe.network == "residual":
            return of_maps_of_pixels(recipe, info, posterior, pixel_parameters)
        if recipe.network == "convnext":
            sizes = {"widths": recipe.filters, "depths": recipe.depths, "kernel": recipe.kernel}
            return kerasae.networks.convnext(info.shape, side(recipe), code=code, name=name, **sizes, **shared)
        shared |= {"condition": condition, "name": name}
        shared |= {"activation": recipe.activation, "code_dropout": recipe.code_dropout, **weight_decay(recipe)}
        if recipe.network == "conv":
            return kerasae.networks.conv(info.shape, code, recipe.filters, **shared)
        shared |= {"tied": recipe.tied, "kernel_initializer": recipe.initializer}
        return kerasae.networks.dense(info.shape, code, recipe.widths, **shared)

    return networks


def parts(networks, info, cls):
    """Build the further networks that a variant takes: of the classes, and of a discriminator's features."""
    found = {}
    if cls.infers_labels:
        found["classifier"] = networks(None, 1, code=info.classes, name="classifier")[0]
    if "critic" in own_arguments(cls):
        found["critic"] = networks(None, 1, code=CRITIC, name="critic")[0]
    return found


def with_class(networks, recipe, info, cls):
    """Wrap a builder of networks for a model that knows the class: the decoder takes it as its condition.

    The encoder takes it too, or gives the class beside the code, or neither, as the variant says.
    """
    if not (cls.infers_labels or told_classes(recipe, cls)):
        return networks
    if cls.conditional_encoder and not cls.encodes_class:
        return partial(networks, condition=info.classes)
    longer = recipe.code + info.classes * cls.encodes_class

    def build(*sizes):
        return networks(*sizes, code=longer)[0], networks(*sizes, condition=info.classes)[1]

    return build


def of_map(recipe, info, pixel_parameters):
    """Build the convolutional encoder and decoder whose code is a map."""
    sizes = {"filters": recipe.filters, "blocks": recipe.blocks, "activation": recipe.activation}
    shared = {"pixel_parameters": pixel_parameters, **weight_decay(recipe)}
    return kerasae.networks.conv_map(info.shape, recipe.code, **sizes, **shared)


def likelihood(recipe):
    """Choose the likelihood's name for a network: residual adds to pixels, so that it starts at the identity."""
    if recipe.network != "residual":
        return recipe.likelihood
    if recipe.likelihood not in ("auto", "gaussian"):
        raise InputError(f"likelihood: residual predicts pixels, not {recipe.likelihood}; leave it out, for gaussian")
    return "gaussian"


def of_maps_of_pixels(recipe, info, posterior, pixel_parameters):
    """Build the residual encoder and decoder, whose code is as large as the image."""
    if posterior is not None or pixel_parameters != 1:
        raise InputError("network: residual predicts one number per pixel from plain codes; choose another network")
    sizes = {"blocks": recipe.blocks, "activation": recipe.activation}
    return kerasae.networks.residual(info.shape, recipe.code, **sizes, **weight_decay(recipe))


def of_sequences(recipe, info, posterior, pixel_parameters):
    """Build the encoder and decoder of sequences, of values or of tokens."""
    if posterior is not None:
        raise InputError(f"network: {recipe.network} has no {posterior} codes; choose a variant with plain ones")
    shared = {"vocabulary": len(info.columns)} if info.kind == "tokens" else {"pixel_parameters": pixel_parameters}
    if recipe.network != "transformer":
        shared |= {"embedding": recipe.embedding} if info.kind == "tokens" else {}
        return getattr(kerasae.networks, recipe.network)(info.shape, recipe.code, recipe.widths, **shared)
    if len(recipe.widths) != 1:
        raise InputError(f"widths: expected one, the transformer's. Received: {recipe.widths}")
    sizes = {"width": recipe.widths[0], "depth": recipe.blocks, "heads": recipe.heads, "decoder_depth": recipe.blocks}
    pooling = None if recipe.pooling == "none" else recipe.pooling
    return kerasae.networks.transformer(info.shape, recipe.code, **sizes, pooling=pooling, **shared)


def weight_decay(recipe):
    """Make the regulariser of the kernels, as an argument of the network builders; none without weight decay."""
    import keras

    l1, l2 = recipe.weight_decay_l1, recipe.weight_decay_l2
    if l2 is None:
        l2 = 0.01 * (recipe.variant == "autorec")
    return {"kernel_regularizer": keras.regularizers.L1L2(l1, l2)} if l1 or l2 else {}
