"""Draw all random numbers of a training from one seed, and leave the seeds of the caller alone."""

import random
from contextlib import contextmanager

from sklearn.utils import check_random_state

from kerasae.data.checks import SEED_LIMIT


@contextmanager
def seeded(random_state, turn=0):
    """Seed first weights and noise within this context; gives the seed for the order of examples.

    Keras draws the seeds of initializers and of noise from Python's `random`, whose state is restored afterwards.

    Args:
        random_state: None, an integer or a `numpy.random.RandomState`, as in scikit-learn.
        turn: number that makes draws of a later training differ from those of an earlier one with the same seed.
    """
    drawn, before = int(check_random_state(random_state).randint(SEED_LIMIT)), random.getstate()
    seed = (drawn + turn) % SEED_LIMIT
    random.seed(seed)
    try:
        yield seed
    finally:
        random.setstate(before)
