"""Build Adam, AdamW and SGD with a warm-up and a cosine decay, counted in steps."""

import keras

from kerasae.errors import InputError
from kerasae.optimizers.layerwise import LayerwiseAdamW


def build(
    steps,
    learning_rate,
    *,
    warmup=0.0,
    warmup_steps=None,
    floor=0.0,
    weight_decay=0.0,
    schedule="cosine",
    clip=None,
    betas=(0.9, 0.999),
    scales=None,
    spare_tokens=False,
    ema=0.0,
    optimizer="adam",
):
    """Build Adam, or AdamW if decay or scales are given, with linear warm-up then half-cosine decay to `floor`.

    At step t of T, with W steps of warm-up: peak · t / W before W, then
    floor + (peak − floor) · (1 + cos(π (t − W) / (T − W))) / 2.

    Args:
        steps: steps T of the whole training.
        learning_rate: peak of the learning rate.
        warmup: share of the steps that warm up, in [0, 1).
        warmup_steps: number W of warm-up steps, instead of a share.
        floor: learning rate at the end.
        weight_decay: decoupled decay; vectors (biases, norms) are spared.
        schedule: "cosine" or "constant".
        clip: global norm of the gradients, or None.
        betas: Adam's decay rates of the two moments.
        scales: factors of the learning rate of each weight; see `kerasae.optimizers.layer_scales`.
        spare_tokens: whether class tokens and positions are not decayed either.
        ema: 0, or the momentum of a moving average of the weights, which `kerasae.training` then evaluates and keeps.
        optimizer: "adam", or "sgd" without momentum, for rules that are written as steps of a rate; it takes neither
            decay nor scales.

    In float16 a `LossScaleOptimizer` scales the loss to keep small gradients, and adapts the loss scale itself.
    """
    ramp = int(warmup * steps) if warmup_steps is None else int(warmup_steps)
    rate = _rate(steps, learning_rate, ramp, floor) if schedule == "cosine" else learning_rate
    options = {"global_clipnorm": clip}
    if ema:
        options |= {"use_ema": True, "ema_momentum": ema}
    if optimizer == "sgd":
        if weight_decay or scales:
            raise InputError("optimizer: sgd has no weight_decay and no scales of the rate; leave them out")
        return in_precision(keras.optimizers.SGD(rate, **options))
    options |= {"beta_1": betas[0], "beta_2": betas[1]}
    if not weight_decay and not scales:
        return in_precision(keras.optimizers.Adam(rate, **options))
    return in_precision(LayerwiseAdamW(rate, weight_decay, scales=scales, spare_tokens=spare_tokens, **options))


def in_precision(optimizer):
    """Let an optimiser scale the loss if the policy computes in float16."""
    narrow = keras.config.dtype_policy().compute_dtype == "float16"
    return keras.optimizers.LossScaleOptimizer(optimizer) if narrow else optimizer


def _rate(steps, peak, ramp, floor):
    ramp = min(ramp, steps - 1)
    start = 0.0 if ramp else peak
    return keras.optimizers.schedules.CosineDecay(
        start, max(1, steps - ramp), floor / peak, warmup_target=peak if ramp else None, warmup_steps=ramp
    )
