"""The embedded default: scikit-learn's 1,797 real handwritten digits, no download."""

import numpy as np

from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.info import Source, make_source
from kerasae.data.splits import ArrayStore, Split
from kerasae.data.subsets import holdout

TEST_FRACTION = 0.2  # 360 of 1,797
SPLIT_SEED = 0


def load_digits() -> Source:
    """Images uint8 [N, 8, 8, 1] with values 0..16; a fixed stratified split into 1,437 and 360.

    The test part of the UCI "Optical Recognition of Handwritten Digits" data (Alpaydin and Kaynak, 1998).
    """
    from sklearn.datasets import load_digits as load_sklearn_digits

    bunch = load_sklearn_digits()
    images, labels = bunch.images.astype(np.uint8)[..., None], bunch.target.astype(np.int64)
    store = ArrayStore(images)
    train, test = holdout(labels, TEST_FRACTION, SPLIT_SEED)
    splits = {name: Split(store, labels[rows], rows) for name, rows in (("train", train), ("test", test))}
    names = [str(name) for name in bunch.target_names]
    return make_source("digits", splits, 16, names, fingerprint=fingerprint_data((images, labels)))
