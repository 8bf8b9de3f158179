"""Use the moving average of the weights that some optimisers keep."""

from contextlib import contextmanager

import keras


def averages(model):
    """Tell whether the model's optimiser keeps a moving average of the weights."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return bool(getattr(optimizer, "use_ema", False))


@contextmanager
def averaged(model):
    """Replace the weights of the model by their moving average inside this context, if there is one."""
    if not averages(model):
        yield
        return
    weights = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, weight in zip(model.trainable_variables, weights, strict=True):
            variable.assign(weight)
