"""Measure how close reconstructions are to their inputs."""

import math

import keras
import numpy as np

from kerasae.errors import InputError
from kerasae.evaluate.probe import conditional_outputs, outputs, public_method
from kerasae.evaluate.token_figures import token_error
from kerasae.ops import to_unit


def reconstruction_error(model, data, batch_size: int = 256) -> dict[str, float]:
    """Measure the squared error between inputs and `model.reconstruct(x)`, both in [0, 1] units.

    Of a model that standardises its input both are standardised: an `mse` of 1 is that of the training mean. Values
    that are missing (NaN) count for nothing. Ids of tokens have no distance: of a model of them it is `token_error`.

    Args:
        model: anything with `reconstruct(x)`; for integer inputs also `pixel_max`, the stored value of 1.0.
        data: an array [N, ...], a `(x, y)` pair, or a split of a `kerasae.data` source; of a conditional model a split
            of labelled examples.
        batch_size: examples reconstructed at once.

    Returns:
        A dict: `mse`, the mean over examples, pixels and channels; `sse`, the sum over one example's values,
        averaged over examples; `psnr` = −10·log₁₀(mse) in dB for a peak of 1 (infinite without any error), or of
        standardised values, which have no peak, `prd` = √(Σ (x − x̂)² / Σ (x − m)²), m the training mean, the
        percentage root-mean-square difference of signals, as a fraction; `examples`, their number.

    Raises:
        InputError: if the model cannot reconstruct or returns another shape than it was given.

    Example:
        >>> import types
        >>> grey = types.SimpleNamespace(reconstruct=lambda x: 0 * x + 0.5)
        >>> reconstruction_error(grey, np.ones((3, 4), "float32"))["mse"]
        0.25
    """
    if getattr(model, "ids", None) is not None:
        return token_error(model, data, batch_size)
    reconstruct, scale = public_method(model, "reconstruct"), getattr(model, "standardization", None)
    if getattr(model, "needs_condition", False):
        results = conditional_outputs(model, "reconstruct", data, batch_size)
    else:
        results = outputs(reconstruct, data, batch_size)
    total, power, examples, values = 0.0, 0.0, 0, 0
    for x, _, output in results:
        known = ~np.isnan(x) if x.dtype.kind == "f" else np.ones(x.shape, bool)
        target = as_decoded(x, model)
        total += _squared_error(target, standardized(output, scale), known)
        power += float(np.square(target[known], dtype="float64").sum())
        examples += len(x)
        values += int(known.sum())
    mse = total / max(values, 1)
    found = {"mse": mse, "sse": total / examples}
    if scale is None:
        found["psnr"] = -10 * math.log10(mse) if mse > 0 else math.inf
    elif power > 0:
        found["prd"] = math.sqrt(total / power)
    return {**found, "examples": examples}


def hidden_patch_error(model, data, batch_size: int = 256) -> dict[str, float]:
    """Measure how a masked autoencoder predicts hidden patches; visible ones, which it copies, count for nothing.

    Args:
        model: a masked autoencoder, with `score(x)` and `reconstruct(x)` under fixed masks.
        data, batch_size: as for `reconstruction_error`.

    Returns:
        A dict: `hidden_error`, the mean of `score`, in the units of the objective; `examples`, their number; and where
        targets are pixels, not normalised patch by patch, `hidden_mse`, the squared error of the hidden pixels of one
        fixed mask, mean over these, in [0, 1] units, and `hidden_psnr` = −10·log₁₀(hidden_mse) in dB; or `hidden_mse`
        of standardised values, which have no peak.

    Example:
        >>> import kerasae
        >>> pair = kerasae.networks.vit((8, 8, 1), 2, width=8, depth=1, heads=2, decoder_width=4, decoder_heads=1)
        >>> model = kerasae.models.MaskedAutoencoder(*pair, normalize_targets=True)
        >>> sorted(hidden_patch_error(model, np.ones((3, 8, 8, 1), "float32")))
        ['examples', 'hidden_error']
    """
    found = {"hidden_error": mean_score(model, data, batch_size)}
    whole = reconstruction_error(model, data, batch_size)
    if not model.normalize_targets:
        mse = found["hidden_mse"] = whole["mse"] / (1.0 - model.visible / model.patches_shape[0])
        if "psnr" in whole:
            found["hidden_psnr"] = -10 * math.log10(mse) if mse > 0 else math.inf
    return found | {"examples": whole["examples"]}


def mean_score(model, data, batch_size: int = 256) -> float:
    """Average `model.score(x)` over the examples: for an autoencoder, its loss on held-out data.

    Args:
        model: anything with `score(x)` → [B].
        data, batch_size: as for `reconstruction_error`.

    Example:
        >>> import types
        >>> darkness = types.SimpleNamespace(score=lambda x: keras.ops.mean(x, axis=1))
        >>> mean_score(darkness, np.ones((3, 4), "float32"))
        1.0
    """
    scores = [scores for _, _, scores in outputs(public_method(model, "score"), data, batch_size)]
    return float(np.concatenate(scores).mean(dtype=np.float64))


def as_decoded(x: np.ndarray, model) -> np.ndarray:
    """Convert inputs to the model's units: integers are scaled, floats stay, numbers of any range are standardised."""
    scale = getattr(model, "standardization", None)
    if scale is not None:
        return standardized(x, scale)
    return x if x.dtype.kind == "f" else keras.ops.convert_to_numpy(to_unit(x, model.pixel_max))


def standardized(x: np.ndarray, scale) -> np.ndarray:
    """Standardise values by a model's `standardization`; None leaves them."""
    return x if scale is None else keras.ops.convert_to_numpy(scale.standardized(x))


def _squared_error(target: np.ndarray, output: np.ndarray, known: np.ndarray) -> float:
    if target.shape != output.shape:
        raise InputError(
            f"model: expected reconstructions of the input's shape {target.shape}, received {output.shape}; "
            "use a decoder that returns the shape of the input."
        )
    return float(np.sum(np.square(target - output, dtype=np.float64), where=known))
