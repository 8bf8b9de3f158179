"""Measure the bits of test examples under a learned prior of indices, beside simpler priors and PNG."""

import kerasae
from kerasae import distributions

DISCRETE = (distributions.Categorical, distributions.LogisticMixture)
"""Likelihoods of discrete values of any number of levels."""


def figures_of_bits(model, source, test):
    """Measure bits per dimension where the likelihood is of discrete values, else of the indices alone."""
    found, info = {}, source.info
    if not model.autoencoder.conditional:
        found |= kerasae.evaluate.codebook_use(model, test)
    levels = levels_of(info)
    if not is_discrete(model.likelihood, levels):
        print(
            f"bits per dimension are left out: {type(model.likelihood).__name__} is no distribution of these stored "
            "values; train with --likelihood logistic_mixture, or bernoulli on binary data"
        )
        return found | kerasae.evaluate.index_bits(model, source.train, test)
    found |= kerasae.evaluate.bits_per_dimension(model, source.train, test)
    if levels in (2, 256) and info.dtype == "uint8" and len(info.shape) == 3 and info.shape[-1] in (1, 3):
        found |= kerasae.evaluate.png_bits(test, levels)
    return found | {"verdict": verdict(found)}


def levels_of(info):
    """Count the values that stored data have, or None for numbers that are not counted."""
    if info.binarized:
        return 2
    return int(info.max_value) + 1 if "int" in info.dtype and not info.standardized else None


def is_discrete(likelihood, levels):
    """Tell whether a likelihood gives each of `levels` stored values a probability."""
    if isinstance(likelihood, distributions.Bernoulli):
        return levels == 2
    own = likelihood.levels if isinstance(likelihood, distributions.LogisticMixture) else likelihood.parameters
    return isinstance(likelihood, DISCRETE) and own == levels


def verdict(found):
    """Say in words which of the codes is shortest."""
    ours = found["bits_per_dimension"]
    rivals = {
        "a prior of each place by itself": found["bits_per_dimension_independent"],
        "PNG": min(found.get(f"png{kind}_bits_per_dimension", float("inf")) for kind in ("", "_sheet")),
    }
    better = [name for name, bits in rivals.items() if bits <= ours]
    return f"no better than {' and '.join(better)}" if better else "shorter than independent places and PNG"
