"""Training steps that change nothing if a loss, a gradient or a state is not finite."""

from contextlib import contextmanager

import keras
import tensorflow as tf

from kerasae.errors import InputError
from kerasae.layers.draws import replicas
from kerasae.models.contract.step import Proposal, ProposedStep


def guarded(model):
    """Guard the training step of a model: apply it only where the loss, its terms and the gradients are finite.

    A step that is not applied changes nothing: weights, optimiser slots, counts of updates, seeds, running statistics
    and metrics stay as before. A `keras.optimizers.LossScaleOptimizer` finds its loss scale by gradients that overflow:
    then the scale is halved, the weights stay, and seeds and metrics move on.

    Gradients are summed over the replicas before they are tested, so that all replicas decide the same, and before the
    optimiser clips them.

    Args:
        model: a compiled model whose `train_step` is that of `ProposedStep`, on the TensorFlow backend.

    Returns:
        A function, to be called inside `tf.function` and `strategy.run`: batch → dict of
        "finite": bool, whether the step was applied;
        "updated": bool, whether the weights were updated: false too in a finite step whose loss scale was too high;
        "norm": float32, L2 norm of all gradients together before clipping; NaN or ∞ where a gradient is, or where the
        sum of squares is more than float32 holds, 3e38.

    Raises:
        InputError: for a model with another `train_step`.

    Example:
        >>> found = tf.function(guarded(model))(batch)
    """
    if not isinstance(model, ProposedStep) or getattr(type(model).train_step, "__module__", "") not in OWN_STEPS:
        raise InputError(f"{type(model).__name__}: a model with a training step of its own must write it as `propose`")

    model.build_training()  # variables cannot be made in a step that is traced on several replicas

    def step(batch):
        kept = other_state(model)
        before = [tf.convert_to_tensor(variable) for variable in kept]
        proposal = model.propose(batch)
        updates = [update._replace(gradients=sum_over_replicas(update.gradients)) for update in proposal.updates]
        norms = [tf.linalg.global_norm(unscaled(update)) for update in updates]
        sound = [applies(update, norm) for update, norm in zip(updates, norms, strict=True)]
        forgiven = [is_scaled(update.optimizer) | fine for update, fine in zip(updates, sound, strict=True)]
        state = [value for _, value in proposal.state]
        finite = on_all_replicas(all_finite([proposal.logs, state])) & tf.reduce_all(forgiven)
        updated = finite & tf.reduce_all(sound)
        apply_if(finite, proposal._replace(updates=updates), kept, before)
        return {"finite": finite, "updated": updated, "norm": tf.norm(tf.stack(norms))}

    return step


OWN_STEPS = ("kerasae.models.contract.step", "kerasae.models.contract.trainable")


def other_state(model):
    """List what a step changes besides weights and slots: seeds, metrics, running statistics, also of frozen layers."""
    weights = {id(w) for w in model.trainable_variables}
    return [v for v in unique([*model.variables, *model.metrics_variables]) if id(v) not in weights]


def unique(variables):
    """Remove repeated variables from a list: parts of a model may share some."""
    return list({id(v): v for v in variables}.values())


def all_finite(values):
    """Test whether every number of several tensors is finite; a bool tensor."""
    sound = [tf.reduce_all(tf.math.is_finite(tf.cast(value, tf.float32))) for value in tf.nest.flatten(values)]
    return tf.reduce_all(tf.stack(sound))


def is_scaled(optimizer):
    """Tell whether an optimiser adapts the loss scale itself, and leaves out the updates that overflow."""
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def unscaled(update):
    """Divide the gradients of an `Update` by the loss scale of its optimiser."""
    scale = update.optimizer.dynamic_scale if is_scaled(update.optimizer) else update.optimizer.loss_scale_factor
    return update.gradients if scale is None else [None if g is None else g / scale for g in update.gradients]


def applies(update, norm):
    """Tell whether an optimiser would apply the gradients of an `Update` with this unscaled norm; a bool tensor."""
    if is_scaled(update.optimizer):
        return update.optimizer.check_finite(update.gradients)  # this optimiser tests the scaled gradients
    return tf.math.is_finite(norm)


def put_back(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return tf.constant(0)


# ---- devices and replicas


def sum_over_replicas(gradients):
    """Sum each gradient over all replicas; None stays None."""
    if replicas() == 1:
        return list(gradients)
    present = [g for g in gradients if g is not None]
    context = tf.distribute.get_replica_context()
    sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if g is None else next(sums) for g in gradients]


def on_all_replicas(condition):
    """Test whether a condition holds on all replicas."""
    if replicas() == 1:
        return condition
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(condition, tf.int32)) == replicas()


def apply_if(finite, proposal, others, before):
    """Apply a proposed update where the step is finite, else restore the other variables.

    TensorFlow lets a branch update variables of several replicas only if it opens the branch across replicas, as in
    Keras's LossScaleOptimizer. `finite` must be the same on all replicas.
    """
    optimizers = [update.optimizer for update in proposal.updates]

    def take(gradients, state):
        updates = [u._replace(gradients=g) for u, g in zip(proposal.updates, gradients, strict=True)]
        pairs = [(variable, value) for (variable, _), value in zip(proposal.state, state, strict=True)]
        Proposal({}, updates, pairs).apply()

    def across(strategy, finite, gradients, state, values):
        def branch(function, *args):
            strategy.extended.call_for_each_replica(function, args=args)
            return tf.constant(0)

        first = strategy.experimental_local_results(finite)[0]
        with without_gradient_sum(optimizers):
            return tf.cond(first, lambda: branch(take, gradients, state), lambda: branch(put_back, others, values))

    gradients = [update.gradients for update in proposal.updates]
    state = [value for _, value in proposal.state]
    tf.distribute.get_replica_context().merge_call(across, args=(finite, gradients, state, before))


@contextmanager
def without_gradient_sum(optimizers):
    """Stop the optimisers from summing gradients over replicas, as these are sums already."""
    inner = [getattr(optimizer, "inner_optimizer", optimizer) for optimizer in optimizers]
    for optimizer in inner:
        vars(optimizer)["_all_reduce_sum_gradients"] = lambda pairs: pairs
    try:
        yield
    finally:
        for optimizer in inner:
            del vars(optimizer)["_all_reduce_sum_gradients"]
