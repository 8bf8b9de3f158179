"""Corruptions of the input of a denoising autoencoder."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers import draws
from kerasae.ops import enlarge_images, shrink_images


class Corruption(keras.layers.Layer):
    """Corrupt x to x̃ of the same shape, in training and in evaluation alike: the parent of the corruptions.

    Unlike dropout, a corruption is part of the objective and is active in evaluation too. With `training=False` it
    draws the same numbers every time, and leaves its seed unchanged.

    Attributes:
        of_ids: whether it corrupts ids, which name tokens, and not quantities.
    """

    of_ids = False

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}

    def call(self, x, training=True):
        return self.corrupt_and_mark(x, training)[0]

    def corrupt_and_mark(self, x, training=True):
        """Corrupt x, and mark the corrupted values: (x̃, mask), both [B, ...]; mask 1 = corrupted, 0 = left alone."""
        return self.with_mask(x, draws.Draws(self.seed_generator if training else self.seed or 0))

    def with_mask(self, x, random):
        """Corrupt x, and mark the corrupted values, with random numbers from a `kerasae.layers.draws.Draws`."""
        found = self.corrupt(x, random)
        return found if isinstance(found, tuple) else (found, ops.cast(found != x, x.dtype))

    def corrupt(self, x, random):
        """Corrupt x with random numbers from `random`, a `kerasae.layers.draws.Draws`.

        Returns:
            x̃, or (x̃, mask) with 1 = corrupted where values may be chosen and yet stay the same, such as a zero that is
            masked; without a mask, the values that changed count as corrupted.
        """
        raise NotImplementedError(f"{type(self).__name__} must write corrupt")


def _check_rate(name, rate):
    if not 0.0 <= rate < 1.0:
        raise InputError(f"{name}: rate must be in [0, 1), a share of the values. Received: rate={rate}")
    return float(rate)


@keras.saving.register_keras_serializable("kerasae")
class MaskingCorruption(Corruption):
    """Set a random share of the values to zero: Vincent et al., JMLR 11 (2010), section 3.3.

    The other values are *not* scaled up, so the input's range is unchanged.

    Args:
        rate: probability that a value is set to zero, in [0, 1).
        seed: integer, or None for one from `keras.utils.set_random_seed`.

    Example:
        >>> MaskingCorruption(0.25)(np.ones((1, 8)))
    """

    def __init__(self, rate=0.25, **kwargs):
        super().__init__(**kwargs)
        self.rate = _check_rate("MaskingCorruption", rate)

    def corrupt(self, x, random):
        masked = ops.cast(random.uniform(ops.shape(x)) < self.rate, x.dtype)
        return x * (1.0 - masked), masked

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable("kerasae")
class GaussianCorruption(Corruption):
    """Add isotropic Gaussian noise, x̃ = x + N(0, σ²): Vincent et al., JMLR 11 (2010), section 3.3.

    With `least`, σ is drawn for every example from U(least, stddev), so that one model denoises a range of levels,
    which it is not told: "blind" denoising, Zhang et al., DnCNN, arXiv 1608.03981, section III-D.

    Args:
        stddev: standard deviation in units of x, > 0, or the largest one. The result is not clipped.
        least: None, or the smallest standard deviation, from 0 to `stddev`.
        seed: integer, or None for one from `keras.utils.set_random_seed`.
    """

    def __init__(self, stddev=0.3, least=None, **kwargs):
        super().__init__(**kwargs)
        if not stddev > 0:
            raise InputError(f"GaussianCorruption: stddev must be > 0. Received: stddev={stddev}")
        if least is not None and not 0 <= least <= stddev:
            raise InputError(f"GaussianCorruption: least must be from 0 to stddev={stddev}. Received: least={least}")
        self.stddev, self.least = float(stddev), None if least is None else float(least)

    def corrupt(self, x, random):
        noise = random.normal(ops.shape(x))
        if self.least is None:
            return x + ops.cast(self.stddev * noise, x.dtype)
        share = random.uniform((ops.shape(x)[0], *[1] * (len(x.shape) - 1)))
        return x + ops.cast((self.least + (self.stddev - self.least) * share) * noise, x.dtype)

    def get_config(self):
        return {**super().get_config(), "stddev": self.stddev, "least": self.least}


@keras.saving.register_keras_serializable("kerasae")
class SaltAndPepperCorruption(Corruption):
    """Set a random share of the values to 0 or to 1, each with equal chance: Vincent et al., JMLR 11 (2010).

    Args:
        rate: probability that a value is replaced, in [0, 1).
        seed: integer, or None for one from `keras.utils.set_random_seed`.
    """

    def __init__(self, rate=0.25, **kwargs):
        super().__init__(**kwargs)
        self.rate = _check_rate("SaltAndPepperCorruption", rate)

    def corrupt(self, x, random):
        u = random.uniform(ops.shape(x))
        # One draw serves both: the lower half of the replaced share becomes pepper, the upper half salt.
        salt = ops.cast(u >= 0.5 * self.rate, x.dtype)
        return ops.where(u < self.rate, salt, x), ops.cast(u < self.rate, x.dtype)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable("kerasae")
class DownscaleCorruption(Corruption):
    """Average blocks of s×s pixels, and enlarge the result again: what super-resolution has to undo.

    x̃ = enlarge(shrink(x)), both of `kerasae.ops`, after the bicubic input of Dong et al., SRCNN, arXiv 1501.00092,
    section 3.1. Nothing is random. All values count as corrupted.

    Args:
        scale: whole number s from 2 up, which divides the sides of the images [B, H, W, C].
        seed: accepted as by every corruption, without effect.

    Raises:
        InputError: for another scale, or examples that are no images or that it does not divide.
    """

    def __init__(self, scale=2, **kwargs):
        super().__init__(**kwargs)
        if not (scale >= 2 and scale == int(scale)):
            raise InputError(f"DownscaleCorruption: scale must be a whole number from 2 up. Received: scale={scale}")
        self.scale = int(scale)

    def corrupt(self, x, random):
        if len(x.shape) != 4:
            raise InputError(f"DownscaleCorruption: expected images [B, H, W, C]. Received: shape {tuple(x.shape)}")
        return enlarge_images(shrink_images(x, self.scale), self.scale), ops.ones_like(x)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}
