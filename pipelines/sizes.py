"""The memory that a model will take, known before any of its weights is made."""

import math

import keras
import numpy as np

from kerasae.data.checks import fits_in_memory

PER_WEIGHT = 4
"""Numbers that a weight takes in training: itself, its gradient and the two moments of Adam."""


def checked(build, check):
    """The model, or the pair of networks, that `build` makes, if `check(bytes of their weights)` raises nothing.

    Keras makes no weights until the check has passed; they then come from the same random numbers as always.

    Example:
        >>> model = checked(lambda: build(recipe, info), trainable)
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


def trainable(size):
    """Raise InputError for weights of `size` bytes whose training this machine's memory cannot hold."""
    fits_in_memory(PER_WEIGHT * size, "training this network", "choose a smaller one")


def nbytes(network):
    """Bytes of all variables of a network."""
    return sum(math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in network.variables)
