"""Layers that leave few values of a code."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.ops import jump_relu, keep_largest, step_above


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


@keras.saving.register_keras_serializable("kerasae")
class JumpReLU(keras.layers.Layer):
    """Compute x · 1[x > θ_j] with a threshold θ_j ≥ 0 of each unit: [B, Z] → [B, Z].

    Rajamanoharan et al., arXiv 2407.14435, eq. 5; the gradients are those of `kerasae.ops.jump_relu`.

    Args:
        threshold: first value of all θ_j.
        bandwidth: width ε > 0 of the window around θ_j from which θ_j learns.

    Raises:
        InputError: for a negative threshold, and a bandwidth that is not positive.

    Example:
        >>> JumpReLU(0.5)(np.array([[0.2, 0.6]], "float32"))  # [[0, 0.6]]
    """

    def __init__(self, threshold=0.001, bandwidth=0.001, **kwargs):
        super().__init__(autocast=False, **kwargs)  # thresholds this small need float32
        if not threshold >= 0 or not bandwidth > 0:
            raise InputError(
                f"JumpReLU: threshold must be ≥ 0 and bandwidth > 0. Received: {threshold} and {bandwidth}"
            )
        self.threshold, self.bandwidth = float(threshold), float(bandwidth)

    def build(self, input_shape):
        self.thresholds = self.add_weight(
            (input_shape[-1],),
            keras.initializers.Constant(self.threshold),
            constraint=keras.constraints.NonNeg(),
            autocast=False,
            name="thresholds",
        )

    def call(self, x):
        return ops.cast(self.passed(x), self.compute_dtype)

    def passed(self, x):
        """Compute x · 1[x > θ] in float32: [B, Z] → [B, Z]."""
        return jump_relu(ops.cast(x, "float32"), ops.cast(self.thresholds, "float32"), self.bandwidth)

    def active(self, x):
        """Compute 1[x > θ], whose gradient passes to θ alone: [B, Z] → float32 [B, Z]."""
        return step_above(ops.cast(x, "float32"), ops.cast(self.thresholds, "float32"), self.bandwidth)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold, "bandwidth": self.bandwidth}


@keras.saving.register_keras_serializable("kerasae")
class Dictionary(keras.layers.Layer):
    """Analyse x as inputs of latents, a = (x − b_d) W_e + b_e, and build x̂ = z W_d + b_d from latents z.

    The rows of W_d, the atoms, have length 1 at every use, so that their gradients change their directions only, and
    after every step. W_e starts as W_dᵀ.

    Args:
        latents: number M of latents.

    `call(x)` is a: [B, D] → [B, M]; `call(z, decode=True)` is x̂: [B, M] → [B, D].

    Raises:
        InputError: if `latents` is not a positive whole number.

    Example:
        >>> dictionary = Dictionary(64)
        >>> dictionary.build((None, 16))
        >>> dictionary(dictionary(np.ones((2, 16))), decode=True).shape  # [2, 16]
    """

    def __init__(self, latents, **kwargs):
        super().__init__(**kwargs)
        if not latents >= 1 or latents != int(latents):
            raise InputError(f"Dictionary: latents must be a positive whole number. Received: latents={latents}")
        self.latents = int(latents)

    def build(self, input_shape):
        self.width = input_shape[-1]
        # The seed is drawn once, so that both kernels start from the same numbers.
        unit, normal = keras.constraints.UnitNorm(axis=1), keras.initializers.RandomNormal()
        self.atoms = self.add_weight(
            (self.latents, self.width), lambda shape, dtype: unit(normal(shape, dtype)), constraint=unit, name="atoms"
        )
        self.kernel = self.add_weight(
            (self.width, self.latents),
            lambda shape, dtype: ops.transpose(unit(normal(shape[::-1], dtype))),
            name="kernel",
        )
        self.bias = self.add_weight((self.latents,), "zeros", name="bias")
        self.center = self.add_weight((self.width,), "zeros", name="center")

    def call(self, x, decode=False):
        x = ops.cast(x, self.compute_dtype)
        if decode:
            return self.combine(x) + ops.cast(self.center, x.dtype)
        return ops.matmul(x - ops.cast(self.center, x.dtype), ops.cast(self.kernel, x.dtype)) + self.bias

    def combine(self, z):
        """Compute z W_d, without b_d: [B, M] → [B, D]."""
        return ops.matmul(z, ops.cast(self.unit_atoms(), z.dtype))

    def unit_atoms(self):
        """Return the atoms at length 1: float32 [M, D]."""
        atoms = ops.cast(self.atoms, "float32")
        return atoms / ops.sqrt(ops.sum(ops.square(atoms), axis=1, keepdims=True))

    def compute_output_spec(self, x, decode=False):
        width = self.width if decode else self.latents
        return keras.KerasTensor((*x.shape[:-1], width), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "latents": self.latents}


@keras.saving.register_keras_serializable("kerasae")
class ScaledTanh(keras.layers.Layer):
    """Compute g_j tanh(x_j) with a learned gain g_j of each unit: [..., Z] → [..., Z].

    Kavukcuoglu, Ranzato and LeCun, arXiv 1010.3467, section 2.1.

    Example:
        >>> ScaledTanh()(np.array([[0.0, 1.0]], "float32"))  # [[0, 0.7616]], as gains start at 1
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def build(self, input_shape):
        self.gain = self.add_weight((input_shape[-1],), "ones", name="gain")

    def call(self, x):
        return self.gain * ops.tanh(x)

    def compute_output_shape(self, input_shape):
        return input_shape
