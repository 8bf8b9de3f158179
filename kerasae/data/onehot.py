"""The encoder problem: N patterns of N units, of which one is on."""

import numpy as np

from kerasae.data.checks import whole
from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.info import Source, make_source
from kerasae.data.splits import ArrayStore, Split

EXAMPLES = 1000
"""Fewest examples in the train part, so that an epoch is more than one step."""


def load_onehot(width: str) -> Source:
    """Build the N rows of the identity matrix, uint8 [N, N] of 0 and 1, without labels.

    The task of an N–M–N network, M < N: Ackley, Hinton and Sejnowski, Cognitive Science 9 (1985), section 4. There is
    nothing to generalise to: "test" holds each pattern once, "train" each equally often, about 1,000 in all.

    Raises:
        InputError: N is no whole number from 2 to 4096.
    """
    count = whole("onehot", int(width) if width.isdecimal() else width, 2, 4096)
    patterns = np.eye(count, dtype=np.uint8)
    store = ArrayStore(patterns)
    rows = np.tile(np.arange(count), -(-EXAMPLES // count))
    splits = {"train": Split(store, None, rows), "test": Split(store)}
    return make_source(f"onehot:{count}", splits, 1, fingerprint=fingerprint_data((patterns, rows)))
