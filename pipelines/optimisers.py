"""Optimisers with a warm-up and a cosine decay, counted in steps."""

import keras


def build(steps, learning_rate, *, warmup=0.0, floor=0.0, weight_decay=0.0, schedule="cosine", clip=None):
    """Adam, or AdamW where there is weight decay, with linear warm-up then half-cosine decay to `floor`.

    Args:
        steps: steps of the whole training.
        learning_rate: the peak.
        warmup: share of the steps that warm up, in [0, 1).
        floor: learning rate at the end.
        weight_decay: decoupled decay; biases and scales are spared.
        schedule: "cosine" or "constant".
        clip: global norm of the gradients, or None.
    """
    rate = _rate(steps, learning_rate, warmup, floor) if schedule == "cosine" else learning_rate
    if not weight_decay:
        return keras.optimizers.Adam(rate, global_clipnorm=clip)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=weight_decay, global_clipnorm=clip)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _rate(steps, peak, warmup, floor):
    ramp = int(warmup * steps)
    start = 0.0 if ramp else peak
    return keras.optimizers.schedules.CosineDecay(
        start, max(1, steps - ramp), floor / peak, warmup_target=peak if ramp else None, warmup_steps=ramp
    )
