"""The half of the contract that users call: encode, decode, reconstruct, score and sample."""

import keras
import numpy as np
from keras import ops

from kerasae.errors import InputError
from kerasae.layers.draws import Draws
from kerasae.models.contract import input_checks

CONDITION, MASK = "condition", "mask"
"""Names of a network's further inputs, which receive y and the mask of a `Batch`."""


class Codec:
    """Encode, decode, reconstruct, score and sample: the methods of a model that users call.

    A variant writes the methods of one `Batch`: `encode_batch`, `decode_code`, `score_batch`. The methods that users
    call prepare the input once and process `batch_size` examples at a time.

    Attributes:
        code_shape: shape of one code, without the batch.
        generative: whether `sample` works.
        has_likelihood: whether the model has a `likelihood` p(x | z).
        has_tokens: whether the model has `tokens`, one vector per patch.
        has_indices: whether codes are entries of a codebook: `indices(x)`, `lookup(indices)`, `codebook`.
        has_tangents: whether the code changes smoothly with x alone, so that the Jacobian of `unit_encoder` says how.
        encodes_class: whether the encoder gives the logits of a class before the code.
        conditional_encoder: whether the encoder takes the condition too, where commands build a conditional model.
        always_conditional: whether the model needs the class of every example, so that commands always give it.
        has_free_energy: whether the model has a `distribution()` of known free energy, p(x) ∝ exp(−F(x)).
        has_posterior: whether codes are drawn from q(z | x): `posterior` and `posterior_parameters(x)`, `log_weight`.
        unstackable: why the class is refused as a layer of `kerasae stacked`, in words; None where it is a layer.
    """

    unstackable = None
    bit_threshold = None
    """Value above which a number of the code is a bit that is set, of models whose codes are made to become bits."""
    generative = has_likelihood = has_tokens = has_tangents = has_free_energy = has_posterior = encodes_class = False
    has_indices = False
    conditional_encoder, may_be_conditional, always_conditional = True, False, False
    usual_code_activation = None
    """Last activation of the encoder that the commands choose, where any will do."""

    # What users call.

    def encode(self, x, y=None, batch_size=256):
        """Encode x without noise: [B, *shape] → [B, *code_shape]. Never corrupted, never masked.

        Args:
            x: stored values; integers are divided by `pixel_max`, or all are standardised.
            y: the condition, where the model is conditional: classes [B] or numbers [B, K].
            batch_size: examples in memory at a time.
        """
        return self.by_batches(self.encode_batch, x, y, batch_size)

    def decode(self, z, y=None, batch_size=256):
        """Decode codes to the mean of p(x | z): [B, *code_shape] → float32 [B, *shape], where `pixel_max` is 1.

        Of a model with a `standardization` it is in the units of the data.
        """
        if self.conditional and y is None:
            raise InputError(f"{type(self).__name__}: decode takes (z, y), as the decoder takes a condition")
        input_checks.check_condition(self, y, z, known=True)
        z = ops.convert_to_tensor(z)
        given = (z,) if y is None else (z, self.condition(y))
        return in_chunks(lambda *part: self.restored(self.decode_code(*part)), given, batch_size)

    def reconstruct(self, x, y=None, batch_size=256):
        """Reconstruct x, decode(encode(x)): [B, *shape] → float32 [B, *shape]."""
        return self.by_batches(lambda batch: self.restored(self.reconstruct_batch(batch)), x, y, batch_size)

    def score(self, x, y=None, batch_size=256):
        """Score how unlike the training data each example is: [B], in `units`, higher = less like it."""
        return self.by_batches(self.score_batch, x, y, batch_size)

    def sample(self, n, y=None, seed=None, batch_size=256):
        """Draw `n` new inputs: [n, *shape]; generative models only."""
        raise InputError(f"{type(self).__name__} has no distribution of codes to sample from; use a generative variant")

    def code_prior(self):
        """Return the `Prior` whose draws `sample` decodes, or None where there is none."""
        return None

    def feature_encoder(self):
        """Build a Keras model floats → codes, for a classifier, that shares this model's weights."""
        inner = self.unit_encoder()
        if self.standardization is None:
            return inner
        x = keras.Input(self.example_shape)
        return keras.Model(x, inner(self.standardization(x)), name=f"{self.name}_standardized_features")

    def unit_encoder(self):
        """Build a Keras model from values as a `Batch` holds them to codes, that shares this model's weights."""
        raise NotImplementedError(f"{type(self).__name__} must write unit_encoder")

    def feature_decoder(self):
        """Build a Keras model codes → parameters of the likelihood that shares this model's weights."""
        raise NotImplementedError(f"{type(self).__name__} must write feature_decoder")

    # What a variant writes.

    def encode_batch(self, batch, training=False):
        """Encode a `Batch` without noise: [B, *code_shape]."""
        raise NotImplementedError(f"{type(self).__name__} must write encode_batch")

    def decode_code(self, z, y=None, training=False):
        """Decode codes: float32 [B, *shape]; y is a condition as `condition` returns it."""
        raise NotImplementedError(f"{type(self).__name__} must write decode_code")

    def reconstruct_batch(self, batch, training=False):
        """Reconstruct a `Batch`: float32 [B, *shape]."""
        return self.decode_code(self.encode_batch(batch, training), batch.y, training)

    def score_batch(self, batch):
        """Score a `Batch`: [B]."""
        raise NotImplementedError(f"{type(self).__name__} must write score_batch")

    # Inside.

    def decode_draws(self, prior, n, y=None, seed=None, batch_size=256):
        """Decode `n` draws of a `Prior`: [n, *shape]; `sample` of every model with a prior."""
        z = prior.draw((n, *self.code_shape), Draws(seed))
        y = np.full(n, y) if y is not None and np.ndim(y) == 0 else y
        return self.decode(z, y, batch_size)

    def by_batches(self, function, x, y=None, batch_size=256):
        """Apply a function of a `Batch` to stored values, `batch_size` examples at a time."""
        input_checks.check_values(self, (x, y))
        input_checks.check_condition(self, y, keras.tree.flatten(x)[0])
        given = (x,) if y is None else (x, y)
        return in_chunks(lambda *part: function(self.prepare(*part)), given, batch_size)


def in_chunks(function, arrays, size):
    """Apply a function to `size` examples at a time, and join the results.

    Args:
        function: of as many arrays [b, …] as there are `arrays` → [b, …] or [S, b, …].
        arrays: tuple of arrays or dicts of arrays [B, …]; tensors of unknown B are passed as a whole.
        size: examples at a time.
    """
    if not size >= 1:
        raise InputError(f"batch_size must be a whole number from 1 up. Received: {size}")
    count = keras.tree.flatten(arrays)[0].shape[0] if hasattr(keras.tree.flatten(arrays)[0], "shape") else None
    if count is None or count <= size:
        return function(*arrays)
    parts = [
        function(*keras.tree.map_structure(lambda v: v[i : i + size], arrays))  # noqa: B023 (called at once)
        for i in range(0, count, size)
    ]
    return ops.concatenate(parts, axis=0)


def call_network(network, x, y=None, mask=None, training=False):
    """Call a network on x, and on y and the mask where it has inputs "condition" and "mask"."""
    first, *others = network.inputs
    if not others:
        return network(x, training=training)
    known = {CONDITION: y, MASK: mask}
    return network([x, *(known[tensor.name] for tensor in others)], training=training)


def has_input(network, name):
    """Tell whether a network has a further input of this name."""
    return any(tensor.name == name for tensor in network.inputs[1:])
