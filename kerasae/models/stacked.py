"""Greedily trained autoencoders, stacked into one deep autoencoder."""

import keras

from kerasae.distributions import likelihoods
from kerasae.errors import InputError
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.players import Player


@keras.saving.register_keras_serializable("kerasae")
class StackedAutoencoder(Autoencoder):
    """Stack shallow autoencoders into a deep one: encode through all layers, decode back through them.

    encode(x) = e_n(… e_1(x)), decode(z) = d_1(… d_n(z)): Bengio et al., NIPS 2006; Vincent et al., JMLR 11 (2010),
    section 4. Layer 1 is trained on the data, each further layer on the codes of the layer below, and the stack
    can then be trained jointly to reconstruct the input.

    Args:
        autoencoders: the layers, bottom first; each one's code must have the shape of the next one's input. Any
            variant of the contract that is not conditional will do; the next layer sees its deterministic code.

    The likelihood and `pixel_max`, or the standardisation, are those of the bottom layer. A layer without likelihood,
    such as a sparse dictionary, minimises squared error: its place is taken by a Gaussian of variance 1. Weights are
    shared with the layers, not copied.

    Raises:
        InputError: for an empty list, shapes that do not fit, and conditional layers.

    Example:
        >>> layers = [DenoisingAutoencoder(*kerasae.networks.dense(784, 256, ())),
        ...           DenoisingAutoencoder(*kerasae.networks.dense(256, 64, ()))]
        >>> deep = StackedAutoencoder(layers)
        >>> deep.code_shape  # (64,)
    """

    may_be_conditional = False
    may_take_steps = False

    def __init__(self, autoencoders, **kwargs):
        autoencoders = list(autoencoders)
        check_chain(autoencoders)
        bottom = autoencoders[0]
        scale = bottom.standardization or bottom.pixel_max
        super().__init__(_up(autoencoders), _down(autoencoders), likelihood_of(bottom), scale, **kwargs)
        self.autoencoders = autoencoders

    def players(self):
        # Parts that only a layer's objective uses, such as a discriminator, are not trained here.
        return {"model": Player([self.encoder, self.decoder], {"reconstruction": 1.0})}


def check_chain(autoencoders):
    """Raise InputError unless each layer's code has the shape of the next layer's input, and needs no condition."""
    if not autoencoders:
        raise InputError("StackedAutoencoder: expected at least one autoencoder. Received: an empty list")
    for i, layer in enumerate(autoencoders, 1):
        if layer.conditional:
            raise InputError(
                f"StackedAutoencoder: layer {i} is conditional, but layers see the codes below alone; give it networks "
                "without a condition"
            )
    for i, (lower, upper) in enumerate(zip(autoencoders, autoencoders[1:], strict=False), 1):
        if lower.code_shape != upper.example_shape:
            raise InputError(
                f"StackedAutoencoder: layer {i} gives codes {lower.code_shape}, "
                f"but layer {i + 1} takes {upper.example_shape}"
            )


def likelihood_of(layer):
    """Return p(x | z) of a layer: a Gaussian where it has none, as it then minimises squared error."""
    return layer.likelihood if layer.has_likelihood else likelihoods.Gaussian()


def _up(autoencoders):
    x = inputs = keras.Input(autoencoders[0].example_shape)
    for i, autoencoder in enumerate(autoencoders, 1):
        # The stack standardises once, before its encoder.
        x = _renamed(autoencoder.unit_encoder(), f"layer_{i}_encoder")(x)
    return keras.Model(inputs, x, name="stacked_encoder")


def _down(autoencoders):
    """Chain the decoders: means between layers, and the bottom likelihood's raw parameters at the end."""
    x = inputs = keras.Input(autoencoders[-1].code_shape)
    for i, autoencoder in reversed(list(enumerate(autoencoders, 1))):
        x = _renamed(autoencoder.feature_decoder(), f"layer_{i}_decoder")(x)
        x = likelihood_of(autoencoder).mean(x) if i > 1 else x
    return keras.Model(inputs, x, name="stacked_decoder")


def _renamed(network, name):
    """Rename a network, with its layers shared: Keras wants distinct names within a model."""
    return keras.Model(network.inputs[0], network.outputs[0], name=name)
