"""One training step on Keras's JAX backend, where a step is a function from the state to the next state."""

import keras

from kerasae.errors import InputError


def train(model, state, data):
    """(state, batch) → (logs, next state); a state is the values of the weights, trained or not, the optimiser's
    variables and the metrics, in the order in which Keras's JAX trainer hands them over."""
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
    """(state, batch) → (logs, next state) without the optimiser's part, and without training."""
    trained, others, means = state
    batch = model._batch(data)
    loss, terms, others = losses(model, trained, others, batch, training=False)
    logs, means = track(model, means, loss, terms, batch)
    return logs, (trained, others, means)


def scaled_loss(model, trained, others, slots, batch):
    """What is differentiated, and beside it the loss, the terms and the variables that the forward pass changed."""
    found = losses(model, trained, others, batch, training=True)
    with keras.StatelessScope(zip(model.optimizer.variables, slots, strict=True)):
        return model.optimizer.scale_loss(found[0]), found


def losses(model, trained, others, batch, training):
    """The loss, its terms, and the new values of the variables that are not trained, such as seeds."""
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    with keras.StatelessScope(zip(variables, [*trained, *others], strict=True), collect_losses=True) as scope:
        loss, terms = model.losses_of(batch, training)
        return loss, terms, [scope.get_current_value(variable) for variable in model.non_trainable_variables]


def track(model, means, loss, terms, batch):
    """The logs, and the new values of the metrics' variables."""
    with keras.StatelessScope(zip(model.metrics_variables, means, strict=True)) as scope:
        logs = model._track(loss, terms, batch)
        return logs, [scope.get_current_value(variable) for variable in model.metrics_variables]
