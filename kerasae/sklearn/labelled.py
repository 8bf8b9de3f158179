"""A classifier and a regressor of codes: pretrained on all rows, fitted to those that have a label."""

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin, clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from kerasae.errors import InputError
from kerasae.sklearn.base import AutoencoderEstimator, weights


def head_has(name):
    """Tell whether the head, fitted or not, has a method; for `available_if`."""
    return lambda estimator: hasattr(getattr(estimator, "head_", estimator.usual_head()), name)


class HeadOnCodes(AutoencoderEstimator):
    """Fit a scikit-learn estimator to the codes of an autoencoder: the parent of classifier and regressor.

    The autoencoder is trained on all rows, with a label or without, and its weights then stay. The head sees codes that
    are standardised over all rows.

    Args:
        head: scikit-learn estimator of codes.
        others: as for `AutoencoderTransformer`.

    Attributes:
        head_: the fitted head.
        scaler_: `StandardScaler` of the codes.
    """

    def __init__(
        self,
        variant="denoising",
        code=32,
        widths=(128,),
        *,
        head=None,
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
        self.head = head

    def predict(self, X):
        """Predict the label of each row: [N, D] → [N]."""
        features = self._features(X)
        return self.head_.predict(features)

    def _features(self, X):
        """Compute the standardised codes of X: [N, D] → [N, Z]."""
        x = self._validated(X)
        return self.scaler_.transform(self._encoded(x))

    def _checked(self, X, y):
        """Check X and the length of y: float32 [N, D] and [N]."""
        if y is None:
            raise InputError(f"{type(self).__name__} requires y to be passed, but the target y is None; give labels")
        x, y = self._validated(X, reset=True), column_or_1d(y, warn=True)
        check_consistent_length(x, y)
        return x, y

    def _fit_to(self, x, y, known, sample_weight):
        """Train the autoencoder on all rows, and the head on those with a known label."""
        weight = None if sample_weight is None else weights(sample_weight, len(x))
        self._fit_model(x, weight)
        codes = self._encoded(x)
        self.scaler_ = StandardScaler().fit(codes)
        given = {} if weight is None else {"sample_weight": weight[known]}
        self.head_ = self.usual_head().fit(self.scaler_.transform(codes[known]), y[known], **given)
        return self


class AutoencoderClassifier(ClassifierMixin, HeadOnCodes):
    """Classify rows by the codes of an autoencoder that was trained on labelled and unlabelled rows.

    Args:
        head: scikit-learn classifier of codes; None for `LogisticRegression(max_iter=1000)`.
        others: as for `AutoencoderTransformer`.

    Rows whose label is −1, None or NaN are unlabelled, as in `sklearn.semi_supervised`. Labels may be strings. As −1 is
    never a class, scikit-learn's `check_classifiers_classes`, whose classes are −1 and 1, does not pass.

    Attributes:
        classes_: the classes [K].

    Raises:
        InputError: fewer than two classes among the known labels; a parameter is unknown or out of range.

    Example:
        >>> partly = np.where(np.arange(len(y)) < 100, y, -1)  # the first 100 rows have labels
        >>> AutoencoderClassifier(random_state=0).fit(X, partly).predict(X)
    """

    def fit(self, X, y, sample_weight=None):
        """Train on X, [N, D], and on the labels y [N] that are known."""
        x, y = self._checked(X, y)
        known = has_class(y)
        labels = plain(y[known])
        check_classification_targets(labels)
        if len(np.unique(labels)) < 2:
            raise InputError(
                f"y: expected at least 2 classes; received 1 class or none: {labels[:1].tolist()}; −1, None and NaN "
                "mean unlabelled, so name a class that is −1 otherwise"
            )
        full = np.empty(len(y), labels.dtype)
        full[known] = labels
        self._fit_to(x, full, known, sample_weight)
        self.classes_ = self.head_.classes_
        return self

    def usual_head(self):
        """Return an unfitted copy of the head."""
        return LogisticRegression(max_iter=1000) if self.head is None else clone(self.head)

    @available_if(head_has("predict_proba"))
    def predict_proba(self, X):
        """Predict the probability of each class: [N, D] → [N, K], in the order of `classes_`."""
        features = self._features(X)
        return self.head_.predict_proba(features)

    @available_if(head_has("decision_function"))
    def decision_function(self, X):
        """Compute what the head decides by: [N, D] → [N], or [N, K] of several classes."""
        features = self._features(X)
        return self.head_.decision_function(features)


class AutoencoderRegressor(RegressorMixin, HeadOnCodes):
    """Predict a number for each row by the codes of an autoencoder that was trained on rows with and without one.

    Args:
        head: scikit-learn regressor of codes; None for `Ridge()`.
        others: as for `AutoencoderTransformer`.

    Rows whose y is NaN have none.

    Raises:
        InputError: no y is known; a parameter is unknown or out of range.

    Example:
        >>> AutoencoderRegressor(random_state=0).fit(X, y).score(X, y)  # R²
    """

    def fit(self, X, y, sample_weight=None):
        """Train on X, [N, D], and on the numbers y [N] that are not NaN."""
        x, y = self._checked(X, y)
        y = np.asarray(y, np.float64)
        assert_all_finite(y, allow_nan=True, input_name="y")
        known = ~np.isnan(y)
        if not known.any():
            raise InputError("y: expected some numbers; received NaN only, which means unlabelled; give labels")
        return self._fit_to(x, y, known, sample_weight)

    def usual_head(self):
        """Return an unfitted copy of the head."""
        return Ridge() if self.head is None else clone(self.head)


def has_class(y):
    """Mark known labels: bool [N], False for −1, None and NaN."""
    if y.dtype.kind != "O":
        return ~(np.isnan(y) | (y == -1)) if y.dtype.kind in "if" else np.ones(len(y), bool)
    return np.array([not (v is None or v != v or (isinstance(v, int | float) and v == -1)) for v in y], bool)


def plain(labels):
    """Turn an object array of labels of one type into an array of that type."""
    return np.array(labels.tolist()) if labels.dtype.kind == "O" and len(set(map(type, labels))) == 1 else labels
