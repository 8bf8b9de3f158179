"""Autoencoders of sequences of different lengths."""

import keras

from kerasae.errors import InputError
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.codec import MASK, has_input


@keras.saving.register_keras_serializable("kerasae")
class RecurrentAutoencoder(Autoencoder):
    """Encode a sequence to one code, and decode the sequence from it.

    Minimise Σ_{t ≤ length} −log p(x_t | z) with z = encode(x_1 … x_length): Srivastava, Mansimov and Salakhutdinov,
    arXiv 1502.04681, section 2.1, with the networks of `kerasae.networks.lstm`.

    `Autoencoder` does the same with such an encoder; this class insists on one.

    Sequences are [B, T, D], T steps of the longest, the others padded. A step is padding or missing where one of its
    values is NaN, or where the mask [B, T] of `{"x": x, "mask": mask}` is 0. Such steps are ignored: code, loss,
    gradient and score depend neither on their values nor on how many follow the sequence's end.

    Args:
        encoder: Keras model, ([B, T, D], "mask" [B, T]) → [B, Z].
        decoder: Keras model, [B, Z] → parameters of the likelihood [B, T, ...]; it may take "mask" too.
        likelihood, pixel_max: as for `Autoencoder`.

    `reconstruct` gives all T steps, padding and missing ones too; `score` is in nats per sequence, summed over its
    steps: divide by their number to compare sequences of different length.

    Raises:
        InputError: for an encoder without an input "mask", which could not tell padding from data.

    Example:
        >>> model = RecurrentAutoencoder(*kerasae.networks.lstm((140, 1), code=8))
        >>> model.compile("adam")
        >>> model.fit(sequences, epochs=10)  # float32 [N, 140, 1], NaN after the end of each
        >>> codes = model.encode(sequences[:8])  # [8, 8]
    """

    unstackable = "it encodes the steps of a sequence, and codes are vectors without steps"

    def __init__(self, encoder, decoder, likelihood="gaussian", pixel_max=255.0, **kwargs):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        if not has_input(encoder, MASK):
            raise InputError(
                f"{type(self).__name__}: the encoder must have a second input {MASK!r} [B, T], as that of "
                "kerasae.networks.lstm has, or it could not tell padding from data"
            )
