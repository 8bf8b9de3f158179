"""Sparse codes by the lasso: the fast iterative shrinkage-thresholding algorithm, FISTA."""

from keras import ops


def shrink(z, amount):
    """Move values towards zero by `amount` and stop there, sign(z) · max(|z| − amount, 0): a tensor of z's shape.

    Example:
        >>> shrink(np.array([-2.0, 0.5, 3.0]), 1.0)  # [-1, 0, 2]
    """
    return ops.sign(z) * ops.relu(ops.abs(z) - amount)


def fista(x, atoms, weight, steps=100, start=None):
    """Find z of least ½‖x − zB‖² + λ‖z‖₁ for every row of x: [B, D] → [B, M].

    Beck and Teboulle, SIAM Journal on Imaging Sciences 2 (2009), section 4, FISTA with a constant step 1/L, where L is
    the greatest eigenvalue of BBᵀ. No gradient passes through the iterations.

    Args:
        x: float32 [B, D].
        atoms: the dictionary B, float32 [M, D].
        weight: λ ≥ 0, a number or scalar tensor.
        steps: number of iterations.
        start: first z, float32 [B, M]; zeros when None.

    Returns:
        float32 [B, M].

    Example:
        >>> fista(np.array([[2.0, -0.5]], "float32"), np.eye(2, dtype="float32"), 1.0)  # [[1, 0]]
    """
    x, atoms = ops.stop_gradient(ops.convert_to_tensor(x)), ops.stop_gradient(ops.convert_to_tensor(atoms))
    gram, target = ops.matmul(atoms, ops.transpose(atoms)), ops.matmul(x, ops.transpose(atoms))
    rate = 1.0 / largest_eigenvalue(gram)
    z = ops.zeros_like(target) if start is None else ops.stop_gradient(ops.convert_to_tensor(start))

    def step(_, state):
        z, ahead, t = state
        next_z = shrink(ahead - rate * (ops.matmul(ahead, gram) - target), rate * weight)
        next_t = 0.5 * (1.0 + ops.sqrt(1.0 + 4.0 * ops.square(t)))
        return next_z, next_z + (t - 1.0) / next_t * (next_z - z), next_t

    return ops.fori_loop(0, steps, step, (z, z, ops.ones(())))[0]


def largest_eigenvalue(gram, turns=50):
    """Bound the greatest eigenvalue of a positive semi-definite matrix [M, M] from above, closely: a scalar.

    The power iteration approaches it from below; 5 % are added, and the greatest row sum limits it.
    """
    start = ops.sum(ops.abs(gram), axis=1, keepdims=True)

    def turn(_, v):
        v = ops.matmul(gram, v)
        return v / ops.maximum(ops.norm(v), 1e-12)

    v = ops.fori_loop(0, turns, turn, start / ops.maximum(ops.norm(start), 1e-12))
    found = 1.05 * ops.sum(v * ops.matmul(gram, v)) / ops.maximum(ops.sum(v * v), 1e-12)
    return ops.maximum(ops.minimum(found, ops.max(start)), 1e-12)
