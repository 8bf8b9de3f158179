"""An outlier detector: rows that an autoencoder explains badly."""

import numpy as np
from sklearn.base import OutlierMixin

from kerasae.data.checks import number
from kerasae.errors import InputError
from kerasae.sklearn.base import AutoencoderEstimator


class AnomalyDetector(OutlierMixin, AutoencoderEstimator):
    """Score how like the training data rows are, by the score of an autoencoder that was trained on them.

    The score of a plain one is log p(x | encode(x)), which falls with the squared error of the reconstruction
    (Hawkins, He, Williams and Baxter, DaWaK 2002); of a variational one it is the evidence lower bound.

    Args:
        contamination: share in (0, 0.5] of the training rows that are outliers; it sets `offset_`.
        others: as for `AutoencoderTransformer`, with a plain autoencoder and a short code by default.

    Attributes:
        offset_: `score_samples` below which `predict` says −1: the quantile `contamination` of the training rows.

    Raises:
        InputError: a parameter is unknown or out of range, or the loss became infinite.

    Example:
        >>> detector = AnomalyDetector(contamination=0.05, random_state=0).fit(X)
        >>> detector.predict(X)  # −1 for about 5 % of the rows, 1 for the others
    """

    def __init__(
        self,
        variant="plain",
        code=4,
        widths=(64,),
        *,
        contamination=0.1,
        noise=None,
        likelihood="gaussian",
        options=None,
        standardize=True,
        missing=False,
        epochs=100,
        batch_size=32,
        learning_rate=1e-3,
        random_state=None,
    ):
        super().__init__(
            variant,
            code,
            widths,
            noise=noise,
            likelihood=likelihood,
            options=options,
            standardize=standardize,
            missing=missing,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            random_state=random_state,
        )
        self.contamination = contamination

    def fit(self, X, y=None, sample_weight=None):
        """Train on X, [N, D], and set `offset_`; y is ignored; `sample_weight` [N] weighs the rows in the loss."""
        share = number("contamination", self.contamination, 0.0, 0.5)
        if share == 0.0:
            raise InputError("contamination: expected a share in (0, 0.5]; received 0; give one above 0")
        x = self._validated(X, reset=True)
        self._fit_model(x, sample_weight)
        self.offset_ = float(np.percentile(self._scored(x), 100 * share))
        return self

    def score_samples(self, X):
        """Score X: [N, D] → float64 [N], in nats; higher = more like the training data."""
        return self._scored(self._validated(X))

    def decision_function(self, X):
        """Compute `score_samples(X) - offset_`: [N]; negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """Tell whether rows are like the training data: int [N], 1 for an inlier, −1 for an outlier."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _scored(self, x):
        return -np.asarray(self.model_.score(x), np.float64)
