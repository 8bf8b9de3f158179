"""Layers from images, signals or volumes to tokens and back: patches, positions, class tokens and mask tokens."""

import math

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.ops import gather_tokens, patchify, sincos_positions, unpatchify
from kerasae.ops.patches import grid_of, sides_of


@keras.saving.register_keras_serializable("kerasae")
class Patches(layers.Layer):
    """Cut images into standardised patches: patchify((x − mean) / std), [B, H, W, C] → [B, N, p·q·C].

    Signals [B, T, C] and volumes [B, D, H, W, C] are cut likewise.

    Args:
        patch: one side for all axes, or one for each, (height, width) of an image.
        mean, std: one number, or one for every channel, in the units of x.

    Raises:
        InputError: if the patch does not divide the image, or mean or std do not fit its channels.
    """

    def __init__(self, patch, mean=0.0, std=1.0, **kwargs):
        super().__init__(**kwargs)
        self.patch = patch if isinstance(patch, int) else sides_of(patch, len(patch))
        self.mean, self.std = plain(mean), plain(std)
        if min(self.std if isinstance(self.std, tuple) else (self.std,)) <= 0:
            raise InputError(f"Patches: std must be > 0. Received: std={std}")

    def build(self, input_shape):
        channels, self.patch = input_shape[-1], sides_of(self.patch, len(input_shape) - 2)
        for name, value in (("mean", self.mean), ("std", self.std)):
            if isinstance(value, tuple) and len(value) != channels:
                raise InputError(f"{name} has {len(value)} values, but the images have {channels} channels: {value}")

    def call(self, x):
        return patchify((x - self._row(self.mean, x)) / self._row(self.std, x), self.patch)

    def undo(self, images):
        """Undo the standardisation of images: std · images + mean."""
        return images * self._row(self.std, images) + self._row(self.mean, images)

    def compute_output_shape(self, input_shape):
        batch, *size, c = input_shape
        values = math.prod(sides_of(self.patch, len(size))) * c
        return (batch, math.prod(grid_of(size, self.patch)), values)

    def get_config(self):
        return {**super().get_config(), "patch": self.patch, "mean": self.mean, "std": self.std}

    def _row(self, value, x):
        return ops.convert_to_tensor(value, dtype=x.dtype)


