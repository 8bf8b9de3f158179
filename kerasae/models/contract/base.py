"""The plain autoencoder, parent of the variants with an encoder, a decoder and a likelihood."""

import keras
import numpy as np
from keras import ops

from kerasae.distributions import likelihoods
from kerasae.distributions.priors import StandardNormal
from kerasae.errors import InputError
from kerasae.layers import Standardization, tie_all
from kerasae.models.contract.codec import CONDITION, MASK, Codec, call_network, has_input
from kerasae.models.contract.trainable import Trainable


@keras.saving.register_keras_serializable("kerasae")
class Autoencoder(Codec, Trainable):
    """Reconstruct x̂ = decode(encode(x)): the plain autoencoder, parent of the variants with these two networks.

    It minimises −log p(x | z) with z = encode(x): squared error for a Gaussian likelihood, cross-entropy for a
    Bernoulli one. Rumelhart, Hinton and Williams, Nature 323 (1986); Hinton and Salakhutdinov, Science 313 (2006).

    `fit(x)` reconstructs x; `fit(noisy, clean)` reconstructs clean from noisy. A decoder with a second input
    "condition", as `kerasae.networks.dense(..., condition=K)` builds it, makes the model conditional: `fit(x, y)`,
    `encode(x, y)`, `decode(z, y)`.

    Args:
        encoder: Keras model, [B, *shape] → [B, ...]; if it has further inputs, they are named "condition" or "mask".
        decoder: Keras model, code → parameters of the likelihood, [B, *shape] for one parameter per value.
        likelihood: "gaussian", "bernoulli", "categorical" or a `kerasae.distributions.Likelihood`.
        pixel_max: the integer that means 1.0. Integer inputs are divided by it; floating inputs are used as they are.
            Or a `kerasae.layers.Standardization`, for numbers of any range: loss and score are then of standardised
            values, and `decode`, `reconstruct` and `sample` give the units of the data.

    Raises:
        InputError: if encoder and decoder do not fit each other or the likelihood; says which shapes.

    Example:
        >>> model = Autoencoder(*kerasae.networks.dense((28, 28, 1), code=32))
        >>> model.compile("adam")
        >>> model.fit(images, epochs=10)  # uint8 [N, 28, 28, 1]
        >>> codes = model.encode(images[:8])  # [8, 32]
    """

    terms = ("reconstruction",)
    posterior_name = None
    """Name of the default posterior, whose parameters the encoder outputs; None where it outputs the code itself."""
    code_activation = None
    """Required last activation of the encoder, or None for any."""
    has_likelihood = has_tangents = takes_target = standardizes = True
    may_be_conditional = may_take_steps = True

    def __init__(self, encoder, decoder, likelihood="gaussian", pixel_max=255.0, **kwargs):
        super().__init__(**kwargs)
        self.pixel_max, self.standardization = scale_of(type(self).__name__, pixel_max)
        for part, network in (("encoder", encoder), ("decoder", decoder)):
            check_network(type(self).__name__, part, network)
        self.encoder, self.decoder = encoder, decoder
        self.likelihood = likelihoods.get(likelihood)
        self.example_shape = tuple(encoder.inputs[0].shape[1:])
        self.code_shape = tuple(decoder.inputs[0].shape[1:])
        self.unit_range = not self.likelihood.any_value
        if self.likelihood.ids is not None:
            self.ids, self.pixel_max = self.likelihood.ids, self.likelihood.ids - 1.0
            self.has_tangents = False  # a code jumps from token to token
        if self.may_take_steps and (self.ids or (len(self.example_shape) > 1 and has_input(encoder, MASK))):
            self.takes_mask = self.takes_mask or "steps"
        check_pair(self)
        check_standardized(self)
        if self.standardization is not None and self.standardization.missing:
            self.takes_mask = self.takes_mask or "values"
        self.conditional = has_input(decoder, CONDITION)
        if self.conditional:
            (self.condition_width,) = next(t.shape[1:] for t in decoder.inputs if t.name == CONDITION)
        tie_all(decoder, encoder)

    def objective(self, batch, training=False):
        z = self.encode_batch(batch, training)
        return {"reconstruction": self.reconstruction_term(z, batch, training)}

    def reconstruction_term(self, z, batch, training=False):
        """Compute −log p(target | z) over the unmasked values: [B], nats per example."""
        parameters = call_network(self.decoder, z, batch.y, batch.mask, training)
        return -self.likelihood.log_prob(parameters, batch.target, batch.mask)

    def encoded(self, batch, training=False):
        """Compute the encoder's output: [B, ...]."""
        return call_network(self.encoder, batch.x, batch.y, batch.mask, training)

    def encode_batch(self, batch, training=False):
        return self.code_of(self.encoded(batch, training))

    def code_of(self, encoded):
        """Extract the deterministic code from the encoder's output: [B, *code_shape]."""
        return encoded

    def code_outputs(self):
        """Return the output shape, without the batch, that the encoder must have for this decoder."""
        return self.code_shape

    def decode_code(self, z, y=None, training=False):
        return self._mean(z, y, None, training)

    def reconstruct_batch(self, batch, training=False):
        return self._mean(self.encode_batch(batch, training), batch.y, batch.mask, training)

    def score_batch(self, batch):
        """Compute −log p(x | encode(x)): [B], nats."""
        return self.reconstruction_term(self.encode_batch(batch), batch._replace(target=batch.x))

    def unit_encoder(self):
        if self.takes_mask == "steps" and [t.name for t in self.encoder.inputs[1:]] == [MASK]:
            return self._steps_encoder()
        if len(self.encoder.inputs) > 1:
            raise InputError(
                f"{type(self).__name__}: the encoder takes {self.encoder.inputs[1].name!r} too, which a classifier "
                "does not have; give it an encoder of x alone"
            )
        return keras.Model(self.encoder.inputs[0], self.code_of(self.encoder.outputs[0]), name=f"{self.name}_features")

    def _steps_encoder(self):
        """Build `unit_encoder` of sequences: steps with NaN, or with the id 0, count as missing."""
        x = keras.Input(self.example_shape)
        known, seen = self._masked(x, None)
        return keras.Model(x, self.code_of(self.encoder([known, seen])), name=f"{self.name}_features")

    def feature_decoder(self):
        if len(self.decoder.inputs) > 1:
            name = self.decoder.inputs[1].name
            raise InputError(f"{type(self).__name__}: the decoder takes {name!r} beside the code")
        return self.decoder

    def code_prior(self):
        return StandardNormal() if self.generative else None

    def _mean(self, z, y, mask, training):
        if mask is None and has_input(self.decoder, MASK):
            mask = ops.ones((ops.shape(z)[0], *self.mask_shape))
        return ops.cast(self.likelihood.mean(call_network(self.decoder, z, y, mask, training)), "float32")


