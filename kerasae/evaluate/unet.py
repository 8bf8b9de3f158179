"""A small U-Net trained from scratch on the masks alone: what pretraining a transformer has to beat."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kerasae.data import batches
from kerasae.models import PixelCrossentropy

WIDTHS = (24, 48, 96)
"""Channels of the levels."""

STEPS, BATCH, RATE = 800, 16, 2e-3


def small_unet(shape, classes: int, maximum: float) -> keras.Model:
    """Build a U-Net of up to three levels: images [B, H, W, C] as stored → logits [B, H, W, K].

    Ronneberger et al., arXiv 1505.04597, with batch norm and padded convolutions. There are as many levels as halve the
    sides without a rest.
    """
    x = inputs = keras.Input(shape)
    x, skips = layers.Rescaling(1.0 / maximum)(x), []
    halvings = sum(all(n % 2 ** (i + 1) == 0 for n in shape[:2]) for i in range(len(WIDTHS) - 1))
    for width in WIDTHS[:halvings]:
        skips.append(x := twice(x, width))
        x = layers.MaxPooling2D(2)(x)
    x = twice(x, WIDTHS[halvings])
    for width, skip in zip(WIDTHS[:halvings][::-1], skips[::-1], strict=True):
        x = twice(layers.Concatenate()([layers.UpSampling2D(2)(x), skip]), width)
    return keras.Model(inputs, layers.Conv2D(classes, 1)(x), name="small_unet")


def twice(x, width):
    """Apply 3×3 convolution, batch norm and ReLU, twice."""
    for _ in range(2):  # momentum: the moving averages settle in the few steps that few labels allow
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    return x


def unet_from_scratch(train, test, classes: int, seed: int = 0, steps: int = STEPS) -> np.ndarray:
    """Train `small_unet` on labelled images to the end of its schedule, and name the test's pixels: uint8 [N, H, W].

    AdamW with a cosine schedule from 2e-3 to zero, batches of 16, at least ten times all images.
    """
    keras.utils.set_random_seed(seed)
    maximum = np.iinfo(train.dtype).max if "int" in train.dtype else 1.0
    model, steps = small_unet(train.shape, classes, maximum), max(steps, 10 * len(train) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), PixelCrossentropy())
    model.fit(batches(train, BATCH, seed=seed), epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
    step = tf.function(lambda x: tf.argmax(model(x, training=False), axis=-1), autograph=False)
    images = test.arrays()[0]
    return np.concatenate([step(images[i : i + 64]).numpy() for i in range(0, len(images), 64)]).astype(np.uint8)
