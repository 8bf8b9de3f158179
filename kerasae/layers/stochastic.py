"""Stochastic codes: one draw from a distribution, differentiable in its parameters."""

import keras
from keras import ops

from kerasae.layers import draws


@keras.saving.register_keras_serializable("kerasae")
class GaussianSample(keras.layers.Layer):
    """z = μ + σ ε with ε ~ N(0, 1), the reparametrised draw: Kingma and Welling, arXiv 1312.6114, eq. 10.

    Call it with a pair ``(mean, log_var)``, each [B, Z]; it returns [B, Z], a fresh draw at every call.

    Args:
        seed: integer, or None for one from `keras.utils.set_random_seed`.
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        mean, log_var = inputs
        noise = draws.normal(ops.shape(mean), self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * ops.cast(noise, mean.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