@keras.saving.register_keras_serializable("kerasae")
class Images(layers.Layer):
    """Assemble images from tokens that hold patches: [B, N, p·q·C] → [B, H, W, C]; a class token is left out.

    Args:
        patch: one side for all axes, or one for each, (height, width) of an image.
        grid: number of patches along each axis, (rows, columns) of an image; one of a signal, three of a volume.
    """

    def __init__(self, patch, grid, **kwargs):
        super().__init__(**kwargs)
        self.patch, self.grid = sides_of(patch, len(grid)), tuple(grid)

    def call(self, x):
        return unpatchify(x[:, -math.prod(self.grid) :], self.patch, self.grid)

    def compute_output_shape(self, input_shape):
        size = (n * p for n, p in zip(self.grid, self.patch, strict=True))
        return (input_shape[0], *size, input_shape[-1] // math.prod(self.patch))

    def get_config(self):
        return {**super().get_config(), "patch": self.patch, "grid": self.grid}


class Positioned(layers.Layer):
    """Add position codes to tokens: the parent of such layers.

    Args:
        grid: number of patches along each axis, (rows, columns) of an image.
        class_token: whether the sequence starts with a class token, which has no place; its fixed code is 0.
        learned: False for the fixed codes of `kerasae.ops.sincos_positions`, True to learn all codes, also the class
            token's, from N(0, 0.02²).
    """

    def __init__(self, grid, class_token=True, learned=False, **kwargs):
        super().__init__(**kwargs)
        self.grid, self.class_token, self.learned = tuple(grid), bool(class_token), bool(learned)

    def build(self, input_shape):
        count = math.prod(self.grid) + self.class_token
        initializer = keras.initializers.RandomNormal(stddev=0.02) if self.learned else self._fixed
        # Fixed codes are a weight too, so that codes interpolated for another image size can be saved.
        self.positions = self.add_weight(
            shape=(1, count, input_shape[-1]), initializer=initializer, trainable=self.learned, name="positions"
        )

    def get_config(self):
        names = ("grid", "class_token", "learned")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _fixed(self, shape, dtype=None):
        codes = ops.convert_to_tensor(sincos_positions(self.grid, shape[-1]), dtype=dtype)
        return ops.expand_dims(ops.pad(codes, ((int(self.class_token), 0), (0, 0))), 0)

    def _token(self, name, width):
        return self.add_weight(shape=(1, 1, width), initializer=keras.initializers.RandomNormal(stddev=0.02), name=name)


@keras.saving.register_keras_serializable("kerasae")
class PatchTokens(Positioned):
    """Add positions to embedded patches, and put a learned class token in front.

    x_cls + e_cls, x_1 + e_1, …, x_N + e_N: Dosovitskiy et al., arXiv 2010.11929, eq. 1. Call it with the embedded
    patches [B, N, D], or with some of them and their places, `ids` int [B, K]; it returns [B, N or K (+ 1), D].

    Args:
        grid, class_token, learned: as for `Positioned`.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.token = self._token("class_token", input_shape[-1]) if self.class_token else None

    def call(self, x, ids=None):
        positions = ops.cast(self.positions, x.dtype)
        own, others = positions[:, : int(self.class_token)], positions[:, int(self.class_token) :]
        x = x + (others if ids is None else ops.take(others[0], ids, axis=0))
        if not self.class_token:
            return x
        front = ops.broadcast_to(ops.cast(self.token, x.dtype) + own, (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([front, x], axis=1)

    def compute_output_shape(self, x_shape, ids_shape=None):
        batch, count, width = x_shape
        return (batch, (count if ids_shape is None else ids_shape[1]) + self.class_token, width)


@keras.saving.register_keras_serializable("kerasae")
class RestoredTokens(Positioned):
    """Put tokens in their places, with learned mask tokens for hidden patches, and add positions.

    He et al., arXiv 2111.06377, figure 1. Call it with the tokens of all patches [B, (1 +) N, D], or with those of the
    visible ones and `ids_restore` int [B, N] of `kerasae.ops.random_masking`; it returns [B, (1 +) N, D]. With `ids`
    int [B, N] instead, the places of all patches, visible ones first, the tokens stay in that order.

    Args:
        grid, class_token, learned: as for `Positioned`.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.mask_token = self._token("mask_token", input_shape[-1])

    def call(self, x, ids_restore=None, ids=None):
        positions = ops.cast(self.positions, x.dtype)
        if ids is not None:
            first = int(self.class_token)
            return self._filled(x) + ops.take(positions[0], ops.pad(ids + first, ((0, 0), (first, 0))), axis=0)
        return (x if ids_restore is None else self._restore(x, ids_restore)) + positions

    def compute_output_shape(self, x_shape, ids_restore_shape=None, ids_shape=None):
        return (x_shape[0], math.prod(self.grid) + self.class_token, x_shape[-1])

    def _filled(self, x):
        """Append mask tokens to the visible tokens: [B, (1 +) N, D]."""
        hidden = self.positions.shape[1] - x.shape[1]
        masks = ops.broadcast_to(ops.cast(self.mask_token, x.dtype), (ops.shape(x)[0], hidden, x.shape[-1]))
        return ops.concatenate([x, masks], axis=1)

    def _restore(self, x, ids_restore):
        first, x = int(self.class_token), self._filled(x)
        places = gather_tokens(x[:, first:], ids_restore)
        return ops.concatenate([x[:, :first], places], axis=1) if first else places


@keras.saving.register_keras_serializable("kerasae")
class MaskQueries(Positioned):
    """Make the queries of a cross-attention decoder: a learned mask token with each place's position code.

    Fu et al., CrossMAE, arXiv 2401.14391, section 3. Call it with the encoder's tokens, [B, T, E], of which
    only the batch size is used, and with the places `ids` int [B, K], or None for all N; it returns [B, K or N, width].

    Args:
        width: width of the queries.
        grid, learned: as for `Positioned`.
    """

    def __init__(self, width, grid, learned=False, **kwargs):
        super().__init__(grid, class_token=False, learned=learned, **kwargs)
        self.width = int(width)

    def build(self, input_shape):
        super().build((*input_shape[:-1], self.width))
        self.mask_token = self._token("mask_token", self.width)

    def call(self, x, ids=None):
        queries = ops.cast(self.mask_token + self.positions, x.dtype)
        if ids is None:
            return ops.broadcast_to(queries, (ops.shape(x)[0], *queries.shape[1:]))
        return ops.take(queries[0], ids, axis=0)

    def compute_output_shape(self, x_shape, ids_shape=None):
        return (x_shape[0], math.prod(self.grid) if ids_shape is None else ids_shape[1], self.width)

    def get_config(self):
        config = {**super().get_config(), "width": self.width}
        del config["class_token"]
        return config


@keras.saving.register_keras_serializable("kerasae")
class MaskedTokens(layers.Layer):
    """Replace hidden tokens by a learned mask token: (1 − m) x + m e, Xie et al., SimMIM, arXiv 2111.09886, 3.2.

    Call it with the pair (tokens [B, N, D], mask [B, N], 1 = hidden, 0 = visible); it returns [B, N, D].
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def build(self, input_shape):
        start = keras.initializers.RandomNormal(stddev=0.02)
        self.mask_token = self.add_weight(shape=(1, 1, input_shape[0][-1]), initializer=start, name="mask_token")

    def call(self, pair):
        x, mask = pair
        hidden = ops.expand_dims(ops.cast(mask, x.dtype), -1)
        return x * (1.0 - hidden) + ops.cast(self.mask_token, x.dtype) * hidden

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])


@keras.saving.register_keras_serializable("kerasae")
class TokenPooling(layers.Layer):
    """Pool an image's tokens to a code, the mean of the patches' tokens or the class token: [B, T, D] → [B, D].

    Args:
        kind: "mean" or "class".
        class_token: whether the first token is a class token.
    """

    def __init__(self, kind="mean", class_token=True, **kwargs):
        super().__init__(**kwargs)
        if kind not in ("mean", "class") or (kind == "class" and not class_token):
            given = f"kind={kind!r}, class_token={class_token}"
            raise InputError(f"TokenPooling: kind must be 'mean', or 'class' with a class token. Received: {given}")
        self.kind, self.class_token = kind, bool(class_token)

    def call(self, x):
        return x[:, 0] if self.kind == "class" else ops.mean(x[:, int(self.class_token) :], axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "kind": self.kind, "class_token": self.class_token}


def plain(value):
    """Convert a number or a sequence of numbers to a float or a tuple of floats, which JSON can hold."""
    return float(value) if isinstance(value, int | float) else tuple(float(v) for v in value)
