"""Checks of the shapes that the network builders take."""

import math

from kerasae.errors import InputError


def check_shape(network, shape, ranks):
    """Convert `shape` to a tuple of positive ints with one of the `ranks`; raise InputError that names the network."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if len(shape) not in ranks or any(not isinstance(n, int) or n < 1 for n in shape):
        forms = {1: "(D,)", 2: "(T, D)", 3: "(H, W, C)", 4: "(D1, D2, D3, C)"}
        expected = " or ".join(forms[r] for r in ranks)
        raise InputError(f"{network}: shape must be {expected} with positive sizes. Received: shape={shape}")
    return shape


def check_positive(network, **sizes):
    """Raise InputError unless each keyword, a number or a sequence, holds positive whole numbers."""
    for name, value in sizes.items():
        for n in value if isinstance(value, (tuple, list)) else (value,):
            if not isinstance(n, int) or n < 1:
                raise InputError(f"{network}: {name} must be positive whole numbers. Received: {name}={value}")


def size(shape):
    """Count the values in an example of `shape`."""
    return math.prod(shape)
