"""The conditional adversarial autoencoder: change the class of an image and keep the rest."""

import keras
from keras import layers, ops

from kerasae.distributions.priors import UniformCube
from kerasae.errors import InputError
from kerasae.models.adversarial import build_discriminator, check_codes, discriminator_logits
from kerasae.models.contract.base import Autoencoder, check_network, last_activation
from kerasae.models.contract.codec import CONDITION, call_network, has_input
from kerasae.models.contract.knobs import Knob
from kerasae.models.inferred_labels import check_conditional
from kerasae.ops import total_variation


@keras.saving.register_keras_serializable("kerasae")
class ConditionalAdversarialAutoencoder(Autoencoder):
    """Reconstruct from a code and a class, against a discriminator of codes and one of images with their class: CAAE.

    Zhang, Song and Qi, arXiv 1702.08423, eq. 1 to 3. With z = encode(x) in (−1, 1) and x̂ = decode(z, y), encoder and
    decoder minimise

        mean |x − x̂| − w₀ log D_img(x̂, y) − w₁ log D_z(z) + w₂ TV(x̂),

    while D_img tells (x̂, y) from (x, y), and D_z tells z from draws of U(−1, 1). TV is `kerasae.ops.total_variation`.
    Each step updates the three players once, from the same codes. Values lie in [0, 1], where those of the paper lie in
    [−1, 1], and the labels of D_img are 0 or 1. D_img has no batch norm. w₀ and w₁ at 0 for the first steps are
    `--anneal.image_weight 0 --anneal.code_weight 0`.

    `decode(encode(x), y)` with another class changes the class of x; the encoder is never told the class.

    Terms, each [B]: "absolute" and "total_variation", per value; "image_adversarial", "code_adversarial",
    "image_discriminator" and "code_discriminator", nats.

    Args:
        encoder: Keras model of images, [B, H, W, C] → [B, Z], that ends in tanh.
        decoder: Keras model of code [B, Z] and condition [B, K] → parameters of the likelihood.
        likelihood: as for `Autoencoder`; its mean is x̂, and its density is not used.
        pixel_max: as for `Autoencoder`.
        image_discriminator: Keras model of images and condition [B, K] → [B, 1] logits; None builds one by
            `build_image_discriminator`.
        code_discriminator: Keras model, [B, Z] → [B, 1] logits; None builds one with hidden layers of 64, 32 and 16.
        image_weight, code_weight, variation_weight: weights w₀, w₁, w₂ ≥ 0; `Knob`s.

    Raises:
        InputError: for examples that are no images, a decoder without a condition, an encoder that does not end in
            tanh, and discriminators of other inputs.

    Example:
        >>> encoder, _ = kerasae.networks.conv((28, 28, 1), code=16, code_activation="tanh")
        >>> _, decoder = kerasae.networks.conv((28, 28, 1), code=16, condition=10)
        >>> model = ConditionalAdversarialAutoencoder(encoder, decoder)
        >>> model.compile("adam")
        >>> model.fit(images, labels)
        >>> sevens = model.decode(model.encode(images[:8]), np.full(8, 7))
    """

    terms = ("absolute", "image_adversarial", "code_adversarial", "total_variation")
    terms += ("image_discriminator", "code_discriminator")
    units = "absolute error"
    code_activation = "tanh"
    generative = always_conditional = True
    conditional_encoder = standardizes = False
    unstackable = "it learns from labels, which the layers of a stack do not see"
    image_weight = Knob(minimum=0.0)
    code_weight = Knob(minimum=0.0)
    variation_weight = Knob(minimum=0.0)

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="bernoulli",
        pixel_max=255.0,
        image_discriminator=None,
        code_discriminator=None,
        image_weight=0.01,
        code_weight=0.01,
        variation_weight=0.0,
        **kwargs,
    ):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        check_images(self)
        check_conditional(self)
        self.image_weight, self.code_weight, self.variation_weight = image_weight, code_weight, variation_weight
        sizes = self.example_shape, self.condition_width
        self.image_discriminator = image_discriminator or build_image_discriminator(*sizes)
        self.code_discriminator = code_discriminator or build_discriminator(self.code_shape, (64, 32, 16), "of_codes")
        check_image_discriminator(self)
        check_codes(self, "code_discriminator", self.code_shape)

    def objective(self, batch, training=False):
        z = self.encode_batch(batch, training)
        image = self.decode_code(z, batch.y, training)
        drawn = self.code_prior().draw(ops.shape(z), self.random(training))
        terms = {
            "absolute": mean_absolute(batch.target, image),
            "total_variation": total_variation(image),
            **game("image", batch.target, image, lambda x: self.image_logits(x, batch.y, training)),
            **game("code", drawn, z, lambda code: discriminator_logits(self.code_discriminator, code, training)),
        }
        return {name: terms[name] for name in self.terms}

    @property
    def term_weights(self):
        return {
            "image_adversarial": self.image_weight,
            "code_adversarial": self.code_weight,
            "total_variation": self.variation_weight,
        }

    @property
    def adversaries(self):
        return {name: [getattr(self, name)] for name in ("image_discriminator", "code_discriminator")}

    def encode(self, x, y=None, batch_size=256):
        """Encode x without noise: [B, *shape] → [B, Z]; y is not needed, as the encoder is not told the class."""
        unneeded = ops.zeros((ops.shape(x)[0], self.condition_width)) if y is None else y
        return super().encode(x, unneeded, batch_size)

    def image_logits(self, x, y, training=False):
        """Compute the logits of D_img for images [B, *shape] and one-hot classes [B, K]: float32 [B]."""
        logits = call_network(self.image_discriminator, x, y, training=training)
        return ops.squeeze(ops.cast(logits, "float32"), axis=-1)

    def score_batch(self, batch):
        """Compute mean |x − decode(encode(x), y)|: [B], per value."""
        return mean_absolute(batch.x, self.reconstruct_batch(batch))

    def code_prior(self):
        return UniformCube()

    def sample(self, n, y=None, seed=None, batch_size=256):
        """Decode `n` draws z ~ U(−1, 1) under the class y to images: [n, *shape]; the same for the same seed."""
        return self.decode_draws(self.code_prior(), n, y, seed, batch_size)


