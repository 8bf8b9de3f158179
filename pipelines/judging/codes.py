"""Measure what the codes of a run hold, how they lie, and whether they are the prior's."""

import numpy as np

import kerasae
from kerasae.layers.draws import Draws
from pipelines.building.variants import scale_of

TESTED = 500
"""Most codes, and draws of the prior, in the two-sample test, which takes their square in memory."""

FEWEST = 10
"""Test examples below which neither codes nor samples are compared with anything."""

CLUSTERED = 5000
"""Most examples that are clustered."""

UNLABELLED = 10_000
"""Most training examples to which the principal components are fitted."""


def some(split, count, seed):
    """Draw at most `count` examples at random, in stored order."""
    if count >= len(split):
        return split
    return split.subset(np.sort(np.random.default_rng(seed).permutation(len(split))[:count]))


def figures_of_codes(model, source, test, seed):
    """Measure all that applies to the model and the data; name → figure."""
    found = {}
    if model.has_posterior and not model.conditional:
        found |= information(model, test, seed)
    if len(test) < FEWEST:
        return found
    if model.code_prior() is not None:
        found |= against_prior(model, test, seed)
    if source.info.label_kind == "class" and source.info.classes > 1 and test.labels is not None:
        found |= clusters(model, source, test.labelled(), seed)
    if source.info.spec == "shapes" and np.prod(model.code_shape) > 1:
        found |= disentanglement(model, source, seed)
    return found


def codes_of(model, split):
    """Encode a split: [N, Z]; a conditional model is given the labels."""
    parts = list(kerasae.evaluate.embedded(model, split))
    return np.concatenate(parts).reshape(len(split), -1)


def information(model, test, seed):
    """Split the bound into rate and distortion, and the rate into information and the rest."""
    found = kerasae.evaluate.code_information(model, test, seed=seed)
    if found.mutual_information > found.most_information - 1:
        print(
            f"the information in the code is at its ceiling, log N = {found.most_information:.3g} nats: it "
            "may be more, and the divergence of all codes from the prior less"
        )
    names = ("rate", "distortion", "active_units", "mutual_information", "aggregate_divergence")
    return {name: getattr(found, name) for name in names}


def against_prior(model, test, seed):
    """Test whether the codes of held-out examples, drawn where they have a posterior, come from the prior."""
    split = some(test, TESTED, seed)
    if model.has_posterior and not model.conditional:
        codes = kerasae.evaluate.posterior_draws(model, split, seed)
    else:
        codes = codes_of(model, split)
    draws = np.asarray(model.code_prior().draw((TESTED, *model.code_shape), Draws(seed + 1)))
    test = kerasae.evaluate.two_sample_test(codes, draws.reshape(TESTED, -1), seed=seed)
    return {"prior_mmd2": test.mmd2, "prior_p_value": test.p_value}


def clusters(model, source, test, seed):
    """Compare clusters of codes, of raw values and of principal components with the classes."""
    split = some(test, CLUSTERED, seed)
    codes, scale = codes_of(model, split), scale_of(source.info)
    raw = kerasae.evaluate.raw_input(split, scale)
    unlabelled = kerasae.evaluate.raw_input(some(source.train, UNLABELLED, seed), scale)
    (pca,) = kerasae.evaluate.principal_components(unlabelled, raw, count=codes.shape[1], seed=seed)
    found = {}
    for name, x in (("code", codes), ("raw", raw), ("pca", pca)):
        agreement = kerasae.evaluate.cluster_agreement(x, split.labels, seed=seed)
        found |= {f"{name}_nmi": agreement.nmi, f"{name}_ari": agreement.ari}
    return found


def disentanglement(model, source, seed):
    """Score the codes of all examples against their known factors."""
    ((whole, _),) = source.stored()
    codes = codes_of(model, whole)
    dci = kerasae.evaluate.disentanglement_completeness_informativeness(codes, whole.labels, seed)
    return {
        "mig": kerasae.evaluate.mutual_information_gap(codes, whole.labels),
        "dci_disentanglement": dci.disentanglement,
        "dci_completeness": dci.completeness,
        "dci_informativeness": dci.informativeness,
        "factor_vae_score": kerasae.evaluate.factor_vae_score(codes, whole.labels, seed=seed),
    }
