"""Warn of a code that has collapsed to the prior, and say what to try."""

import kerasae
from pipelines.building.variants import own_arguments


def warned(model, test):
    """Print a warning where the code of a variational model has collapsed; return it as a figure, or {}."""
    if not model.has_posterior or model.conditional:
        return {}
    words = kerasae.evaluate.collapse(*kerasae.evaluate.code_use(model, test))
    if not words:
        return {}
    verdict = f"{words}; try {', or '.join(ways(model))}"
    print(f"warning: {verdict}")
    return {"collapse_verdict": verdict}


def ways(model):
    """List what may keep the code of this model from collapsing, as flags of `kerasae train`."""
    own = own_arguments(type(model))
    known = {
        "a lower --options.beta": "beta" in own,
        "--anneal.beta 0, which lets the divergence in slowly": "beta" in model.knobs(),
        "--options.free_bits 0.1, nats that each unit has free": "free_bits" in own,
        "more epochs, or another --learning-rate": True,
    }
    return [way for way, holds in known.items() if holds]
