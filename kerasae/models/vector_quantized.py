"""Vector quantisation: codes of entries from a finite codebook."""

import math

import keras
import numpy as np
from keras import ops

from kerasae.errors import InputError
from kerasae.layers.codebook import Codebook
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.batch import examples_of
from kerasae.models.contract.knobs import Knob
from kerasae.models.contract.terms import Found

ADAPT_EXAMPLES = 2048
"""Greatest number of examples that `adapt` encodes, unless there are more entries."""

ADAPT_VECTORS = 32_768
"""Greatest number of their vectors among which it draws the entries."""


@keras.saving.register_keras_serializable("kerasae")
class VectorQuantizedAutoencoder(Autoencoder):
    """Reconstruct from the nearest entries of a learned codebook: −log p(x | e) + β ‖z − sg[e]‖², z = encode(x).

    Van den Oord, Vinyals and Kavukcuoglu, arXiv 1711.00937, eq. 3. The last axis of the code is the vector that is
    quantised: codes [B, D] choose one entry, [B, G, D] one for each of G groups, [B, H, W, D] one for each place of a
    grid. The commitment ‖z − sg[e]‖² is summed over D and averaged over the vectors of an example, as in the paper. In
    place of the term ‖sg[z] − e‖² the codebook follows the running means of appendix A.1: see
    `kerasae.layers.Codebook`. It is updated from the sums over the whole batch, on all devices and micro-batches.
    `learning="gradient"` is that term itself: the entries are weights of the optimiser.

    Args:
        encoder: Keras model, [B, *shape] → [B, ..., D]; `kerasae.networks.shape_code` cuts a code [B, Z] into vectors.
        decoder: Keras model, [B, ..., D] → parameters of the likelihood.
        likelihood, pixel_max: as for `Autoencoder`.
        entries: number K of vectors in the codebook.
        beta: weight β ≥ 0 of the commitment; a `Knob`.
        decay: share γ in [0, 1] of the running counts and sums that a step keeps; 1 holds the codebook fixed; a `Knob`.
        learning: how entries learn: "averages" or "gradient", which makes no use of `decay`.
        restart: share in [0, 1) of the mean running count below which an entry starts anew from a vector of the
            batch, as in Dhariwal et al., arXiv 2005.00341, section 3.1; 0 for never; of averages only.

    `terms` are "reconstruction", [B] in nats, "commitment", [B] in squared units of the code, and for learning by
    gradient "codebook", ‖sg[z] − e‖² averaged likewise. `encode` gives the
    entries, float32 [B, ..., D], and `indices` their indices. The codebook starts from uniform numbers in ±1/K, or from
    encoded examples by `adapt`.

    Raises:
        InputError: for networks that do not fit each other, and numbers out of range.

    Example:
        >>> pair = kerasae.networks.shape_code(*kerasae.networks.dense((28, 28, 1), code=64), (16, 4))
        >>> model = VectorQuantizedAutoencoder(*pair, "bernoulli", entries=128)
        >>> model.adapt(images)  # uint8 [N, 28, 28, 1]
        >>> model.compile("adam")
        >>> model.fit(images, epochs=10)
        >>> model.indices(images[:8])  # int32 [8, 16]
    """

    terms = ("reconstruction", "commitment")
    unstackable = "its code is one entry of a codebook, of which a layer above could learn no more than which one it is"
    has_tangents = False  # a code jumps from entry to entry
    has_indices = True
    may_take_steps = False
    beta = Knob(minimum=0.0)
    decay = Knob(minimum=0.0, maximum=1.0)

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="gaussian",
        pixel_max=255.0,
        entries=512,
        beta=0.25,
        decay=0.99,
        learning="averages",
        restart=0.0,
        **kwargs,
    ):
        check_learning(type(self).__name__, learning, restart)
        self.by_gradient, self.restart = learning == "gradient", float(restart)
        if self.by_gradient:
            self.terms = (*self.terms, "codebook")
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        self.beta, self.decay = beta, decay
        self.codebook = Codebook(entries, by_gradient=self.by_gradient, name="codebook")
        self.codebook.build((None, *self.code_shape))

    def objective(self, batch, training=False):
        z = ops.cast(self.encoded(batch, training), "float32")
        nearest = self.codebook.straight_through(z)
        terms = {
            "reconstruction": self.reconstruction_term(nearest, batch, training),
            "commitment": mean_distance(z, ops.stop_gradient(nearest)),
        }
        if self.by_gradient:
            entries = self.codebook.lookup(self.codebook.indices(z))
            return {**terms, "codebook": mean_distance(ops.stop_gradient(z), entries)}
        rows = {"candidates": one_vector_each(z, self.random(training))} if self.restart else {}
        return Found(terms, sums=self.codebook.choices(z, batch.weight), rows=rows)

    @property
    def term_weights(self):
        return {"commitment": self.beta}

    def next_state(self, sums, rows):
        if self.by_gradient:
            return []
        state = self.codebook.next_values(sums["counts"], sums["sums"], ops.convert_to_tensor(self.decay))
        return self.codebook.restarted(state, rows["candidates"], self.restart) if self.restart else state

    def adapt(self, split):
        """Initialise the codebook by k-means++ from encoded examples; the same entries every time.

        Each entry is drawn with a chance proportional to the squared distance to the nearest one so far: Arthur and
        Vassilvitskii, SODA 2007, section 2.2.

        Args:
            split: array [N, *shape] of stored values, or a `kerasae.data.Split`; at most 2048 of its examples, or
                as many as there are entries, are encoded, and 32,768 of their vectors looked at.

        Raises:
            InputError: if the examples give fewer vectors, or fewer different ones, than the codebook has entries.
        """
        size, places = self.codebook.size, math.prod(self.code_shape[:-1])
        if len(split) * places < size:
            raise InputError(
                f"entries: expected at most {len(split) * places}, the vectors of {len(split)} examples with {places} "
                f"place{'s'[: places > 1]} each. Received: {size}; ask for fewer entries, or give more examples"
            )
        encoded = self.by_batches(self.encoded, examples_of(split, max(ADAPT_EXAMPLES, size)))
        vectors = ops.convert_to_numpy(encoded).astype("float32").reshape(-1, self.code_shape[-1])
        if len(vectors) > ADAPT_VECTORS:
            vectors = np.random.default_rng(0).permutation(vectors)[:ADAPT_VECTORS]
        self.codebook.start(spread_vectors(vectors, size))

    def code_of(self, encoded):
        return self.codebook(encoded)

    def indices(self, x, y=None, batch_size=256):
        """Encode x to codebook indices: [B, *shape] → int32 [B, ...]."""
        return self.by_batches(lambda batch: self.codebook.indices(self.encoded(batch)), x, y, batch_size)

    def lookup(self, indices):
        """Look up the codes, the input of `decode`, of codebook indices: int [B, ...] → float32 [B, ..., D]."""
        return self.codebook.lookup(indices)

    def perplexity(self):
        """Measure codebook use: exp of the entropy of the entries' running shares, 1 to K."""
        return self.codebook.perplexity()


