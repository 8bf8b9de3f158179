"""Look at the geometry that a model has learned: tangents of the data's manifold, and the score of its density."""

import numpy as np
from keras import ops

from kerasae.errors import InputError
from kerasae.evaluate.probe import public_method
from kerasae.ops import jacobian_products


def tangents(model, x, count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Find the directions of the input in which the code changes most, at each example.

    They are the leading right singular vectors of the encoder's Jacobian J = ∂z/∂x. Where the encoder contracts, the
    few that it does not shrink span the manifold of the data: Rifai et al., "The manifold tangent classifier", NIPS
    2011, section 2.2.

    Args:
        model: a model of the contract with an encoder of x alone.
        x: stored values [N, *shape].
        count: directions of each example, at most as many as the code and the input have values.

    Returns:
        (directions, lengths): float32 [N, count, *shape], each of norm 1, in the units of the model's input, in which
        `pixel_max` is 1; and the singular values [N, count], the greatest first.

    Raises:
        InputError: `count` is out of range.

    Example:
        >>> directions, lengths = tangents(model, images[:5], count=4)
    """
    encoder, values = public_method(model, "unit_encoder")(), model.prepare(x).x
    width = int(np.prod(encoder.output_shape[1:]))
    most = min(width, int(np.prod(values.shape[1:])))
    if not 1 <= count <= most:
        raise InputError(f"count: expected 1 to {most}, the rank that J can have. Received: {count}")

    def code(x):
        return ops.reshape(encoder(x), (len(x), width))

    _, rows = jacobian_products(code, values, ops.expand_dims(ops.eye(width), 1))
    jacobian = np.reshape(np.moveaxis(np.asarray(rows), 0, 1), (len(values), width, -1))
    _, lengths, directions = np.linalg.svd(jacobian, full_matrices=False)
    return np.reshape(directions[:, :count], (len(values), count, *values.shape[1:])), lengths[:, :count]


def score_field(model, x, noise: float | np.ndarray) -> np.ndarray:
    """Estimate the score ∇ log p(x) of the data by a denoising autoencoder: (g(f(x)) − x) / σ², [N, *shape].

    For small Gaussian noise of deviation σ the reconstruction moves each point up the density: Alain and Bengio, JMLR
    15 (2014), theorem 1; it is the score of the data with that noise added (Vincent, Neural Computation 23, 2011).

    Args:
        model: anything with `reconstruct(x)`, trained to remove Gaussian noise from floats.
        x: floats [N, *shape], usually a grid of points.
        noise: deviation σ > 0 of the noise, in the units of x; one number, or one for each value of the last axis.

    Raises:
        InputError: integers, or a deviation that is not positive.

    Example:
        >>> arrows = score_field(model, grid, noise=0.1)  # draw them with kerasae.plots.field(grid, arrows)
    """
    x = np.asarray(x)
    if x.dtype.kind != "f":
        raise InputError(f"x: expected floats. Received: {x.dtype}")
    noise = np.asarray(noise, np.float32)
    if not np.all(noise > 0):
        raise InputError(f"noise: expected a deviation > 0. Received: {noise}")
    return (np.asarray(public_method(model, "reconstruct")(x)) - x) / noise**2
