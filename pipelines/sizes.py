"""Which networks this machine's memory can train."""

from kerasae.data.checks import fits_in_memory

PER_WEIGHT = 4
"""Numbers that a weight takes in training: itself, its gradient and the two moments of Adam."""


def trainable(size):
    """Raise InputError for weights of `size` bytes whose training this machine's memory cannot hold."""
    fits_in_memory(PER_WEIGHT * size, "training this network", "choose a smaller one")