def check_learning(name, learning, restart):
    """Raise InputError for another way to learn, and for a restart that cannot be."""
    if learning not in ("averages", "gradient"):
        raise InputError(f"{name}: learning must be averages or gradient. Received: {learning!r}")
    if not 0 <= restart < 1:
        raise InputError(f"{name}: restart must be in [0, 1), a share of the mean count. Received: restart={restart}")
    if restart and learning == "gradient":
        raise InputError(f"{name}: restart needs the counts of learning='averages'. Received: learning='gradient'")


def one_vector_each(z, random):
    """Take the vector of one place, at random, of every example: [B, ..., D] → [B, D]."""
    rows = ops.stop_gradient(ops.reshape(z, (-1, math.prod(z.shape[1:-1]), z.shape[-1])))
    places = rows.shape[1]
    chosen = ops.minimum(ops.cast(random.uniform((ops.shape(z)[0],)) * places, "int32"), places - 1)
    return ops.squeeze(ops.take_along_axis(rows, chosen[:, None, None], axis=1), 1)


def mean_distance(z, entries):
    """Average the squared distance of vectors [B, ..., D] to entries over the vectors of an example: [B]."""
    far = ops.sum(ops.square(z - entries), axis=-1)
    return ops.mean(ops.reshape(far, (ops.shape(far)[0], -1)), axis=-1)


def spread_vectors(vectors, count, seed=0):
    """Draw `count` of the vectors [N, D] as k-means++ does: [count, D]."""
    random = np.random.default_rng(seed)
    chosen = [vectors[random.integers(len(vectors))]]
    far = np.square(vectors - chosen[0]).sum(-1, dtype="float64")
    while len(chosen) < count:
        if not far.sum() > 0:
            raise InputError(
                f"adapt: the examples give only {len(chosen)} different vectors, but the codebook has {count} entries; "
                "give more examples, or ask for fewer entries"
            )
        chosen.append(vectors[random.choice(len(vectors), p=far / far.sum())])
        far = np.minimum(far, np.square(vectors - chosen[-1]).sum(-1, dtype="float64"))
    return np.stack(chosen)
