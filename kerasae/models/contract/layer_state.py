"""Layers that keep statistics of batches, such as batch norm: one state, whatever the number of devices."""

import keras

from kerasae.errors import InputError
from kerasae.layers import draws


def synchronise(model):
    """Make layers that write state see the whole batch, or refuse them, where a batch is shared out.

    On several replicas a batch norm is synchronised. A layer that otherwise writes state in its forward pass would
    have another state on every replica, and with micro-batches that of the last part.

    Raises:
        InputError: for such a layer on several replicas, and for any with micro-batches.
    """
    replicas = draws.replicas()
    if replicas == 1 and model.micro_batches == 1:
        return
    norms = [layer for layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms if replicas > 1 else ():
        norm.synchronized = True
    agreed = {id(w) for norm in norms for w in norm.weights} if model.micro_batches == 1 else set()
    for path in (v.path for v in written(model) if id(v) not in agreed):
        raise InputError(
            f"{type(model).__name__}: {path} is a statistic of each part of a batch, which cannot be shared out to "
            "devices or micro-batches; use layer normalisation, or one device and whole batches"
        )


def written(model):
    """The variables, seeds aside, that a forward pass in training writes."""
    with keras.StatelessScope() as scope:
        model.forward_once()
    changed = (v for v in model.non_trainable_variables if scope.get_current_value(v) is not None)
    return [v for v in changed if "seed_generator" not in v.path]


def layers_of(model):
    """Every layer of a model, those inside other layers included."""
    return [layer for layer in model._flatten_layers() if layer is not model]
