"""Standardisation of stored numbers of any range, by statistics that were measured on the training data."""

import keras
import numpy as np
from keras import ops

from kerasae.errors import InputError


@keras.saving.register_keras_serializable("kerasae")
class Standardization(keras.layers.Layer):
    """Bring numbers to mean 0 and deviation 1, feature by feature: z = (x − mean) / deviation.

    A model that is given one in the place of `pixel_max` computes in z throughout: input, target, loss and score. What
    it decodes or reconstructs is `restored`, in the units of the data. The statistics are part of the layer's
    arguments, so that every file and export of the model contains them.

    Args:
        mean: [C], one for each entry along the last axis; or [..., C], for each place in the last axes.
        deviation: of the same shape, > 0; 1 for a feature that never changes, which becomes 0.
        missing: True where NaN means a missing value, which becomes the mean.

    Shapes: [B, ..., C] → [B, ..., C]; it computes in float32 and gives the type of its policy.

    Raises:
        InputError: statistics that are not finite, of different lengths, or deviations that are not positive.

    Example:
        >>> Standardization([10.0, 0.0], [2.0, 1.0])(np.array([[14.0, 0.5]]))  # [[2.0, 0.5]]
    """

    def __init__(self, mean, deviation, missing=False, **kwargs):
        super().__init__(autocast=False, **kwargs)  # bfloat16 would round what is stored
        self.mean, self.deviation, self.missing = _numbers(mean), _numbers(deviation), bool(missing)
        shapes = np.shape(self.mean), np.shape(self.deviation)
        if shapes[0] != shapes[1] or 0 in shapes[0] or not np.min(self.deviation) > 0:
            raise InputError(
                "Standardization: expected a deviation > 0 for each mean. "
                f"Received: means of shape {shapes[0]}, deviations of shape {shapes[1]}"
            )

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "deviation": self.deviation, "missing": self.missing}

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, x):
        return ops.cast(self.imputed(x), self.compute_dtype)

    def imputed(self, x):
        """Compute (x − mean) / deviation, and 0 where x is missing: float32, of the shape of x."""
        z = self.standardized(x)
        return ops.where(ops.isnan(z), 0.0, z) if self.missing else z

    def standardized(self, x):
        """Compute (x − mean) / deviation, NaN where x is NaN: float32, of the shape of x."""
        x = ops.cast(x, "float32")
        return (x - ops.convert_to_tensor(np.float32(self.mean))) / ops.convert_to_tensor(np.float32(self.deviation))

    def restored(self, z):
        """Compute z · deviation + mean, in the units of the data: float32, of the shape of z."""
        z = ops.cast(z, "float32")
        return z * ops.convert_to_tensor(np.float32(self.deviation)) + ops.convert_to_tensor(np.float32(self.mean))


def _numbers(values) -> list:
    found = np.atleast_1d(np.asarray(values, np.float64))
    if not np.isfinite(found).all() or np.abs(found).max(initial=0.0) > np.finfo(np.float32).max:
        raise InputError("Standardization: expected finite means and deviations. Received: NaN, or beyond float32")
    return found.tolist()
