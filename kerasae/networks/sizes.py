"""The memory that networks will take, known before any of their weights is made."""

import math

import keras
import numpy as np


def checked(build, check):
    """The model, or the pair of networks, that `build` makes, if `check(bytes of their weights)` raises nothing.

    Keras makes no weights until the check has passed; they then come from the same random numbers as always.

    Example:
        >>> networks = checked(lambda: dense((784,), code=32), refuse_more_than_the_memory)
    """
    with keras.StatelessScope() as scope:
        try:
            built = build()
            check(sum(map(nbytes, built if isinstance(built, tuple) else (built,))))
        except BaseException:
            scope.initialize_variables = False
            keras.utils.clear_session(free_memory=False)  # or the next scope would make the weights that are refused
            raise
    return built


def nbytes(network):
    """Bytes of all variables of a network."""
    return sum(math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in network.variables)
