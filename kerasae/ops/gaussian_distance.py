"""Distance of two Gaussians with full covariances."""

from keras import ops


def gaussian_w2(mean, covariance, other_mean, other_covariance):
    """Compute the squared Wasserstein-2 distance of two Gaussians: float32 scalar.

    ‖m − m'‖² + tr(S + S' − 2 (S'^½ S S'^½)^½): Dowson and Landau, Journal of Multivariate Analysis 12 (1982), eq. 4.
    Roots of eigenvalues below 10⁻⁶ are of 10⁻⁶, so that the gradient is finite where S has less than full rank.

    Args:
        mean, other_mean: [Z].
        covariance, other_covariance: [Z, Z], symmetric without negative eigenvalues.

    Example:
        >>> gaussian_w2(np.ones(2), np.eye(2), np.zeros(2), 4 * np.eye(2))  # 2 + 2 (1 − 2)² = 4
    """
    values, vectors = ops.eigh(other_covariance)
    root = ops.matmul(vectors * ops.sqrt(ops.maximum(values, 0.0)), ops.transpose(vectors))
    inner = ops.matmul(ops.matmul(root, covariance), root)
    cross = ops.sum(ops.sqrt(ops.maximum(ops.eigh(0.5 * (inner + ops.transpose(inner)))[0], 1e-6)))
    traces = ops.trace(covariance) + ops.trace(other_covariance)
    return ops.sum(ops.square(mean - other_mean)) + traces - 2.0 * cross
