"""Keras's own ways to train and to evaluate, with what the contract adds: checked values, and weights without y."""

import numpy as np

from kerasae.models.contract import input_checks


class CheckedFit:
    """Mix-in of `Trainable` that checks the values of the first batch in `fit`, `evaluate` and their like."""

    def fit(self, x=None, y=None, batch_size=None, *arguments, **options):
        """As in Keras; the values of the first batch are checked."""
        x = self._checked(self._weighted(x, y, options), y, batch_size)
        held = options.get("validation_data")
        if isinstance(held, tuple | list) and len(held) == 3 and held[1] is None:
            options["validation_data"] = (self._weighted(held[0], None, {"sample_weight": held[2]}),)
        return super().fit(x, y, batch_size, *arguments, **options)

    def evaluate(self, x=None, y=None, batch_size=None, *arguments, **options):
        """As in Keras; the values of the first batch are checked."""
        x = self._checked(self._weighted(x, y, options), y, batch_size)
        return super().evaluate(x, y, batch_size, *arguments, **options)

    def train_on_batch(self, x, y=None, *arguments, **options):
        """As in Keras; the values are checked."""
        self.check((x, y))
        return super().train_on_batch(self._weighted(x, y, options), y, *arguments, **options)

    def test_on_batch(self, x, y=None, *arguments, **options):
        """As in Keras; the values are checked."""
        self.check((x, y))
        return super().test_on_batch(self._weighted(x, y, options), y, *arguments, **options)

    def _weighted(self, x, y, options):
        """Put weights of examples without y beside x: Keras drops them."""
        weight = options.pop("sample_weight", None) if y is None else None
        if weight is None:
            return x
        return {**(x if isinstance(x, dict) else {"x": x}), "weight": np.asarray(weight, "float32")}

    def _checked(self, x, y, batch_size):
        first, same = input_checks.first_batch(x, y, batch_size)
        if first is not None:
            self.check(first)
        return same
