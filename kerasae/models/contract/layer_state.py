"""Layers with batch statistics, such as batch norm: the same state on any number of devices."""

import keras

from kerasae.errors import InputError
from kerasae.layers import draws


def synchronise(model):
    """Synchronise batch norms over replicas, and refuse layers whose state would depend on the split of a batch.

    Another layer that writes state in its forward pass would differ between replicas. With micro-batches, the state
    would come from the last part alone, also for batch norm.

    Raises:
        InputError: for such a layer.
    """
    replicas = draws.replicas()
    if replicas == 1 and model.micro_batches == 1:
        return
    norms = [layer for layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms if replicas > 1 else ():
        norm.synchronized = True
    agreed = {id(w) for norm in norms for w in norm.weights} if model.micro_batches == 1 else set()
    for path in (v.path for v in written_variables(model) if id(v) not in agreed):
        raise InputError(
            f"{type(model).__name__}: {path} is a statistic of each part of a batch, which cannot be shared out to "
            "devices or micro-batches; use layer normalisation, or one device and whole batches"
        )


def written_variables(model):
    """Find the variables, other than seeds, that a forward pass in training writes."""
    with keras.StatelessScope() as scope:
        model.forward_once()
    changed = (v for v in model.non_trainable_variables if scope.get_current_value(v) is not None)
    return [v for v in changed if "seed_generator" not in v.path]


def layers_of(model):
    """List every layer of a model, also those inside other layers."""
    return [layer for layer in model._flatten_layers() if layer is not model]
