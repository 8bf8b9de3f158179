"""A small convolutional network trained from scratch on the labels alone: what pretraining has to beat."""

import keras
import numpy as np
import tensorflow as tf

from kerasae.data import Chain, RandomAffine, RandomFlip, batches
from kerasae.errors import InputError
from kerasae.evaluate.baselines import Baseline
from kerasae.evaluate.classification import classify

WIDTHS = (32, 64, 128, 256)
"""Channels of the blocks."""

SIDE = 64
"""Longest side, in pixels, of the images that the network sees; larger ones are shrunk by averaging."""

FEATURES = "features"
"""Name of the layer before the dropout, whose output are the features of an image."""

STEPS, BATCH, RATE, SHIFT = 1500, 64, 2e-3, 0.125


def small_convnet(shape, classes: int, maximum: float, seed: int = 0) -> keras.Model:
    """Build a classifier of up to four blocks: images [B, H, W, C] as stored → logits [B, K].

    A block is 3×3 convolution, batch norm, ReLU, 2×2 maximum; there are as many as halve the shorter side to one
    pixel. Global average pooling, dropout of one half and a dense layer follow.

    Args:
        shape: (H, W, C) of the images.
        classes: K.
        maximum: stored integer that means 1.0.
        seed: of the weights and of the dropout.

    Example:
        >>> small_convnet((8, 8, 1), 10, 16.0).output_shape
        (None, 10)
    """
    layers, longest = keras.layers, max(shape[:2])
    seeds = keras.random.SeedGenerator(seed)
    x = inputs = keras.Input(shape)
    x = layers.Rescaling(1.0 / maximum)(x)
    height, width = (max(1, round(n * min(1.0, SIDE / longest))) for n in shape[:2])
    if longest > SIDE:
        x = layers.AveragePooling2D(max(1, longest // SIDE))(x)
        x = layers.Resizing(height, width)(x)
    for channels in WIDTHS[: max(1, int(np.log2(min(height, width))))]:
        initializer = keras.initializers.HeNormal(seed=seeds.next()[0].numpy().item())
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False, kernel_initializer=initializer)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Dropout(0.5, seed=seed)(layers.GlobalAveragePooling2D(name=FEATURES)(x))
    initializer = keras.initializers.GlorotUniform(seed=seed)
    return keras.Model(inputs, layers.Dense(classes, kernel_initializer=initializer)(x), name="small_convnet")


def trained_convnet(train, classes: int, maximum: float, seed: int = 0, steps: int = STEPS):
    """Train `small_convnet` on labelled images to the end of its schedule.

    Args, errors: as for `convolutional_baseline`.

    Returns:
        The compiled model, and in words what it has and was trained on.
    """
    if len(train.shape) != 3:
        raise InputError(f"train: expected images [H, W, C]. Received: examples {train.shape}")
    maximum = maximum if "int" in train.dtype else 1.0
    model, batch = small_convnet(train.shape, classes, maximum, seed), min(BATCH, len(train))
    steps = max(steps, 10 * len(train) // batch)
    mirrored = train.shape[-1] == 3
    augment = Chain(RandomAffine(shift=SHIFT), *[RandomFlip()] * mirrored)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.05), loss)
    data = batches(train, batch, seed=seed, augment=augment).prefetch(tf.data.AUTOTUNE)
    model.fit(data, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
    about = (
        f"{model.count_params():,} weights, {len(train)} labels, {steps} steps of {batch} shifted"
        f"{' and mirrored' * mirrored} images"
    )
    return model, about


def convolutional_baseline(
    train, test, classes: int, maximum: float, seed: int = 0, steps: int | None = None
) -> Baseline:
    """Train `small_convnet` on labelled images to the end of its schedule, then classify the test images.

    AdamW with a cosine schedule from 2e-3 to zero over `steps` batches of 64, at least ten times all images. Images are
    shifted by up to an eighth of their side, and mirrored where they have colour.

    Args:
        train, test: labelled splits of a `kerasae.data` source.
        classes: number of classes.
        maximum: stored integer that means 1.0.
        seed: of the weights, the order and the shifts.
        steps: least number of steps; 1,500 when not given.

    Raises:
        InputError: examples that are not images, or no labels.

    Example:
        >>> source = kerasae.data.load("digits")
        >>> convolutional_baseline(source.train, source.test, 10, 16.0).accuracy > 0.95
        True
    """
    model, protocol = trained_convnet(train, classes, maximum, seed, steps or STEPS)
    found = classify(model, test)
    return Baseline(
        accuracy=found.accuracy,
        predictions=found.predictions,
        protocol=f"convolutional network from scratch, {protocol}",
    )