def mean_absolute(x, other):
    """Compute the mean of |x − other| over the values of each example: [B]."""
    return ops.mean(ops.abs(x - other), axis=range(1, len(x.shape)))


def game(part, real, made, judge):
    """Compute the terms of the maker and of the discriminator of one part, each [B], nats.

    One pass serves both: each gradient is taken with respect to one player's weights only.

    Args:
        part: "image" or "code".
        real, made: what the discriminator tells apart.
        judge: function of either → logits of the chance that it is real, [B].
    """
    of_real, of_made = judge(real), judge(made)
    return {
        f"{part}_adversarial": ops.softplus(-of_made),
        f"{part}_discriminator": ops.softplus(-of_real) + ops.softplus(of_made),
    }


def build_image_discriminator(shape, classes, filters=(16, 32, 64, 128), units=256, name="of_images"):
    """Build a network of images and classes → logits: the class is a map for each class behind the first convolution.

    Args:
        shape: (H, W, C).
        classes: K; input "condition" is [B, K].
        filters: channels of the convolutions, each of kernel 5 and stride 2.
        units: of the hidden layer between them and the logit.
        name: of the model.
    """
    image, condition = keras.Input(shape), keras.Input((classes,), name=CONDITION)
    first, *others = filters
    x = layers.Conv2D(first, 5, 2, "same", activation="relu")(image)
    rows, columns = x.shape[1:3]
    maps = layers.Reshape((rows, columns, classes))(layers.RepeatVector(rows * columns)(condition))
    x = layers.Concatenate()([x, maps])
    for channels in others:
        x = layers.Conv2D(channels, 5, 2, "same", activation="relu")(x)
    x = layers.Dense(units, "relu")(layers.Flatten()(x))
    return keras.Model([image, condition], layers.Dense(1)(x), name=name)


def check_images(model):
    """Raise InputError unless the examples of a model are images and its encoder ends in tanh."""
    name = type(model).__name__
    if len(model.example_shape) != 3:
        raise InputError(f"{name}: expected images [H, W, C]. Received: examples of shape {model.example_shape}")
    if last_activation(model.encoder) is not keras.activations.tanh:
        raise InputError(
            f"{name}: the encoder must end in tanh, as its codes are compared with draws of U(-1, 1); give the network "
            "builder code_activation='tanh'"
        )


def check_image_discriminator(model):
    """Raise InputError unless a model's discriminator of images takes them and their condition, and gives one logit."""
    name, network = type(model).__name__, model.image_discriminator
    check_network(name, "image_discriminator", network)
    given = [tuple(tensor.shape[1:]) for tensor in (*network.inputs, *network.outputs)]
    wanted = [model.example_shape, (model.condition_width,), (1,)]
    if given != wanted or not has_input(network, CONDITION):
        raise InputError(
            f"{name}: the image_discriminator must take images {wanted[0]} and an input {CONDITION!r} {wanted[1]}, and "
            f"give one logit. Received: shapes {given}"
        )
