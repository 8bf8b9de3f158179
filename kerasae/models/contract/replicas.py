"""Reductions over the whole batch, of which every replica holds a part.

Each is differentiable. The gradients of `loss / replicas`, summed over replicas, are those of the whole batch on one
device.
"""

from keras import ops

from kerasae.layers import draws


def whole_batch(x):
    """Join the examples of all replicas, in order: [B / replicas, …] → [B, …]."""
    return x if draws.replica_and_count()[1] == 1 else _context().all_gather(x, axis=0)


def batch_sum(x):
    """Sum a tensor over all replicas, element by element."""
    import tensorflow as tf  # here, so that machines with JAX alone need no TensorFlow

    return x if draws.replica_and_count()[1] == 1 else _context().all_reduce(tf.distribute.ReduceOp.SUM, x)


def batch_mean(x):
    """Average over the examples of all replicas: [B / replicas, …] → [...]."""
    return batch_sum(ops.sum(x, axis=0)) / batch_sum(ops.cast(ops.shape(x)[0], x.dtype))


def share_of_replica(loss):
    """Divide a loss by the number of replicas, as their gradients are summed; Keras's trainer does the same."""
    return loss / draws.replicas()


def _context():
    import tensorflow as tf

    return tf.distribute.get_replica_context()
