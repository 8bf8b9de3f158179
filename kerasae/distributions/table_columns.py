"""The likelihood of a row of a table: numbers beside categories."""

import keras
import numpy as np
from keras import ops

from kerasae.distributions.divergences import LOG_2PI
from kerasae.distributions.likelihoods import Likelihood
from kerasae.errors import InputError

MOST = 10**7
"""Most places of an example: a file may claim any number."""


@keras.saving.register_keras_serializable("kerasae")
class TableColumns(Likelihood):
    """Model numbers by unit Gaussians and categories by softmaxes: p(x | z) = Π N(x_i; m_i, 1) Π p_c.

    −log p = Σ over numbers (x − m)² / 2 + ½ log 2π, plus Σ over categories −log softmax(parameters)[c].

    An example [D] holds the numbers first, then for each categorical column a place for every category: 1 for the one
    that it has and 0 for the others, less `shift`, the frequencies that a standardisation has subtracted. A categorical
    column whose places are masked counts for nothing.

    Args:
        numbers: how many numbers, ≥ 0.
        categories: how many categories each further column has, each ≥ 1.
        shift: what was subtracted from the places of the categories, in that order; None for 0.

    Shapes: parameters [B, D] → mean [B, D], numbers and probabilities less `shift`; log p per value [B, D], nats.

    Raises:
        InputError: for sizes that are no sizes of columns, or a shift of another length.

    Example:
        >>> TableColumns(1, [2]).log_prob(np.zeros((1, 3)), np.array([[0.0, 1.0, 0.0]]))  # −½ log 2π − log 2 nats
    """

    any_value, of_logits = True, False

    def __init__(self, numbers, categories=(), shift=None):
        self.numbers, self.categories = int(numbers), tuple(int(count) for count in categories)
        places = sum(self.categories)
        fits = self.numbers >= 0 and min(self.categories, default=1) >= 1 and self.numbers + places <= MOST
        if not fits or not self.numbers + places:
            raise InputError(
                f"TableColumns: expected a number of numbers and sizes of categories. Received: {numbers}, {categories}"
            )
        self.shift = tuple(float(value) for value in ([0.0] * places if shift is None else shift))
        if len(self.shift) != places:
            raise InputError(f"TableColumns: expected a shift of {places} values. Received: {len(self.shift)}")

    def get_config(self):
        return {"numbers": self.numbers, "categories": list(self.categories), "shift": list(self.shift)}

    def mean(self, parameters):
        shares = [ops.softmax(part) for part in self._parts(parameters)]
        shift = ops.cast(ops.convert_to_tensor(np.float32(self.shift)), parameters.dtype)
        categories = [ops.concatenate(shares, axis=-1) - shift] if shares else []
        return ops.concatenate([parameters[..., : self.numbers], *categories], axis=-1)

    def value_log_prob(self, parameters, x):
        parameters = ops.cast(parameters, "float32")
        numbers = -0.5 * ops.square(parameters[..., : self.numbers] - x[..., : self.numbers]) - 0.5 * LOG_2PI
        logs = [ops.log_softmax(part) for part in self._parts(parameters)]
        chosen = x[..., self.numbers :] + ops.convert_to_tensor(np.float32(self.shift))
        categories = [chosen * ops.concatenate(logs, axis=-1)] if logs else []
        return ops.concatenate([numbers, *categories], axis=-1)

    def _parts(self, parameters):
        """The logits of each categorical column."""
        ends = np.cumsum([self.numbers, *self.categories]).tolist()
        return [parameters[..., start:end] for start, end in zip(ends, ends[1:], strict=False)]