def scale_of(model, pixel_max):
    """Split the argument `pixel_max` into the integer that means 1.0 and a standardisation, None without."""
    if isinstance(pixel_max, Standardization):
        return 1.0, pixel_max
    if not pixel_max > 0:
        raise InputError(f"{model}: pixel_max must be > 0. Received: pixel_max={pixel_max}")
    return float(pixel_max), None


def check_network(model, part, network):
    """Raise InputError unless `network` is a built Keras model of one output, whose inputs have known meanings."""
    try:
        inputs, outputs = network.inputs, network.outputs
        if inputs is None or len(outputs) != 1:
            raise AttributeError("not built, or several outputs")
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"{model}: {part} must have one known output and known inputs. Received: {network!r}. "
            "Give a functional keras.Model, or a Sequential that starts with keras.Input"
        ) from error
    for tensor in inputs[1:]:
        if tensor.name not in (CONDITION, MASK):
            raise InputError(
                f"{model}: {part} has a further input {tensor.name!r}, of which the model does not know what it means; "
                f"name it {CONDITION!r} (the y of fit(x, y)) or {MASK!r} (1 = counts, 0 = missing), or remove it"
            )


def check_pair(model):
    """Raise InputError unless encoder, decoder and likelihood of a model fit each other."""
    name, encoder, decoder = type(model).__name__, model.encoder, model.decoder
    given, wanted = tuple(encoder.outputs[0].shape[1:]), model.code_outputs()
    if given != wanted:
        raise InputError(
            f"{name}: the encoder gives {given}, but a decoder of codes {model.code_shape} needs {wanted}; see "
            "`posterior` of the network builders, which is the one of the model"
        )
    shape, likelihood = model.example_shape, model.likelihood
    given, wanted = tuple(decoder.outputs[0].shape[1:]), likelihood.parameters_shape(shape)
    if given != wanted:
        raise InputError(
            f"{name}: the decoder gives {given}, but inputs {shape} with the likelihood "
            f"{type(likelihood).__name__} need {wanted} (see pixel_parameters of the network builders)"
        )
    conditional = [has_input(network, CONDITION) for network in (encoder, decoder)]
    if any(conditional) and not (conditional[1] and model.may_be_conditional):
        raise InputError(f"{name}: a condition must reach the decoder, of a model that can be conditional")
    if any(has_input(network, MASK) for network in (encoder, decoder)) and not model.takes_mask:
        raise InputError(f"{name}: takes no mask, but its networks do; use Autoencoder")
    of_steps = model.takes_mask == "steps" and has_input(encoder, MASK)
    if likelihood.ids is not None and not (of_steps and len(shape) == 1):
        raise InputError(
            f"{name}: ids need a variant that takes sequences with padding, and an encoder of ids [B, T] and a mask, "
            "such as kerasae.networks.lstm(shape, code, vocabulary=V)"
        )
    check_range(name, decoder, likelihood)
    check_shared(name, encoder, decoder)


