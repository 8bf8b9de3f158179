"""Prepare stored values as a `Batch`: scale x, read y as target or condition, refuse what does not fit."""

from keras import ops

from kerasae.errors import InputError
from kerasae.models.contract import input_checks
from kerasae.models.contract.batch import Batch
from kerasae.ops.pixels import to_unit


class Preparation:
    """Prepare a model's input as a `Batch`, once; a mix-in of `Trainable`.

    Attributes: `conditional`, `infers_labels`, `takes_mask`, `takes_target`, `unit_range`, `example_shape`,
    `pixel_max`, `standardization`, `standardizes`, `ids` of `Trainable`.
    """

    conditional = infers_labels = takes_mask = takes_target = unit_range = False
    example_shape = ids = None
    pixel_max = 255.0
    standardization = None
    standardizes = False

    def prepare(self, x, y=None, weight=None):
        """Make a `Batch` of stored values: integers are divided by `pixel_max`, classes become one-hot rows.

        A model with a `standardization` standardises x, and the target, instead.

        Args:
            x: [B, *shape], integers or floats, or {"x": x, "mask": mask} where the model takes masks.
            y: None, the condition, or the target.
            weight: None or [B].

        Raises:
            InputError: for a shape that does not fit, or a y that is neither target nor condition.
        """
        if isinstance(x, dict) and "weight" in x:
            weight, x = x["weight"], {name: value for name, value in x.items() if name != "weight"}
        x, mask = input_checks.x_and_mask(self, x)
        x = ops.convert_to_tensor(x)
        if self.example_shape is not None:
            input_checks.check_shape(self, x)
        x = self._in_own_units(x)
        x, mask = self._masked(x, mask)
        target, y = self._target_or_condition(x, y)
        if self.takes_mask and target is not x:
            target, mask = self._masked(target, None if self.takes_mask == "values" else mask)
        return Batch(x, target, y, mask, None if weight is None else ops.cast(weight, "float32"))

    @property
    def takes_labels(self):
        return self.conditional

    @property
    def needs_condition(self):
        """Whether every example must come with its condition, which the model cannot infer."""
        return self.conditional and not self.infers_labels

    @property
    def mask_shape(self):
        """Shape of one example's mask, without the batch."""
        return self.example_shape if self.takes_mask == "values" else self.example_shape[:1]

    def condition(self, y):
        """Turn classes [B] or numbers [B, K] into the condition that the networks take: float32 [B, K].

        An unknown class, −1, becomes a row of zeros.
        """
        return as_condition(y, self.condition_width)

    def blank_batch(self):
        """Make a `Batch` of one example of zeros, to find the variables that a forward pass writes."""
        x = ops.zeros((1, *(n or 1 for n in self.example_shape)))
        return self.prepare(x, ops.zeros((1, self.condition_width)) if self.conditional else None)

    def check(self, data):
        """Raise InputError if a batch, x or (x, y), has values outside the model's range."""
        input_checks.check_values(self, data, strict=True)

    def restored(self, x):
        """Turn values as a `Batch` holds them into the units of the data; the same values without standardisation."""
        return x if self.standardization is None else self.standardization.restored(x)

    def _in_own_units(self, x):
        """Scale or standardise stored values; ids are neither."""
        if self.ids is not None:
            return ops.cast(x, "float32")
        return to_unit(x, self.pixel_max) if self.standardization is None else self.standardization.standardized(x)

    def _masked(self, x, mask):
        """Replace missing values by 0 and return (x, mask); missing is NaN, the id 0, or 0 in `mask`."""
        if not self.takes_mask:
            return x, None
        seen = ops.cast(ops.logical_not(ops.isnan(x)) if self.ids is None else x > 0, "float32")
        seen = seen if self.takes_mask == "values" or self.ids else ops.min(seen, axis=tuple(range(2, len(x.shape))))
        mask = seen if mask is None else ops.cast(ops.cast(mask, "bool"), "float32") * seen
        return ops.where(along(mask, x) > 0, x, 0.0), mask

    def _target_or_condition(self, x, y):
        name = type(self).__name__
        if self.conditional:
            if y is None and self.infers_labels:
                return x, ops.zeros((ops.shape(x)[0], self.condition_width))
            if y is None:
                raise InputError(f"{name}: the networks take a condition; give (x, y), y classes [B] or numbers [B, K]")
            return x, self.condition(y)
        if y is None:
            return x, None
        if self.takes_target and tuple(y.shape[1:]) == tuple(x.shape[1:]):
            return self._in_own_units(y), None
        use = "y must have the shape of x, as what is to be reconstructed" if self.takes_target else "give x alone"
        raise InputError(f"{name}: has no use for y of shape {tuple(y.shape)}; {use}")


def along(mask, x):
    """Give a mask of the first axes of x as many axes as x has, of size 1: [B, T] → [B, T, 1]."""
    for _ in range(len(x.shape) - len(mask.shape)):
        mask = ops.expand_dims(mask, -1)
    return mask


def as_condition(y, width):
    """Convert a condition to float32 [B, width]: classes [B] or [B, 1] to one-hot rows, numbers as they are."""
    y = ops.convert_to_tensor(y)
    if len(y.shape) == 2 and y.shape[-1] == 1 and width > 1:
        y = ops.squeeze(y, -1)
    if len(y.shape) == 1:
        return ops.one_hot(ops.cast(y, "int32"), width, dtype="float32")
    if tuple(y.shape[1:]) != (width,):
        raise InputError(f"the condition must be classes [B] or numbers [B, {width}]. Received: {tuple(y.shape)}")
    return ops.cast(y, "float32")
