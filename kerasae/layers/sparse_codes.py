"""Layers that leave few values of a code."""

import keras

from kerasae.errors import InputError
from kerasae.ops import keep_largest


@keras.saving.register_keras_serializable("kerasae")
class KeepLargest(keras.layers.Layer):
    """Keep the k largest values of the last axis and set the others to zero: [..., Z] → [..., Z].

    Makhzani and Frey, arXiv 1312.5663, section 2.1.

    Args:
        k: number of values that are kept, from 1 up; see `kerasae.ops.keep_largest`.

    Raises:
        InputError: if `k` is not a positive whole number.

    Example:
        >>> KeepLargest(2)(np.array([[3.0, -1.0, 2.0, 0.5]]))  # [[3, 0, 2, 0]]
    """

    def __init__(self, k, **kwargs):
        super().__init__(**kwargs)
        if not k >= 1 or k != int(k):
            raise InputError(f"KeepLargest: k must be a positive whole number. Received: k={k}")
        self.k = int(k)

    def call(self, x):
        return keep_largest(x, self.k)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "k": self.k}
