"""A codebook: a finite set of vectors that quantises each vector to the nearest entry."""

import keras
from keras import layers, ops

from kerasae.errors import InputError

SMOOTHING = 1e-5
"""Laplace smoothing of the counts, which keeps the division by them finite."""


@keras.saving.register_keras_serializable("kerasae")
class Codebook(layers.Layer):
    """Replace each vector by the nearest entry of a codebook: [B, ..., D] → [B, ..., D].

    q(z) = e_k with k = argmin_j ‖z − e_j‖²: van den Oord, Vinyals and Kavukcuoglu, arXiv 1711.00937, eq. 1 and 2. The
    gradient with respect to z is that of the identity, the straight-through estimator of their section 3.2.

    The entries are running means, not trained by gradients, with counts N and sums m (appendix A.1, with the Laplace
    smoothing of the authors' code): N ← γN + (1 − γ)n, m ← γm + (1 − γ)Σz, e = m / Ñ, where Ñ_k = (N_k + ε) ΣN / (ΣN +
    Kε), ε = 1e-5. `call` changes none of them: `choices` gives n and Σz of a batch, `next_values` the next values.

    An entry that no vector chooses stays where it is until its count falls below ε; then it shrinks to the origin.
    `restarted` moves it to a vector of the batch before that.

    With `by_gradient` the entries are a trainable weight instead, of a loss of what `lookup` gives. The
    straight-through estimator passes no gradient on to them, and counts and sums do not exist.

    Args:
        size: number K of entries, ≥ 1.
        by_gradient: whether the entries are trained by gradients.

    Raises:
        InputError: if `size` is not a positive whole number.

    Example:
        >>> Codebook(512)(np.ones((8, 7, 7, 64))).shape  # [8, 7, 7, 64]
    """

    def __init__(self, size, by_gradient=False, **kwargs):
        super().__init__(autocast=False, **kwargs)  # distances and running means need float32
        if not size >= 1 or size != int(size):
            raise InputError(f"Codebook: size must be a positive whole number. Received: size={size}")
        self.size, self.by_gradient = int(size), bool(by_gradient)

    def build(self, input_shape):
        shape, start = (self.size, input_shape[-1]), uniform(1.0 / self.size)
        self.vectors = self._state("vectors", shape, start, trainable=self.by_gradient)
        if self.by_gradient:
            return
        self.counts = self._state("counts", (self.size,), "ones")
        self.sums = self._state("sums", (self.size, input_shape[-1]), "zeros")
        self.sums.assign(self.vectors)

    def call(self, z):
        return ops.cast(self.straight_through(z), self.compute_dtype)

    def straight_through(self, z):
        """Quantise to the nearest entries in float32, with the gradient of the identity: [B, ..., D] → [B, ..., D]."""
        z = ops.cast(z, "float32")
        # z − z is exactly zero: the value is the entry to the bit, and the gradient passes to z.
        return ops.stop_gradient(self.lookup(self.indices(z))) + (z - ops.stop_gradient(z))

    def indices(self, z):
        """Find the index of the entry nearest to each vector: [B, ..., D] → int32 [B, ...]."""
        rows = ops.reshape(ops.cast(z, "float32"), (-1, z.shape[-1]))
        # ‖z‖² is left out, as it is the same for all entries.
        entries = ops.cast(self.vectors, "float32")
        far = ops.sum(ops.square(entries), axis=-1) - 2.0 * ops.matmul(rows, ops.transpose(entries))
        return ops.reshape(ops.cast(ops.argmin(far, axis=-1), "int32"), (-1, *z.shape[1:-1]))

    def lookup(self, indices):
        """Look up entries by index: [B, ...] → float32 [B, ..., D]."""
        return ops.take(ops.cast(self.vectors, "float32"), indices, axis=0)

    def choices(self, z, weight=None):
        """Count how often each entry is the nearest, and add up the vectors that choose it.

        Args:
            z: [B, ..., D].
            weight: [B], the weight of each example; None for 1.

        Returns:
            {"counts": float32 [K], "sums": float32 [K, D]}.
        """
        z = ops.stop_gradient(ops.cast(z, "float32"))
        chosen = ops.one_hot(self.indices(z), self.size, dtype="float32")
        if weight is not None:
            chosen = chosen * ops.reshape(weight, (-1, *[1] * (len(z.shape) - 1)))
        chosen, rows = (ops.reshape(v, (-1, v.shape[-1])) for v in (chosen, z))
        # A matrix product adds in one order on every device; scattered additions do not.
        return {"counts": ops.sum(chosen, axis=0), "sums": ops.matmul(ops.transpose(chosen), rows)}

    def next_values(self, counts, sums, decay):
        """Update the running means by `choices` of a batch: pairs (variable, next value); 0 ≤ `decay` γ ≤ 1."""
        counts = decay * self.counts + (1.0 - decay) * counts
        sums = decay * self.sums + (1.0 - decay) * sums
        total = ops.sum(counts)
        smooth = (counts + SMOOTHING) * total / (total + self.size * SMOOTHING)
        return [(self.counts, counts), (self.sums, sums), (self.vectors, sums / ops.expand_dims(smooth, -1))]

    def restarted(self, state, candidates, share):
        """Let entries that are hardly chosen start anew from vectors of the batch, with the mean count.

        Dhariwal et al., arXiv 2005.00341, section 3.1. Each idle entry takes the next candidate; those left over wait
        for the next step.

        Args:
            state: pairs (variable, next value) of `next_values`.
            candidates: [N, D], vectors of the whole batch in random order.
            share: an entry is idle if its count is below this share of the mean count.

        Returns:
            The pairs with the idle entries' values replaced.
        """
        counts, sums, vectors = (value for _, value in state)
        mean = ops.mean(counts)
        idle = counts < share * mean
        turn = ops.cumsum(ops.cast(idle, "int32")) - 1  # number of the candidate that an idle entry takes
        idle = ops.logical_and(idle, turn < ops.shape(candidates)[0])
        taken = ops.take(candidates, ops.where(idle, turn, 0), axis=0)
        counts, column = ops.where(idle, mean, counts), ops.expand_dims(idle, -1)
        sums, vectors = ops.where(column, mean * taken, sums), ops.where(column, taken, vectors)
        return [(self.counts, counts), (self.sums, sums), (self.vectors, vectors)]

    def start(self, vectors):
        """Set the entries, float32 [K, D], with a count of 1 each."""
        self.vectors.assign(vectors)
        if self.by_gradient:
            return
        self.sums.assign(vectors)
        self.counts.assign(ops.ones((self.size,)))

    def perplexity(self):
        """Compute exp(−Σ p log p) of the entries' running shares p: float, from 1 (one used) to K (all alike)."""
        if self.by_gradient:
            raise InputError("Codebook: entries trained by gradients keep no counts; use kerasae.evaluate.codebook_use")
        p = self.counts / ops.sum(self.counts)
        return float(ops.exp(-ops.sum(p * ops.log(ops.maximum(p, 1e-30)))))

    def compute_output_spec(self, z):
        return keras.KerasTensor(z.shape, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "by_gradient": self.by_gradient}

    def _state(self, name, shape, initializer, trainable=False):
        dtype = self.variable_dtype if trainable else "float32"
        return self.add_weight(shape, initializer, dtype, trainable=trainable, autocast=False, name=name)


def uniform(bound):
    return keras.initializers.RandomUniform(-bound, bound)
