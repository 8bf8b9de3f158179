"""The parent of the estimators: parameters, training, validation of input, pickling."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from kerasae.data import Split, batches, steps_per_epoch
from kerasae.data.any_numbers import as_float32
from kerasae.data.checks import whole
from kerasae.errors import InputError
from kerasae.sklearn import pickled
from kerasae.sklearn.building import build
from kerasae.sklearn.seeds import seeded


class AutoencoderEstimator(BaseEstimator):
    """Train an autoencoder on the rows of an array or data frame [N, D]: the parent of the estimators.

    Args:
        variant: name in the catalogue (`kerasae list`), such as "plain", "denoising", "variational" or "k-sparse".
        code: length of the code.
        widths: hidden widths of the encoder; the decoder mirrors them. May be empty.
        noise: standard deviation of the Gaussian noise on inputs in training, of variants that corrupt; in deviations
            of the features where they are standardised. None for the variant's own corruption: a quarter masked.
        likelihood: "gaussian" for numbers of any range, "bernoulli" for values in [0, 1] with `standardize=False`.
        options: further arguments of the variant by name, such as {"beta": 4.0}; or None.
        standardize: whether the model standardises features by their mean and deviation in `fit`.
        missing: whether NaN is a missing value, which the loss leaves out, instead of an error.
        epochs: passes over the examples.
        batch_size: examples per step.
        learning_rate: of Adam.
        random_state: None, an integer or a `numpy.random.RandomState`. With an integer, two fits agree to the bit.

    `check_estimator` of scikit-learn passes, but for `check_sample_weight_equivalence_on_dense_data`: a row of weight 2
    counts twice in its batch, whereas a row that is given twice has two places in the order of the rows.

    Attributes:
        model_: the trained `kerasae.models` model.
        loss_curve_: mean loss of each epoch.
    """

    def __init__(
        self,
        variant="denoising",
        code=32,
        widths=(128,),
        *,
        noise=None,
        likelihood="gaussian",
        options=None,
        standardize=True,
        missing=False,
        epochs=50,
        batch_size=32,
        learning_rate=1e-3,
        random_state=None,
    ):
        self.variant = variant
        self.code = code
        self.widths = widths
        self.noise = noise
        self.likelihood = likelihood
        self.options = options
        self.standardize = standardize
        self.missing = missing
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = bool(self.missing)
        tags.non_deterministic = self.random_state is None
        return tags

    def _validated(self, X, reset=False):
        """Check X and return it as float32 [N, D]; with `reset` also remember names and number of features."""
        if not reset:
            check_is_fitted(self)
        finite = "allow-nan" if self.missing else True
        return as_float32(validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite=finite), "X")

    def _fit_model(self, x, sample_weight=None):
        """Train a new model on validated x."""
        with seeded(self.random_state) as seed:
            self.model_ = build(self, x)
            self.model_.adapt(x)
            self.loss_curve_ = self._losses(x, sample_weight, seed, whole("epochs", self.epochs, 1))
        return self

    def _partial_fit_model(self, X, sample_weight):
        """Train for one more epoch, on X; the first call builds the model and standardises by X."""
        first = not hasattr(self, "model_")
        x = self._validated(X, reset=first)
        turn = 0 if first else len(self.loss_curve_)
        with seeded(self.random_state, turn) as seed:
            if first:
                self.model_, self.loss_curve_ = build(self, x), []
                self.model_.adapt(x)
            self.loss_curve_ += self._losses(x, sample_weight, seed, 1)
        return self

    def _losses(self, x, sample_weight, seed, epochs):
        """Train the model for some epochs, and return the loss of each."""
        weight = None if sample_weight is None else weights(sample_weight, len(x))
        steps = steps_per_epoch(Split.of(x), whole("batch_size", self.batch_size, 1))
        stream = shuffled(x, weight, self.batch_size, seed)
        fitted = self.model_.fit(stream, steps_per_epoch=steps, epochs=epochs, shuffle=False, verbose=0)
        losses = fitted.history["loss"]
        if not np.isfinite(losses).all():
            raise InputError(
                f"learning_rate: expected one with which the loss stays finite; received {self.learning_rate}; lower "
                "it, or look for extreme values in X"
            )
        return losses

    def _encoded(self, x):
        """Encode validated x: float32 [N, Z]."""
        return np.asarray(self.model_.encode(x), np.float32).reshape(len(x), -1)

    def _reconstructed(self, x):
        """Reconstruct validated x, in the units of the data: float32 [N, D]."""
        return np.asarray(self.model_.reconstruct(x), np.float32)

    def __getstate__(self):
        state = dict(super().__getstate__())
        return {**state, "model_": pickled.to_bytes(state["model_"])} if "model_" in state else state

    def __setstate__(self, state):
        if "model_" in state:
            state = {**state, "model_": pickled.from_bytes(state["model_"])}
        super().__setstate__(state)


def shuffled(x, weight, batch_size, seed):
    """Give endless batches of x [N, D], with the weights [N] of its examples, in the order of a seed.

    The rest of an epoch that does not fill a batch is left out; it is another rest in every epoch.
    """
    if weight is None:
        return batches(Split.of(x), batch_size, seed=seed, labels=False)
    beside = batches(Split.of(x, weight[:, None]), batch_size, seed=seed)
    return beside.map(lambda x, weight: ({"x": x, "weight": weight[:, 0]},))


def weights(sample_weight, count):
    """Check weights of examples: float32 [N], none negative and not all 0; a number stands for all."""
    found = np.asarray(sample_weight, np.float32)
    found = np.full(count, found) if found.ndim == 0 else found
    if found.shape != (count,):
        raise InputError(f"sample_weight: expected a 1D array of {count} numbers; received shape {found.shape}")
    if not (np.isfinite(found).all() and (found >= 0).all() and found.any()):
        raise InputError("sample_weight: expected finite numbers ≥ 0; received others, or all of them zero")
    return found
