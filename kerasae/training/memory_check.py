"""Refuse networks whose training does not fit into this machine's memory."""

from kerasae.data.checks import fits_in_memory
from kerasae.networks.sizes import checked

PER_WEIGHT = 4
"""Numbers held per weight in training: the weight, its gradient and the two moments of Adam."""


def trainable(build):
    """Build the model, or the pair of networks, unless its training would not fit into this machine's memory.

    Raises:
        InputError: the memory is too small; no weight was made.

    Example:
        >>> model = trainable(lambda: build(recipe, info))
    """
    return checked(build, fits)


def fits(size):
    """Raise InputError if training weights of `size` bytes would not fit into this machine's memory."""
    fits_in_memory(PER_WEIGHT * size, "training this network", "choose a smaller one")
