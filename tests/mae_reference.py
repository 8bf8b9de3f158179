"""Compute a masked autoencoder in NumPy and double precision, as the oracle of `test_masked.py`.

Written from the paper (He et al., arXiv 2111.06377), one example and one head at a time. It shares only the names of
weights with the library.
"""

import math

import numpy as np
from scipy.special import erf


class Weights:
    """Weights of networks by path, in double precision."""

    def __init__(self, *networks):
        self.values = {w.path: np.asarray(w, "float64") for network in networks for w in network.weights}

    def __call__(self, path):
        return self.values[path]


def layer_norm(x, weights, path):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-6) * weights(f"{path}/gamma") + weights(f"{path}/beta")


def linear(x, weights, path):
    return x @ weights(f"{path}/kernel") + weights(f"{path}/bias")


def gelu(x):
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def attention(x, weights, path, heads):
    """Self-attention of tokens [T, D]; q, k and v are the thirds of one layer's output."""
    return attend(*np.split(linear(x, weights, f"{path}/qkv"), 3, axis=1), weights, path, heads)


def attend(q, k, v, weights, path, heads):
    """Multi-head attention of queries [Q, D] to keys and values [T, D]."""
    out, d = np.zeros_like(q), q.shape[1] // heads
    for head in range(heads):
        part = slice(head * d, (head + 1) * d)
        scores = q[:, part] @ k[:, part].T / math.sqrt(d)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        out[:, part] = shares / shares.sum(axis=1, keepdims=True) @ v[:, part]
    return linear(out, weights, f"{path}/proj")


def block(x, weights, path, heads):
    scales = [weights.values.get(f"{path}/scale{i}", 1.0) for i in (1, 2)]
    x = x + scales[0] * attention(layer_norm(x, weights, f"{path}/norm1"), weights, f"{path}/attention", heads)
    hidden = gelu(linear(layer_norm(x, weights, f"{path}/norm2"), weights, f"{path}/fc1"))
    return x + scales[1] * linear(hidden, weights, f"{path}/fc2")


def cross_block(x, tokens, weights, path, heads):
    """Cross-attention block of queries [Q, D] to tokens [T, E] (Fu et al., arXiv 2401.14391)."""
    scales = [weights.values.get(f"{path}/scale{i}", 1.0) for i in (1, 2)]
    k, v = np.split(linear(tokens, weights, f"{path}/attention/kv"), 2, axis=1)
    for i, query in enumerate(x.copy()):  # one at a time
        q = linear(layer_norm(query[None], weights, f"{path}/norm1"), weights, f"{path}/attention/q")
        query = query + scales[0] * attend(q, k, v, weights, f"{path}/attention", heads)[0]
        hidden = gelu(linear(layer_norm(query, weights, f"{path}/norm2"), weights, f"{path}/fc1"))
        x[i] = query + scales[1] * linear(hidden, weights, f"{path}/fc2")
    return x


def patches_of(image, p, q):
    """Cut an image into patches row by row, each flattened by row, column, channel."""
    rows, columns = image.shape[0] // p, image.shape[1] // q
    return np.stack(
        [image[i * p : (i + 1) * p, j * q : (j + 1) * q].ravel() for i in range(rows) for j in range(columns)]
    )


def encode(patches, places, weights, depth, heads):
    """Encode the patches at `places`; return their tokens after the last normalisation."""
    positions = weights("row_tokens/positions")[0]
    first = len(positions) - len(patches)
    x = linear(patches, weights, "row_embed") + positions[first:]
    x = x[places]
    if first:
        x = np.concatenate([weights("row_tokens/class_token")[0] + positions[:1], x])
    for i in range(depth):
        x = block(x, weights, f"row_block_{i}", heads)
    return layer_norm(x, weights, "row_norm")


def decode(tokens, places, count, weights, depth, heads):
    """Predict all `count` patches from the tokens of the patches at `places`."""
    x = linear(tokens, weights, "row_decoder_embed")
    first = len(x) - len(places)
    whole = np.tile(weights("row_decoder_tokens/mask_token")[0], (count, 1))
    whole[places] = x[first:]
    x = np.concatenate([x[:first], whole]) + weights("row_decoder_tokens/positions")[0]
    for i in range(depth):
        x = block(x, weights, f"row_decoder_block_{i}", heads)
    return linear(layer_norm(x, weights, "row_decoder_norm"), weights, "row_decoder_pred")[first:]


def read_out(tokens, places, weights, depth, heads):
    """Predict the patches at `places` by a cross-attention decoder."""
    x = weights("row_decoder_queries/mask_token")[0] + weights("row_decoder_queries/positions")[0][places]
    for i in range(depth):
        x = cross_block(x, tokens, weights, f"row_decoder_block_{i}", heads)
    return linear(layer_norm(x, weights, "row_decoder_norm"), weights, "row_decoder_pred")


def simmim(image, mask, weights, patch, depth, heads):
    """Predict all patches by SimMIM (arXiv 2111.09886); patches with mask 1 are replaced by the mask token."""
    patches = patches_of(image, *patch)
    positions, count = weights("row_tokens/positions")[0], len(patches)
    x = linear(patches, weights, "row_embed")
    x[mask > 0] = weights("masked_tokens/mask_token")[0]
    x = x + positions[-count:]
    if len(positions) > count:
        x = np.concatenate([weights("row_tokens/class_token")[0] + positions[:1], x])
    for i in range(depth):
        x = block(x, weights, f"row_block_{i}", heads)
    return linear(layer_norm(x, weights, "row_norm")[-count:], weights, "row_decoder_pred")


def group_mask(noise, ratio, grid, group):
    """Mask [rows · columns], 1 = hidden, 0 = visible; the groups with the least mean noise stay visible."""
    rows, columns = grid
    noise, mask = noise.reshape(grid), np.ones(grid)
    corners = [(i, j) for i in range(0, rows, group) for j in range(0, columns, group)]
    corners.sort(key=lambda c: noise[c[0] : c[0] + group, c[1] : c[1] + group].mean())
    for i, j in corners[: int(len(corners) * (1 - ratio))]:
        mask[i : i + group, j : j + group] = 0
    return mask.ravel()


def forward(image, noise, weights, *, patch, ratio, normalize, mean, std, depths, heads):
    """Compute tokens, prediction, mask and loss of one image [H, W, C] with noise [N]."""
    patches = patches_of((image - np.asarray(mean)) / np.asarray(std), *patch)
    count = len(patches)
    places = np.argsort(noise)[: int(count * (1 - ratio))]
    tokens = encode(patches, places, weights, depths[0], heads[0])
    prediction = decode(tokens, places, count, weights, depths[1], heads[1])
    target = patches
    if normalize:
        deviation = np.sqrt(patches.var(axis=1, ddof=1, keepdims=True) + 1e-6)
        target = (patches - patches.mean(axis=1, keepdims=True)) / deviation
    mask = np.ones(count)
    mask[places] = 0
    loss = (((prediction - target) ** 2).mean(axis=1) * mask).sum() / mask.sum()
    return {"tokens": tokens, "prediction": prediction, "mask": mask, "loss": loss}
