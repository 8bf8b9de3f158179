"""Which networks this machine's memory can train."""

from kerasae.data.checks import fits_in_memory
from kerasae.networks.sizes import checked

PER_WEIGHT = 4
"""Numbers that a weight takes in training: itself, its gradient and the two moments of Adam."""


def trainable(build):
    """The model, or the pair of networks, that `build` makes, unless this machine's memory cannot hold its training.

    Raises:
        InputError: it cannot; no weight was made.

    Example:
        >>> model = trainable(lambda: build(recipe, info))
    """
    return checked(build, fits)


def fits(size):
    """Raise InputError for weights of `size` bytes whose training this machine's memory cannot hold."""
    fits_in_memory(PER_WEIGHT * size, "training this network", "choose a smaller one")
