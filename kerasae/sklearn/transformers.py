"""Estimators that transform: to codes and back, and to reconstructions."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from kerasae.errors import InputError
from kerasae.sklearn.base import AutoencoderEstimator


class AutoencoderOfRows(TransformerMixin, AutoencoderEstimator):
    """Train on rows alone, at once or epoch by epoch: the parent of the transformers."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # codes and reconstructions are float32
        return tags

    def fit(self, X, y=None, sample_weight=None):
        """Train on X, [N, D]; y is ignored; `sample_weight` [N] weighs the rows in the loss."""
        return self._fit_model(self._validated(X, reset=True), sample_weight)

    def partial_fit(self, X, y=None, sample_weight=None):
        """Train for one epoch on X, from the present weights; the first call standardises by its X."""
        return self._partial_fit_model(X, sample_weight)


class AutoencoderTransformer(ClassNamePrefixFeaturesOutMixin, AutoencoderOfRows):
    """Transform rows to the codes of an autoencoder that was trained on them: [N, D] → [N, Z].

    `inverse_transform` decodes codes to rows in the units of the data.

    Raises:
        InputError: a parameter is unknown or out of range, or the loss became infinite.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> X, y = load_digits(return_X_y=True)
        >>> AutoencoderTransformer(code=16, random_state=0).fit_transform(X).shape
        (1797, 16)
    """

    def transform(self, X):
        """Encode X: [N, D] → float32 [N, Z], without noise."""
        return self._encoded(self._validated(X))

    def inverse_transform(self, X):
        """Decode codes: [N, Z] → float32 [N, D], in the units of the data."""
        check_is_fitted(self)
        z = check_array(X, dtype=np.float32, input_name="codes")
        if z.shape[1] != self._n_features_out:
            raise InputError(f"codes: expected {self._n_features_out} columns; received {z.shape[1]}; give codes")
        return np.asarray(self.model_.decode(z.reshape(len(z), *self.model_.code_shape)), np.float32)

    @property
    def _n_features_out(self):
        return int(np.prod(self.model_.code_shape))


class Denoiser(OneToOneFeatureMixin, AutoencoderOfRows):
    """Transform rows to their reconstruction by a denoising autoencoder: [N, D] → [N, D], in the units of the data.

    It is trained to restore rows of X from the same rows with noise of `noise` deviations. With `missing=True` the
    reconstruction also has a value where X has NaN.

    Raises:
        InputError: a parameter is unknown or out of range, or the loss became infinite.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> X, _ = load_digits(return_X_y=True)
        >>> Denoiser(noise=0.5, random_state=0).fit(X).transform(X).shape
        (1797, 64)
    """

    def __init__(
        self,
        variant="denoising",
        code=32,
        widths=(128,),
        *,
        noise=0.5,
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

    def transform(self, X):
        """Reconstruct X: [N, D] → float32 [N, D]."""
        return self._reconstructed(self._validated(X))
