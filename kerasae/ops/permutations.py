"""Random permutations of codes over the batch."""

from keras import ops


def permute_dimensions(z, keys):
    """Permute every dimension over the batch independently, turning draws of q(z) into draws of Π_j q(z_j).

    Kim and Mnih, arXiv 1802.05983, algorithm 1.

    Args:
        z: [B, ...].
        keys: random numbers in the shape of z; each dimension is sorted by its keys.

    Returns:
        [B, ...]: every dimension holds its values of z, each once.

    Example:
        >>> permute_dimensions(np.array([[1, 10], [2, 20]]), np.array([[0.1, 0.9], [0.2, 0.3]]))
        [[1, 20], [2, 10]]
    """
    return ops.take_along_axis(z, ops.argsort(keys, axis=0), axis=0)
