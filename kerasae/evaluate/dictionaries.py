"""Measure a sparse dictionary on a data set: how many latents it uses, and what they explain."""

import numpy as np

from kerasae.evaluate.probe import outputs, public_method
from kerasae.evaluate.reconstruction import as_decoded


def dictionary_measures(model, data, batch_size: int = 256) -> dict[str, float]:
    """Measure sparsity and fidelity of codes and reconstructions over a whole data set.

    Args:
        model: anything with `encode(x)` → [B, Z] and `reconstruct(x)`; for integer inputs also `pixel_max`.
        data: an array [N, ...], a `(x, y)` pair, or a split of a `kerasae.data` source.
        batch_size: examples encoded at once.

    Returns:
        A dict: `l0`, the mean number of codes that are not zero; `alive`, the share of the Z units that at least one
        example activates; `explained`, the fraction of variance explained, 1 − Σ‖x − x̂‖² / Σ‖x − mean of x‖²;
        `cosine`, the mean cosine of x and x̂; `bias`, E‖x̂‖² / E[x·x̂], below 1 where reconstructions are shrunk.

    Raises:
        InputError: if the model cannot encode or reconstruct.

    Example:
        >>> import types
        >>> same = types.SimpleNamespace(encode=lambda x: x, reconstruct=lambda x: x, pixel_max=1)
        >>> dictionary_measures(same, np.eye(3, dtype="float32"))["l0"]
        1.0
    """
    encode, reconstruct = (public_method(model, name) for name in ("encode", "reconstruct"))
    parts = outputs(lambda x: (encode(x), reconstruct(x)), data, batch_size)
    sums = [sums_of(as_decoded(x, model), z, as_decoded(made, model)) for x, _, (z, made) in parts]
    total = {name: np.sum([one[name] for one in sums], axis=0) for name in sums[0]}
    mean = total["x"] / total["examples"]
    return {
        "l0": float(total["uses"].sum() / total["examples"]),
        "alive": float(np.mean(total["uses"] > 0)),
        "explained": float(1.0 - total["error"] / (total["x²"] - total["examples"] * mean @ mean)),
        "cosine": float(total["cosine"] / total["examples"]),
        "bias": float(total["made²"] / total["x·made"]),
    }


def sums_of(x, z, made):
    """Add up over a batch, in float64, what the measures are made of: name → sum."""
    x, made = (np.reshape(values, (len(x), -1)).astype("float64") for values in (x, made))
    products, squares, made_squares = np.sum(x * made, 1), np.sum(x * x, 1), np.sum(made * made, 1)
    return {
        "examples": len(x),
        "x": x.sum(0),
        "x²": squares.sum(),
        "made²": made_squares.sum(),
        "x·made": products.sum(),
        "error": np.square(x - made).sum(),
        "cosine": np.sum(products / np.sqrt(np.maximum(squares * made_squares, 1e-24))),
        "uses": np.sum(np.reshape(z, (len(x), -1)) != 0, axis=0),
    }
