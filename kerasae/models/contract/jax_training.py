"""The training step on Keras's JAX backend: a pure function from the state to the next state."""

import keras

from kerasae.errors import InputError


def train(model, state, data):
    """Compute one training step: (state, batch) → (logs, next state).

    The state holds trainable weights, other variables, optimiser variables and metric variables, in the order of
    Keras's JAX trainer.
    """
    import jax

    trained, others, slots, means = state
    (player,) = model.players().values()
    if len(player.trainable_weights) != len(model.trainable_variables):
        raise InputError(f"{type(model).__name__} trains a part of its weights, which is written for TensorFlow only")
    batch = model._batch(data)
    (_, (loss, terms, others)), gradients = jax.value_and_grad(scaled_loss, argnums=1, has_aux=True)(
        model, trained, others, slots, batch
    )
    trained, slots = model.optimizer.stateless_apply(slots, gradients, trained)
    logs, means = track(model, means, loss, terms, batch)
    return logs, (trained, others, slots, means)


def test(model, state, data):
    """Evaluate one batch: (state, batch) → (logs, next state), where the state has no optimiser variables."""
    trained, others, means = state
    batch = model._batch(data)
    loss, terms, others = losses(model, trained, others, batch, training=False)
    logs, means = track(model, means, loss, terms, batch)
    return logs, (trained, others, means)


def scaled_loss(model, trained, others, slots, batch):
    """Compute the scaled loss, which is differentiated, and the results of `losses`."""
    found = losses(model, trained, others, batch, training=True)
    with keras.StatelessScope(zip(model.optimizer.variables, slots, strict=True)):
        return model.optimizer.scale_loss(found[0]), found


def losses(model, trained, others, batch, training):
    """Compute the loss, its terms, and the new values of untrained variables such as seeds."""
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    with keras.StatelessScope(zip(variables, [*trained, *others], strict=True), collect_losses=True) as scope:
        loss, terms = model.losses_of(batch, training)
        return loss, terms, [scope.get_current_value(variable) for variable in model.non_trainable_variables]


def track(model, means, loss, terms, batch):
    """Update the metrics: return the logs and the new values of the metric variables."""
    with keras.StatelessScope(zip(model.metrics_variables, means, strict=True)) as scope:
        logs = model._track(loss, terms, batch)
        return logs, [scope.get_current_value(variable) for variable in model.metrics_variables]