def check_standardized(model):
    """Raise InputError for a likelihood of values from 0 to 1, or other statistics than the examples have channels."""
    if model.standardization is None:
        return
    name, given = type(model).__name__, np.shape(model.standardization.mean)
    if model.unit_range:
        raise InputError(
            f"{name}: standardised values have no range, but {type(model.likelihood).__name__} needs one from 0 to 1; "
            'choose likelihood="gaussian"'
        )
    if given != (1,) and given != model.example_shape[-len(given) :]:
        raise InputError(f"{name}: expected means for examples {model.example_shape}. Received: means of shape {given}")


def refuse_missing(model):
    """Raise InputError for a standardisation of values of which some are missing, where the model takes no mask."""
    if model.standardization is not None and model.standardization.missing:
        raise InputError(f"{type(model).__name__}: takes no missing values; fill them in, or choose another variant")


def check_range(name, decoder, likelihood):
    """Raise InputError if the decoder ends in an activation that the likelihood applies itself."""
    last = last_activation(decoder)
    if likelihood.of_logits and last in (keras.activations.sigmoid, keras.activations.softmax):
        raise InputError(
            f"{name}: the decoder ends in {last.__name__}, which {type(likelihood).__name__} applies itself to its "
            "logits; end the decoder without an activation"
        )


def last_activation(network):
    """Find the activation of the last layer that has one, also inside nested networks; None without."""
    for layer in reversed(network.layers):
        if isinstance(layer, keras.Model):
            return last_activation(layer)
        if hasattr(layer, "activation"):
            return layer.activation
    return None


def check_shared(name, encoder, decoder):
    """Raise InputError for a layer that encoder and decoder share, which Keras cannot load from a file."""
    both = {id(layer) for layer in encoder.layers if layer.weights}
    for layer in decoder.layers:
        if id(layer) in both:
            raise InputError(
                f"{name}: encoder and decoder share the layer {layer.name!r}, and a saved model could not be loaded; "
                "tie weights with kerasae.layers.TiedDense, or build two layers"
            )
