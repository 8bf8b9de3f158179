"""A segmenter, which names the class of every pixel, on top of a pretrained encoder of patches."""

import math

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.layers import Images
from kerasae.models.contract.step import build_metrics
from kerasae.models.contract.supervised import Supervised
from kerasae.models.pixel_losses import PixelCrossentropy, pixel_iou
from kerasae.networks.places import patches_of, unpool
from kerasae.ops.patches import grid_of
from kerasae.ops.pixels import to_unit

LEAST_WIDTH = 32


@keras.saving.register_keras_serializable("kerasae")
class Segmenter(Supervised):
    """Segment images: name the class of every pixel by a head on the encoder's patch tokens.

    The linear head maps the token of a patch of p × q pixels to its p·q·K logits, as the last layer of a masked
    autoencoder maps it to p·q·C values (He et al., arXiv 2111.06377, section 3). The head "conv" enlarges the map of
    tokens step by step to the image, each time by nearest neighbour and a 3×3 convolution (the naive decoder of Zheng
    et al., arXiv 2012.15840, section 3.2, with several steps).

    It minimises, on average over the images, −1 / N Σ_i w_{y_i} log softmax(logits_i)_{y_i} over the N pixels i of an
    image whose class y_i is not 255, "ignored"; see `kerasae.models.PixelCrossentropy`.

    Args:
        encoder: Keras model of floats [B, H, W, C], of `kerasae.networks.vit` or `convnext`, or the `feature_encoder()`
            of their masked autoencoder. Its pooling is left out.
        classes: number of classes K, from 2 to 255.
        head: "linear" or "conv".
        head_width: channels of the first convolution of the head "conv"; each step has half as many, at least 32.
        freeze: True trains the head only; the encoder stays trainable in other models that share it.
        pixel_max: the integer that means 1.0, as for `Autoencoder`.

    Returns logits float32 [B, H, W, K].

    Raises:
        InputError: an argument is out of range, or the encoder has no patches of images.

    Example:
        >>> segmenter = Segmenter(autoencoder.feature_encoder(), classes=11, head="conv")
        >>> segmenter.compile("adam", loss=segmenter.loss_of(), metrics=[segmenter.metric()])
        >>> segmenter.fit(images, masks)  # uint8 [N, H, W, C] and [N, H, W]; 255 is ignored
        >>> segmenter.segment(images)  # uint8 [N, H, W]
    """

    monitor = ("val_mean_iou", "max")
    """Metric by which the best epoch is chosen, and whether it should be large or small."""

    def __init__(self, encoder, classes, head="linear", head_width=128, freeze=False, pixel_max=255.0, **kwargs):
        super().__init__(**kwargs)
        if not 2 <= classes <= 255:
            raise InputError(f"Segmenter: classes must be from 2 to 255. Received: classes={classes}")
        if head not in HEADS:
            raise InputError(f"Segmenter: head must be {' or '.join(HEADS)}. Received: head={head!r}")
        if head_width < 1 or not pixel_max > 0:
            given = f"head_width={head_width}, pixel_max={pixel_max}"
            raise InputError(f"Segmenter: head_width and pixel_max must be > 0. Received: {given}")
        self.encoder, self.classes, self.pixel_max = unpool(encoder), int(classes), float(pixel_max)
        self.freeze, patch = bool(freeze), patches_of(encoder).patch
        grid = grid_of(self.example_shape[:2], patch)
        self.head = HEADS[head](self.encoder.output_shape[1:], grid, patch, self.classes, head_width)
        self.built = True

    def call(self, x, training=False):
        # A frozen encoder runs as in inference: no drop path.
        tokens = self.encoder(to_unit(x, self.pixel_max), training=training and not self.freeze)
        return self.head(tokens, training=training)

    def encode(self, x):
        """Encode x to the tokens that the head sees: [B, H, W, C] → [B, (1 +) N, D]."""
        return self.encoder(to_unit(x, self.pixel_max), training=False)

    def probabilities(self, x):
        """Compute the probabilities of the classes of every pixel: [B, H, W, C] → float32 [B, H, W, K]."""
        return ops.softmax(self(x, training=False))

    def segment(self, x):
        """Name the class of every pixel: [B, H, W, C] → uint8 [B, H, W]."""
        return self.answer(x)["classes"]

    def answer(self, x):
        """Compute by name what a user is told: classes uint8 [B, H, W], probabilities float32 [B, H, W, K]."""
        found = self.probabilities(x)
        # Not ops.argmax, whose care for negative zeros ONNX and LiteRT have no operation for.
        classes = ops.top_k(found, 1)[1][..., 0]
        return {"classes": ops.cast(classes, "uint8"), "probabilities": found}

    def loss_of(self, weights=None):
        """Build the loss, with K weights of the classes."""
        return PixelCrossentropy(weights)

    def metric(self):
        """Build the metric that is logged: the mean intersection over union."""
        return pixel_iou(self.classes)

    def build_training(self):
        super().build_training()
        blank = (1, *self.example_shape[:2])
        build_metrics(self, ops.zeros(blank, "int32"), ops.zeros((*blank, self.classes)))


def linear_head(tokens_shape, grid, patch, classes, width):
    """Map each token to the logits of its patch: [B, (1 +) N, D] → [B, H, W, K]."""
    x = inputs = keras.Input(tokens_shape)
    x = layers.Dense(math.prod(patch) * classes, name="logits", dtype="float32")(x)
    return keras.Model(inputs, Images(patch, grid, name="pixels", dtype="float32")(x), name="head")


def convolutional_head(tokens_shape, grid, patch, classes, width):
    """Enlarge the map of tokens to the image by steps of convolution: [B, (1 +) N, D] → [B, H, W, K]."""
    x = inputs = keras.Input(tokens_shape)
    x = Images((1, 1), grid, name="map")(x)
    for i, factors in enumerate(steps(*patch)):
        channels = max(min(LEAST_WIDTH, width), width // 2**i)
        x = layers.UpSampling2D(factors, interpolation="nearest", name=f"enlarge_{i}")(x)
        # LiteRT convolves no map of unknown height, and does not see it through the layer above.
        x = layers.Reshape(x.shape[1:], name=f"map_{i}")(x)
        x = layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"convolution_{i}")(x)
    logits = layers.Conv2D(classes, 1, name="logits", dtype="float32")
    return keras.Model(inputs, logits(x), name="head")


HEADS = {"linear": linear_head, "conv": convolutional_head}


def steps(rows, columns):
    """Cut an enlargement into steps of prime factors: 4, 6 → (2, 2), (2, 3)."""
    while (rows, columns) != (1, 1):
        step = least_factor(rows), least_factor(columns)
        yield step
        rows, columns = rows // step[0], columns // step[1]


def least_factor(n):
    """Find the smallest prime factor of n; 1 of 1."""
    return next((k for k in range(2, n + 1) if n % k == 0), 1)
