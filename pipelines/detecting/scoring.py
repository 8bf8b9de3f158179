"""Score many examples by a detector, compiled."""


def over(detector, function, x, batch_size=256):
    """Apply a function of stored values to all of them, compiled for batches of any length: [N, …]."""
    import numpy as np
    import tensorflow as tf

    signature = [tf.TensorSpec([None, *detector.example_shape], x.dtype)]
    step = tf.function(lambda x: tf.cast(function(x), tf.float32), signature, autograph=False)
    return np.concatenate([step(x[i : i + batch_size]).numpy() for i in range(0, len(x), batch_size)])


def scores(detector, split):
    """Score a split: float32 [N]."""
    return over(detector, detector, split.arrays()[0])
