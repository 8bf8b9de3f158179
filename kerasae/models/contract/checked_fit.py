"""Keras's methods to train and evaluate, with checked values, and with example weights where there is no y."""

import numpy as np

from kerasae.models.contract import input_checks


class CheckedFit:
    """Check input values in `fit`, `evaluate` and the methods of one batch; a mix-in of `Trainable`."""

    def fit(self, x=None, y=None, batch_size=None, *arguments, **options):
        """Train as in Keras, after checking the values of the first batch."""
        x = self._checked(self._weighted(x, y, options), y, batch_size)
        held = options.get("validation_data")
        if isinstance(held, tuple | list) and len(held) == 3 and held[1] is None:
            options["validation_data"] = (self._weighted(held[0], None, {"sample_weight": held[2]}),)
        return super().fit(x, y, batch_size, *arguments, **options)

    def evaluate(self, x=None, y=None, batch_size=None, *arguments, **options):
        """Evaluate as in Keras, after checking the values of the first batch."""
        x = self._checked(self._weighted(x, y, options), y, batch_size)
        return super().evaluate(x, y, batch_size, *arguments, **options)

    def train_on_batch(self, x, y=None, *arguments, **options):
        """Train on one batch as in Keras, after checking its values."""
        self.check((x, y))
        return super().train_on_batch(self._weighted(x, y, options), y, *arguments, **options)

    def test_on_batch(self, x, y=None, *arguments, **options):
        """Evaluate one batch as in Keras, after checking its values."""
        self.check((x, y))
        return super().test_on_batch(self._weighted(x, y, options), y, *arguments, **options)

    def _weighted(self, x, y, options):
        """Pass example weights beside x where there is no y: Keras would drop them."""
        weight = options.pop("sample_weight", None) if y is None else None
        if weight is None:
            return x
        return {**(x if isinstance(x, dict) else {"x": x}), "weight": np.asarray(weight, "float32")}

    def _checked(self, x, y, batch_size):
        first, same = input_checks.first_batch(x, y, batch_size)
        if first is not None:
            self.check(first)
        return same
