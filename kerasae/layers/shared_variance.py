"""One learned variance for all values."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerasae")
class SharedVariance(keras.layers.Layer):
    """Append one trained log-variance, the same for all values, to means: [B, ..., C] → [B, ..., 2C].

    The output holds the parameters of `kerasae.distributions.GaussianPerValue`. Rybkin, Daniilidis and Levine, arXiv
    2006.13202, section 3, the shared σ: the balance between reconstruction and divergence is learned, not set by β.

    Args:
        log_variance: its value at the start.

    Example:
        >>> SharedVariance()(np.zeros((1, 3))).shape  # three means, three times the log-variance
        (1, 6)
    """

    def __init__(self, log_variance=0.0, **kwargs):
        super().__init__(**kwargs)
        self.log_variance = float(log_variance)

    def build(self, input_shape):
        start = keras.initializers.Constant(self.log_variance)
        self.value = self.add_weight((), start, autocast=False, name="log_variance")

    def call(self, means):
        spread = ops.broadcast_to(ops.cast(self.value, means.dtype), ops.shape(means))
        return ops.concatenate([means, spread], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2 * input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "log_variance": self.log_variance}
