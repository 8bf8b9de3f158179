"""A learned prior over the indices of a codebook: the second stage of a vector-quantised autoencoder."""

import math

import keras
import numpy as np
from keras import ops

from kerasae.errors import InputError
from kerasae.layers.draws import Draws
from kerasae.models.contract.base import Autoencoder, check_network
from kerasae.models.contract.codec import CONDITION, call_network, has_input, in_chunks
from kerasae.models.contract.players import Player
from kerasae.models.vector_quantized import VectorQuantizedAutoencoder


@keras.saving.register_keras_serializable("kerasae")
class CodePriorAutoencoder(Autoencoder):
    """Learn an autoregressive prior of a quantised autoencoder's indices: −log p(i) = −Σ_t log p(i_t | i_1 … i_{t−1}).

    Van den Oord, Vinyals and Kavukcuoglu, arXiv 1711.00937, section 3.3; here p(i_t | …) is given by a causal network,
    such as `kerasae.networks.index_transformer`, over the places of the map in rows. The first stage is frozen. With it
    −log p(x | e) − log p(i) ≥ −log p(x) bounds the likelihood, e the entries that x chooses: `score`, and `code_length`
    for its two parts.

    Args:
        autoencoder: trained `VectorQuantizedAutoencoder` of K entries and T places. Its weights are set untrainable.
        network: Keras model of tokens, int [B, T], → logits [B, T, K]. Token 0 is the number K, token t the index of
            place t − 1; logits t may depend on tokens up to t alone. With a second input "condition" the prior is
            conditional, p(i | y): `fit(x, y)`, `sample(n, y=3)`.

    `terms` are "indices", [B] in nats. `indices` and `lookup` are those of the first stage.

    Raises:
        InputError: for another kind of first stage, and a network of other shapes.

    Example:
        >>> first = VectorQuantizedAutoencoder(*kerasae.networks.conv_map((28, 28, 1), code=16), entries=256)
        >>> model = CodePriorAutoencoder(first, kerasae.networks.index_transformer(49, entries=256))
        >>> model.compile("adam")
        >>> model.fit(images, epochs=10)  # uint8 [N, 28, 28, 1], after `first` was trained
        >>> model.sample(16, seed=0)  # [16, 28, 28, 1]
    """

    terms = ("indices",)
    generative = has_indices = True
    has_tangents = conditional_encoder = may_take_steps = False
    unstackable = VectorQuantizedAutoencoder.unstackable

    def __init__(self, autoencoder, network, **kwargs):
        name = type(self).__name__
        if not isinstance(autoencoder, VectorQuantizedAutoencoder):
            raise InputError(
                f"{name}: autoencoder must be a VectorQuantizedAutoencoder. Received: {type(autoencoder).__name__}"
            )
        scale = autoencoder.standardization or autoencoder.pixel_max
        super().__init__(autoencoder.encoder, autoencoder.decoder, autoencoder.likelihood, scale, **kwargs)
        autoencoder.trainable = False
        self.autoencoder, self.network = autoencoder, network
        self.places = math.prod(self.code_shape[:-1])
        check_prior(name, autoencoder, network, self.places)
        if has_input(network, CONDITION):
            self.conditional, self.condition_width = True, network.inputs[1].shape[-1]

    @property
    def codebook(self):
        """Return the codebook of the first stage."""
        return self.autoencoder.codebook

    def players(self):
        return {"model": Player([self.network], {"indices": 1.0})}

    def objective(self, batch, training=False):
        return {"indices": -self.log_prob(self.indices_of(batch), batch.y, training)}

    def code_of(self, encoded):
        return self.codebook(encoded)

    def indices_of(self, batch):
        """Encode a `Batch` to the indices of its places, row by row: int32 [B, T]."""
        return ops.reshape(self.codebook.indices(self.encoded(batch)), (-1, self.places))

    def indices(self, x, y=None, batch_size=256):
        """Encode x to codebook indices: [B, *shape] → int32 [B, ...]; y where the first stage is conditional."""
        return self.autoencoder.indices(x, y if self.autoencoder.conditional else None, batch_size)

    def lookup(self, indices):
        """Look up the codes, the input of `decode`, of codebook indices: int [B, ...] → float32 [B, ..., D]."""
        return self.codebook.lookup(indices)

    def logits(self, indices, y=None, training=False):
        """Compute the logits of the index at every place given those before it: int [B, T] → float32 [B, T, K].

        y is the condition, where the model is conditional: classes [B] or numbers [B, C].
        """
        y = None if y is None else self.condition(y)
        start = ops.full((ops.shape(indices)[0], 1), self.codebook.size, "int32")
        tokens = ops.concatenate([start, ops.cast(indices[:, :-1], "int32")], axis=1)
        return ops.cast(call_network(self.network, tokens, y, training=training), "float32")

    def log_prob(self, indices, y=None, training=False):
        """Compute log p(indices): int [B, T] → float32 [B], nats; y as for `logits`."""
        logs = ops.log_softmax(self.logits(indices, y, training), axis=-1)
        chosen = ops.take_along_axis(logs, ops.expand_dims(ops.cast(indices, "int32"), -1), axis=-1)
        return ops.sum(chosen, axis=(1, 2))

    def code_length(self, x, y=None, batch_size=256):
        """Compute −log p(x | e) and −log p(indices), whose sum bounds −log p(x): float32 [B, 2], nats."""
        return self.by_batches(self.code_length_batch, x, y, batch_size)

    def code_length_batch(self, batch):
        """Compute `code_length` of a `Batch`: [B, 2]."""
        parts = (super().score_batch(batch), -self.log_prob(self.indices_of(batch), batch.y))
        return ops.stack(parts, axis=-1)

    def score_batch(self, batch):
        """Compute −log p(x | e) − log p(indices), an upper bound on −log p(x): [B], nats."""
        return ops.sum(self.code_length_batch(batch), axis=-1)

    def code_prior(self):
        return None  # its codes are discrete, and `sample_indices` draws them

    def sample(self, n, y=None, seed=None, batch_size=256):
        """Decode `n` draws of the indices to means of p(x | e): [n, *shape]; the same for the same integer seed.

        Args:
            n: number of examples.
            y: the condition, where the model is conditional: one class for all, classes [n] or numbers [n, C].
            seed: integer, or None for another draw each time.
            batch_size: examples drawn and decoded at a time; it changes no draw.
        """
        y = np.full(n, y) if y is not None and np.ndim(y) == 0 else y
        indices = ops.reshape(self.sample_indices(n, y, seed, batch_size), (-1, *self.code_shape[:-1]))
        return self.decode(self.lookup(indices), y, batch_size)

    def sample_indices(self, n, y=None, seed=None, batch_size=256):
        """Draw `n` lists of indices, place by place: int32 [n, T]; arguments as for `sample`."""
        if self.conditional and y is None:
            raise InputError(f"{type(self).__name__}: sample takes y, as the prior takes a condition")
        y = np.full(n, y) if y is not None and np.ndim(y) == 0 else y
        uniform = Draws(seed).uniform((n, self.places))
        given = (uniform,) if y is None else (uniform, self.condition(y))
        return in_chunks(self._compiled(), given, batch_size)

    def _compiled(self):
        """Return `_draw` as one compiled graph, which is traced once."""
        if keras.backend.backend() != "tensorflow":
            return self._draw
        import tensorflow as tf  # here, so that machines with JAX alone need no TensorFlow

        function = tf.function(self._draw, autograph=False, reduce_retracing=True)
        return vars(self).setdefault("_compiled_draw", function)

    def _draw(self, uniform, y=None):
        """Draw the index of one place after the other by inversion: uniform numbers [B, T] → int32 [B, T]."""
        places = ops.arange(self.places)

        def turn(t, indices):
            shares = ops.softmax(ops.take(self.logits(indices, y), t, axis=1), axis=-1)
            exceeded = ops.take(uniform, t, axis=1)[:, None] > ops.cumsum(shares, axis=-1)[:, :-1]
            return ops.where(places == t, ops.sum(ops.cast(exceeded, "int32"), axis=-1, keepdims=True), indices)

        return ops.fori_loop(0, self.places, turn, ops.zeros_like(uniform, "int32"))


def check_prior(name, autoencoder, network, places):
    """Raise InputError unless a network's tokens, logits and condition fit an autoencoder."""
    check_network(name, "network", network)
    taken, given = tuple(network.inputs[0].shape[1:]), tuple(network.outputs[0].shape[1:])
    entries = autoencoder.codebook.size
    if taken != (places,) or given != (places, entries):
        raise InputError(
            f"{name}: the network takes {taken} and gives {given}, but {places} places of {entries} entries need "
            f"{(places,)} and {(places, entries)}; see kerasae.networks.index_transformer"
        )
    if autoencoder.conditional and not has_input(network, CONDITION):
        raise InputError(f"{name}: the autoencoder is conditional, so the network needs an input 'condition' too")
    if autoencoder.conditional and network.inputs[1].shape[-1] != autoencoder.condition_width:
        raise InputError(
            f"{name}: the network's condition must be {autoencoder.condition_width} wide, as the autoencoder's is. "
            f"Received: {network.inputs[1].shape[-1]}"
        )
