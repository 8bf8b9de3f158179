"""Where an example is unlike normal ones: the error of each of its values."""

import numpy as np
from keras import ops

from kerasae.detectors.scores import mask_noises, masked_pass, squared_error
from kerasae.models import MaskedAutoencoder


def error_map(model, x, masks=16):
    """Measure the error of each value: [B, *shape] → float32 [B, *shape].

    It is the squared difference between x and its reconstruction; of a masked autoencoder the error of the value's
    patch where that is hidden, averaged over the fixed masks that hide it.
    """
    if isinstance(model, MaskedAutoencoder):
        return patch_errors(model, x, mask_noises(model, masks))
    return squared_error(model, x)


def patch_errors(model, x, noises):
    """Average the errors of each patch over the masks under which it is hidden: [B, *shape]."""
    total = hidden = 0.0
    for noise in noises:
        out = masked_pass(model, x, noise)
        total += ops.mean(ops.square(out["prediction"] - out["target"]), axis=-1) * out["mask"]
        hidden += out["mask"]
    errors = ops.expand_dims(total / hidden, -1)
    whole = model.decoder.layers[-1](errors * np.ones((1, 1, model.patches_shape[1]), "float32"))
    return ops.cast(whole, "float32")
