"""Memory of a network's weights, computed before they are created."""

import math

import keras
import numpy as np


def checked(build, check):
    """Build a model or a pair of networks, after `check(bytes of their weights)` has passed.

    If `check` raises, no weights are created. Otherwise their random numbers are the same as without the check.

    Example:
        >>> networks = checked(lambda: dense((784,), code=32), refuse_more_than_the_memory)
    """
    with keras.StatelessScope() as scope:
        try:
            built = build()
            check(sum(map(nbytes, built if isinstance(built, tuple) else (built,))))
        except BaseException:
            scope.initialize_variables = False
            keras.utils.clear_session(free_memory=False)  # or the next scope would create the refused weights
            raise
    return built


def nbytes(network):
    """Count the bytes of all variables of a network."""
    return sum(math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in network.variables)
