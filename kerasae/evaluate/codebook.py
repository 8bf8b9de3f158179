"""Measure how much of its codebook a vector-quantised autoencoder uses."""

import numpy as np

from kerasae.evaluate.probe import outputs, public_method


def codebook_use(model, data, batch_size: int = 256) -> dict[str, float]:
    """Count which entries of the codebook the examples choose.

    Args:
        model: anything with `indices(x)`, int [B, ...], and `codebook.size`.
        data: an array [N, ...], a `(x, y)` pair, or a split of a `kerasae.data` source.
        batch_size: examples encoded at once.

    Returns:
        A dict: `codebook_used`, the share of the entries that an example chooses at least once, in (0, 1];
        `codebook_perplexity` = exp(−Σ_k p_k log p_k) of the shares p of the choices, from 1 (one entry) to the size of
        the codebook (all alike): van den Oord et al., arXiv 1711.00937, report it as the use of the codebook.

    Raises:
        InputError: if the model has no indices.

    Example:
        >>> import types
        >>> halves = types.SimpleNamespace(indices=lambda x: x[:, 0], codebook=types.SimpleNamespace(size=4))
        >>> codebook_use(halves, np.array([[0], [1]]))
        {'codebook_used': 0.5, 'codebook_perplexity': 2.0}
    """
    counts = np.zeros(model.codebook.size, np.int64)
    for _, _, found in outputs(public_method(model, "indices"), data, batch_size):
        counts += np.bincount(found.astype(np.int64).ravel(), minlength=len(counts))
    shares = counts[counts > 0] / counts.sum()
    return {"codebook_used": len(shares) / len(counts), "codebook_perplexity": float(np.exp(-shares @ np.log(shares)))}
