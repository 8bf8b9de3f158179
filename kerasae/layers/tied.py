"""A dense layer whose kernel is the transposed kernel of an encoder's dense layer."""

import keras
from keras import ops

from kerasae.errors import InputError


@keras.saving.register_keras_serializable("kerasae")
class TiedDense(keras.layers.Layer):
    """Apply y = activation(x Wᵀ + b), where W is the kernel of a `Dense` layer of the encoder; b is trained here.

    The layer stores the name of the `Dense` layer, as a reference could not be saved. The autoencoder calls `tie` at
    construction to join both.

    Args:
        units: width of the output, equal to the width of the `Dense` layer's *input*.
        tied_to: name of the `Dense` layer whose kernel is used.
        activation: as in `keras.layers.Dense`.
    """

    def __init__(self, units, tied_to, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units, self.tied_to = int(units), tied_to
        self.activation = keras.activations.get(activation)
        self._kernel_of_other = None
        self._width = None

    def build(self, input_shape):
        self._width = input_shape[-1]
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    @property
    def tied(self):
        """Whether `tie` has been called."""
        return self._kernel_of_other is not None

    def tie(self, dense):
        """Use the kernel of `dense`, which must be [units, width of this layer's input]."""
        given = tuple(dense.kernel.shape)
        if given[0] != self.units or self._width not in (None, given[1]):
            raise InputError(
                f"TiedDense {self.name}: units={self.units} on inputs of width {self._width} needs a kernel "
                f"{(self.units, self._width)}, but that of {dense.name} is {given}; let the decoder mirror the encoder"
            )
        # A function hides the layer from Keras's tracking, so that the kernel is listed, saved and updated once.
        self._kernel_of_other = lambda: dense.kernel

    def call(self, x):
        if not self.tied:
            raise InputError(f"{self.name}: not tied yet; put it in an Autoencoder, or call tie({self.tied_to})")
        kernel = ops.cast(self._kernel_of_other(), x.dtype)
        return self.activation(ops.matmul(x, ops.transpose(kernel)) + ops.cast(self.bias, x.dtype))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "tied_to": self.tied_to, "activation": activation}


def tie_all(decoder, encoder):
    """Tie every untied `TiedDense` layer of a decoder to the encoder layer that it names."""
    layers = {layer.name: layer for layer in encoder._flatten_layers()}
    for layer in decoder._flatten_layers():
        if isinstance(layer, TiedDense) and not layer.tied:
            if layer.tied_to not in layers:
                raise InputError(f"TiedDense {layer.name}: the encoder has no layer {layer.tied_to!r}")
            layer.tie(layers[layer.tied_to])
