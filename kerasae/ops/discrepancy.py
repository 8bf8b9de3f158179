"""Maximum mean discrepancy: a kernel distance between two sets of points."""

from keras import ops


def squared_distances(x, y):
    """Compute ‖x_i − y_j‖²: [N, Z], [M, Z] → float32 [N, M], ≥ 0."""
    x, y = ops.cast(x, "float32"), ops.cast(y, "float32")
    squares = ops.sum(ops.square(x), axis=-1)[:, None] + ops.sum(ops.square(y), axis=-1)
    return ops.maximum(squares - 2.0 * ops.matmul(x, ops.transpose(y)), 0.0)


def inverse_multiquadratic(squared, constant):
    """Compute the kernel C / (C + ‖x − y‖²): Tolstikhin et al., arXiv 1711.01558, section 4.

    Args:
        squared: squared distances, of any shape.
        constant: C > 0, the squared distance at which the kernel is ½.
    """
    return constant / (constant + squared)


def rbf(squared, constant):
    """Compute the Gaussian kernel exp(−‖x − y‖² / C), of variance C / 2.

    Args:
        squared: squared distances, of any shape.
        constant: C > 0.
    """
    return ops.exp(-squared / constant)


def mmd(x, y, kernel):
    """Estimate the squared maximum mean discrepancy of the distributions that x and y are drawn from, without bias.

    Σ_{i≠j} k(x_i, x_j) / (N(N−1)) + Σ_{i≠j} k(y_i, y_j) / (M(M−1)) − 2 Σ_{ij} k(x_i, y_j) / (NM): Gretton et al., JMLR
    13 (2012), eq. 3; Tolstikhin et al., arXiv 1711.01558, algorithm 2. It is 0 on average where both distributions are
    the same, and may be negative.

    Args:
        x: [N, Z].
        y: [M, Z].
        kernel: function of squared distances → kernel values.

    Returns:
        float32 scalar. A set of one point has no pairs, and counts as 0.

    Example:
        >>> mmd(codes, draws, lambda squared: inverse_multiquadratic(squared, 16.0))
    """
    within = mean_of_pairs(kernel(squared_distances(x, x))) + mean_of_pairs(kernel(squared_distances(y, y)))
    return within - 2.0 * ops.mean(kernel(squared_distances(x, y)))


def mean_of_pairs(values):
    """Average [N, N] values off the diagonal."""
    count = ops.cast(ops.shape(values)[0], values.dtype)
    pairs = ops.sum(values * (1.0 - ops.eye(ops.shape(values)[0], dtype=values.dtype)))
    return pairs / ops.maximum(count * (count - 1.0), 1.0)
