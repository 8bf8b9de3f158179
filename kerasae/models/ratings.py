"""Autoencoders of ratings, most of which are missing."""

import keras
from keras import ops

from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.codec import MASK, has_input


@keras.saving.register_keras_serializable("kerasae")
class AutoRec(Autoencoder):
    """Reconstruct the known entries of a vector of ratings, and so predict the others.

    Minimise Σ_{j known} −log p(r_j | h(r)) with h(r) = f(W g(V r + μ) + b), r_j = 0 where a rating is missing: Sedhain,
    Menon, Sanner and Xie, WWW 2015, eq. 1. One example is a row of the matrix: all ratings of one item
    (item-based, the better one in the paper), or all ratings by one user.

    A rating is missing where x is NaN, or where the mask of `{"x": x, "mask": mask}` is 0; the value of x there
    is ignored. Subtract a mean rating from x so that missing entries enter as that mean, or give a
    `kerasae.layers.Standardization` in the place of `pixel_max`, which subtracts it; what has no rating at all is then
    predicted as the mean. The Gaussian likelihood gives
    half the squared error of the known entries plus a constant for each; `kernel_regularizer=keras.regularizers.L2(ρ)`
    of the networks is the paper's λ = 4 N ρ for N rows, as the loss here is half the squared error, averaged over rows.

    `evaluate(x, held_out)` predicts from x and measures the loss of the entries that are known in `held_out`, a target
    of the shape of x; `fit(..., validation_data=(x, held_out))` likewise. Networks with an input "mask" take no target.

    Args:
        encoder, decoder, likelihood: as for `Autoencoder`. The paper's best have `code_activation="sigmoid"` and a
            linear output.
        pixel_max: the integer that means 1.0, the highest rating; floating ratings are used as they are.

    `reconstruct` gives all entries [B, D]; `score` is −log p of the known ones, [B], nats, summed.

    Example:
        >>> l2 = keras.regularizers.L2(1e-4)
        >>> networks = kerasae.networks.dense((6040,), 500, (), code_activation="sigmoid", kernel_regularizer=l2)
        >>> model = AutoRec(*networks)
        >>> model.compile("adam")
        >>> model.fit(ratings, epochs=50)  # float32 [items, users], NaN where there is no rating
        >>> predicted = model.reconstruct(ratings)
    """

    takes_mask = "values"
    usual_code_activation = "sigmoid"
    unstackable = "it learns from data of which values are missing, and codes have all their values; stack plain layers"

    def __init__(self, encoder, decoder, likelihood="gaussian", pixel_max=5.0, **kwargs):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        self.takes_target = not any(has_input(network, MASK) for network in (encoder, decoder))

    def reconstruct_batch(self, batch, training=False):
        made = super().reconstruct_batch(batch, training)
        if self.standardization is None:
            return made
        return made * ops.cast(ops.any(batch.mask > 0, axis=-1, keepdims=True), made.dtype)
