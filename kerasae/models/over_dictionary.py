"""The parent of models that build an input from a dictionary of atoms."""

import keras
from keras import ops

from kerasae.layers import Dictionary
from kerasae.models.contract.base import check_standardized, refuse_missing, scale_of
from kerasae.models.contract.batch import examples_of
from kerasae.models.contract.codec import Codec
from kerasae.models.contract.trainable import Trainable
from kerasae.networks.shapes import check_positive, check_shape, size
from kerasae.ops import sum_per_example

ADAPT_EXAMPLES = 2048
"""Greatest number of examples of which `adapt` takes the median."""


class OverDictionary(Codec, Trainable):
    """Build x̂ = z W_d + b_d from codes z [B, M] by a `kerasae.layers.Dictionary`: abstract.

    A child writes `objective`, `encode_values` and `code_layers`.

    Args:
        shape: shape of an example, (D,), (T, D) or (H, W, C), flattened.
        latents: number M of atoms.
        pixel_max: the integer that means 1.0; floats are used as they are. Or a `kerasae.layers.Standardization`.

    Raises:
        InputError: for sizes that are no positive whole numbers, and a `pixel_max` that is not positive.
    """

    units = "squared error"
    posterior_name, code_activation = None, None
    unit_range, standardizes, has_tangents = False, True, True

    def __init__(self, shape, latents, pixel_max=255.0, **kwargs):
        super().__init__(**kwargs)
        name = type(self).__name__
        check_positive(name, latents=latents)
        self.example_shape, self.code_shape = check_shape(name, shape, (1, 2, 3)), (latents,)
        self.pixel_max, self.standardization = scale_of(name, pixel_max)
        check_standardized(self)
        refuse_missing(self)
        self.dictionary = Dictionary(latents, name="dictionary")
        self.dictionary.build((None, size(self.example_shape)))

    # A child writes these.

    def encode_values(self, x):
        """Encode values, float32 [B, D]: z, float32 [B, M]."""
        raise NotImplementedError(f"{type(self).__name__} must write encode_values")

    def code_layers(self):
        """List the layers that make z of the inputs of latents, for a Keras model."""
        raise NotImplementedError(f"{type(self).__name__} must write code_layers")

    # Inputs of latents a, float32 [B, M]; values x, float32 [B, D].

    def flat(self, x):
        return ops.reshape(x, (-1, size(self.example_shape)))

    def inputs_of(self, x):
        """Compute a = (x − b_d) W_e + b_e."""
        return ops.cast(self.dictionary(x), "float32")

    def build_up(self, z):
        """Compute x̂ = z W_d + b_d."""
        return ops.cast(self.dictionary(z, decode=True), "float32")

    def atoms(self):
        """Return the atoms, the rows of W_d, as examples: float32 [M, *shape], each of length 1."""
        return ops.reshape(self.dictionary.unit_atoms(), (-1, *self.example_shape))

    # The contract.

    @classmethod
    def of_networks(cls, encoder, decoder, likelihood, pixel_max, **options):
        """Build a model with the sizes of two networks, which it does not use, for the command line."""
        return cls(tuple(encoder.inputs[0].shape[1:]), decoder.inputs[0].shape[-1], pixel_max, **options)

    def adapt(self, split):
        """Set b_d to the geometric median of the data: Gao et al., arXiv 2406.04093, appendix A.1.

        Args:
            split: array [N, *shape] of stored values, or a `kerasae.data.Split`; at most 2048 examples are used.
        """
        examples = examples_of(split, ADAPT_EXAMPLES)
        x = self.by_batches(lambda batch: self.flat(batch.x), examples)
        self.dictionary.center.assign(geometric_median(ops.convert_to_tensor(x)))

    def encode_batch(self, batch, training=False):
        return self.encode_values(self.flat(batch.x))

    def decode_code(self, z, y=None, training=False):
        return ops.reshape(self.build_up(z), (-1, *self.example_shape))

    def score_batch(self, batch):
        """Compute ‖x − x̂‖² of the code of `encode`: [B]."""
        return sum_per_example(ops.square(batch.x - self.reconstruct_batch(batch)))

    @property
    def encoder(self):
        """The model [B, *shape] → z; see `feature_encoder`."""
        return self.feature_encoder()

    def unit_encoder(self):
        """Build the model [B, *shape] → z, which shares the weights, with the numbers of now."""
        x = inputs = keras.Input(self.example_shape)
        x = self.dictionary(keras.layers.Flatten()(x) if len(self.example_shape) > 1 else x)
        for layer in self.code_layers():
            x = layer(x)
        return keras.Model(inputs, x, name=f"{self.name}_features")

    def feature_decoder(self):
        """Build the model z → x̂, which shares the weights."""
        z = keras.Input(self.code_shape)
        x = keras.layers.Reshape(self.example_shape)(self.dictionary(z, decode=True))
        return keras.Model(z, x, name=f"{self.name}_decoder")


def geometric_median(x, turns=100):
    """Find the point of least mean distance to the rows of x, by Weiszfeld's iteration: [N, D] → [D]."""
    center = ops.mean(x, axis=0)
    for _ in range(turns):
        weight = 1.0 / ops.maximum(ops.norm(x - center, axis=1), 1e-8)
        center = ops.matmul(weight, x) / ops.sum(weight)
    return center
