"""Patches without their leading principal components, as a target to predict."""

import keras
import numpy as np
from keras import layers, ops

from kerasae.errors import InputError


@keras.saving.register_keras_serializable("kerasae")
class LowVariance(layers.Layer):
    """Project patches on their components of low variance: (x − μ)(I − UᵀU), [B, N, P] → [B, N, P].

    The rows of U are the fewest leading principal components that together explain at least the share `variance` of
    the data passed to `adapt`, and μ is the mean of these data. Components are of patches, or of whole images. The
    projection is in pixels, not in component coordinates, so that the decoder's output shape does not change.

    Why predict it: classifiers do better on the components that explain the last quarter of an image's variance than on
    those that explain the first three, and a mean squared error attends to the first: Balestriero and LeCun, arXiv
    2402.11337, which motivates this layer and does not define it. It does not hide components as PMAE does (Bizeul et
    al., arXiv 2502.06314).

    Args:
        variance: share of the variance that is removed, in (0, 1).
        whole: False for components of patches, P values, True for components of all patches of an image together, N·P.

    μ and the projection are weights that are not trained, saved with whatever holds the layer. Before `adapt` they are
    0 and the identity: the layer then changes nothing.

    Raises:
        InputError: if the share is not in (0, 1); by `adapt`, if there are too few patches or nothing is left.

    Example:
        >>> target = LowVariance(0.75)
        >>> target.adapt(patchify(images, 4))  # [n, N, P]
        >>> target(patchify(images[:8], 4)).shape  # [8, N, P]
    """

    def __init__(self, variance=0.75, whole=False, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 < variance < 1.0:
            raise InputError(f"LowVariance: variance must lie between 0 and 1. Received: variance={variance}")
        self.variance, self.whole = float(variance), bool(whole)

    def build(self, input_shape):
        _, count, values = input_shape
        self.width = count * values if self.whole else values
        self.center = self._constant("center", (self.width,), "zeros")
        self.projection = self._constant("projection", (self.width, self.width), "identity")

    def call(self, x):
        return self.project(x)

    def project(self, x):
        """Project patches as `call` does, in the type of x."""
        rows = ops.reshape(x, (-1, self.width)) - ops.cast(self.center, x.dtype)
        return ops.reshape(ops.matmul(rows, ops.cast(self.projection, x.dtype)), (-1, *x.shape[1:]))

    def shift(self, x):
        """Add the mean μ back to predictions: [B, N, P]."""
        return ops.reshape(ops.reshape(x, (-1, self.width)) + ops.cast(self.center, x.dtype), (-1, *x.shape[1:]))

    def adapt(self, patches):
        """Fit the mean and the projection to patches.

        Args:
            patches: an array [n, N, P], or an iterator over such arrays; memory holds one at a time.
        """
        batches = [patches] if hasattr(patches, "shape") else patches
        center, covariance = self._moments(batches)
        variances, components = np.linalg.eigh(covariance)
        leading = components[:, ::-1][:, : self._removed(variances[::-1].clip(min=0))]
        self.center.assign(center)
        self.projection.assign(np.eye(self.width) - leading @ leading.T)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "variance": self.variance, "whole": self.whole}

    def _moments(self, batches):
        """Compute mean and covariance of the rows, summed in double precision around the first row."""
        count, start, total, square = 0, None, 0.0, 0.0
        for batch in batches:
            if not self.built:
                self.build((None, *batch.shape[1:]))
            rows = np.asarray(batch, "float64").reshape(-1, self.width)
            start = rows[0] if start is None else start
            rows = rows - start
            count, total, square = count + len(rows), total + rows.sum(axis=0), square + rows.T @ rows
        if not count or count <= self.width:
            what = "images" if self.whole else "patches"
            raise InputError(f"LowVariance: adapt needs more {what} than values in one. Received: {count} {what}")
        mean = total / count
        return start + mean, (square - count * np.outer(mean, mean)) / (count - 1)

    def _removed(self, variances):
        """Count the leading components that explain the share `variance`."""
        if not variances[0] > 0:
            raise InputError("LowVariance: all patches are equal; there are no components to find")
        shares = np.cumsum(variances) / np.sum(variances)
        removed = int(np.searchsorted(shares, self.variance)) + 1
        if removed >= len(variances):
            raise InputError(
                f"LowVariance: variance={self.variance} takes all {len(variances)} components and leaves nothing to "
                "predict; lower it"
            )
        return removed

    def _constant(self, name, shape, initializer):
        return self.add_weight(shape=shape, initializer=initializer, trainable=False, name=name)
