"""Masked autoencoders: hide most patches of an image, signal or volume, and predict them from the visible ones."""

import keras
import numpy as np
from keras import ops

from kerasae.errors import InputError
from kerasae.layers import (
    Images,
    LowVariance,
    MaskableBlock,
    MaskQueries,
    Patches,
    PatchTokens,
    RestoredTokens,
    TokenPooling,
    TransformerBlock,
)
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.codec import in_chunks
from kerasae.ops import gather_tokens, group_masking, normalize_patches, random_masking
from kerasae.ops.patches import at_visible_level, group_members, visible_count


@keras.saving.register_keras_serializable("kerasae")
class MaskedAutoencoder(Autoencoder):
    """Predict the hidden patches of an image from a few visible ones: He et al., arXiv 2111.06377, section 3.

    The encoder sees the visible patches only; the decoder gets their tokens, a mask token in every hidden place, and
    the positions. The loss of an example is

        1 / |hidden| Σ_{i hidden} 1 / P Σ_j (prediction_ij − target_ij)²,

    a mean squared error, *not* nats; the target is a patch of the standardised image, by default normalised by the
    patch's own mean and standard deviation (the paper's table 1d).

    `encode` never masks: the code is the network's, pooled or all tokens (`pooling` of `kerasae.networks.vit`).
    `reconstruct` and `call` are *not* decode(encode(x)), for which this model is never trained: they mask x and predict
    the hidden patches from the visible ones. `decode` decodes a code in which no patch is hidden, as the contract needs
    a decode; expect little of it.

    Training draws new masks from a seed generator at every step. Evaluation, `score`, and `reconstruct` without noise
    use fixed masks, the same for every example, so that results depend on the input alone.

    Args:
        encoder, decoder: of `kerasae.networks.vit` or one of its presets; a "deep" or a "shallow" decoder.
        mask_ratio: share of the patches hidden; the first int(N·(1 − mask_ratio)) by noise stay visible.
        normalize_targets: whether the target is normalised patch by patch. The features are better for it, but
            predictions then lack brightness and contrast.
        pixel_max: as for `Autoencoder`; nothing is clipped where it is a `kerasae.layers.Standardization`.
        mask_group: side g of the groups of g×g patches (g of a signal, g×g×g of a volume) that are hidden together, of
            `kerasae.ops.group_masking`; then the ratio is rounded up to whole groups.
        target: None, or a `kerasae.layers.LowVariance`, which takes the leading principal components out of the
            target (after normalisation, if any); call `adapt_target` before training.

    Raises:
        InputError: if a network is not made by `vit`, the two do not fit each other, the ratio is not in (0, 1) or
            leaves no visible or no hidden patch, the group does not divide the grid of patches, or images of another
            shape are given.

    Example:
        >>> networks = kerasae.networks.vit_tiny((32, 32, 3), patch=4)
        >>> model = MaskedAutoencoder(*networks)
        >>> model.compile(keras.optimizers.AdamW(1.5e-4, weight_decay=0.05, beta_2=0.95))
        >>> model.fit(images, epochs=100)  # uint8 [N, 32, 32, 3]
        >>> model.encode(images[:8])  # [8, 192]
    """

    units = "squared error"
    has_tokens = True
    has_likelihood = takes_target = may_be_conditional = may_take_steps = False
    decoders = ("deep", "shallow")
    """Kinds of `vit`'s decoder that this model takes."""
    chain_layer, builder = PatchTokens, "vit"
    """Layer that the encoder must have, and the builder of `kerasae.networks` that puts it there."""

    def __init__(
        self,
        encoder,
        decoder,
        mask_ratio=0.75,
        normalize_targets=True,
        pixel_max=255.0,
        mask_group=1,
        target=None,
        **kwargs,
    ):
        super().__init__(encoder, decoder, "gaussian", pixel_max, **kwargs)
        self._check_chains()
        patches = encoder.layers[1]
        self.patches_shape = tuple(patches.output.shape[1:])
        self._group(mask_ratio, mask_group)
        if normalize_targets and self.patches_shape[1] < 2:
            raise InputError("normalize_targets: a patch of one value has no variance; use normalize_targets=False")
        self.mask_ratio, self.normalize_targets = float(mask_ratio), bool(normalize_targets)
        self._aim_at(target)

    # What users call.

    def decode_code(self, z, y=None, training=False):
        """Decode a code in which no patch is hidden: [B, *code_shape] → [B, H, W, C] in [0, 1], or standardised.

        With normalised targets the prediction lacks each patch's mean and standard deviation: 0.5 and 0.25, or of
        standardised values 0 and 1, replace them.
        """
        images = ops.cast(self.decoder(z, training=training), "float32")
        if self.target is not None:
            images = images + self.decoder.layers[-1](self.target.shift(ops.zeros((1, *self.patches_shape))))
        if self.normalize_targets:
            return self._in_range(images if self.standardization else 0.5 + 0.25 * images)
        return self._in_range(self._first.undo(images))

    def reconstruct(self, x, noise=None, batch_size=256):
        """Keep the visible patches of x, and fill hidden ones with predictions, clipped to [0, 1] where x has a range.

        With normalised targets the prediction of a patch holds its pattern only: its colours are meaningless. The
        pattern then gets the mean and standard deviation of the *visible* patches, never those of the hidden patch.

        Args:
            x: [B, H, W, C].
            noise: [B, N] as for `kerasae.ops.random_masking`, also where patches are hidden in groups; None for a fixed
                mask.
            batch_size: examples in memory at a time.

        Returns:
            float32 [B, H, W, C]; of a model with a `standardization`, in the units of the data.
        """
        if noise is None:
            return super().reconstruct(x, batch_size=batch_size)

        def picture(x, noise):
            return self.restored(self._picture(self.prepare(x).x, noise))

        return in_chunks(picture, (x, noise), batch_size)

    def reconstruct_batch(self, batch, training=False):
        return self._picture(batch.x, self._fixed_noise(batch.x), training)

    def _picture(self, x, noise, training=False):
        out = self._forward(x, noise, training, some=False)
        hidden, prediction = ops.expand_dims(out["mask"], -1), out["prediction"]
        if self.target is not None:
            prediction = self.target.shift(prediction)
        if self.normalize_targets:
            prediction = at_visible_level(prediction, out["patches"], 1.0 - hidden)
        images = self.decoder.layers[-1]
        hidden = images(hidden * ops.ones_like(prediction))
        return ops.where(hidden > 0, self._in_range(self._first.undo(images(prediction))), x)

    def tokens(self, x, batch_size=256):
        """Encode x to all tokens after the last normalisation: [B, H, W, C] → [B, (1 +) N, D].

        Never masked, not pooled: the input of an attentive probe. A class token, if there is one, comes first.
        """
        layers = without(TokenPooling, self.encoder.layers[1:])
        return self.by_batches(lambda batch: run(layers, batch.x, False), x, batch_size=batch_size)

    def pool(self, tokens):
        """Pool all tokens to the code, [B, (1 +) N, D] → [B, *code_shape]: encode(x) is pool(tokens(x))."""
        for layer in self.encoder.layers:
            if isinstance(layer, TokenPooling):
                tokens = layer(tokens)
        return tokens

    def hide(self, x, noise):
        """Show the encoder's input: images with hidden patches in grey (0.5), float32 [B, H, W, C].

        Of standardised values, hidden ones become the mean.

        Args:
            x, noise: as for `reconstruct`.
        """
        grey = 0.0 if self.standardization else 0.5
        return self.restored(ops.where(self.hidden(noise), grey, self.prepare(x).x))

    def hidden(self, noise):
        """Tell which values of an example are hidden: noise [B, N] → bool [B, H, W, C]."""
        mask = self._masks(ops.convert_to_tensor(noise, "float32"))[2]
        hidden = ops.expand_dims(mask, -1) * ops.ones((self.patches_shape[1],), mask.dtype)
        return self.decoder.layers[-1](hidden) > 0

    def score_noise(self):
        """Compute the noise of the fixed masks of `score`, under which every patch is hidden: float32 [K, N]."""
        return np.stack([self._noise(turn) for turn in self._turns])

    def score_batch(self, batch):
        """Measure the prediction error of hidden patches: [B], the objective's units, higher = less like the data.

        It is the mean over the fewest fixed masks under which every patch is hidden at least once.
        """
        x = batch.x
        turns = self._turns
        return sum(self._error(self._forward(x, self._fixed_noise(x, turn))) for turn in turns) / len(turns)

    def forward(self, x, noise, training=False):
        """Compute a masked forward pass with all intermediate results, for comparison and for pictures.

        Args:
            x: [B, H, W, C].
            noise: [B, N]; the patches with the least stay visible.
            training: True applies drop path, and computes only the predictions that the loss needs.

        Returns:
            A dict: `tokens` [B, (1 +) visible, D], the encoder's output; `prediction` float32 [B, N, P] in the units
            of the target, in training [B, S, P] of S hidden patches, and `ids` int [B, S], their places; `target`
            float32 [B, N, P]; `mask` [B, N], 1 = hidden, 0 = visible; `patches` [B, N, P], of the standardised image;
            `loss` [B], the objective.
        """
        out = self._forward(self.prepare(x).x, noise, training, some=training)
        return {**out, "target": self._target(out["patches"]), "loss": self._error(out)}

    def adapt_target(self, images, batch_size=256):
        """Fit the target's principal components to patches of images [n, H, W, C], prepared as for training."""
        if self.target is None:
            raise InputError(f"{type(self).__name__}: no target to adapt; give target=kerasae.layers.LowVariance()")
        starts = range(0, len(images), batch_size)
        batches = (self.prepare(images[i : i + batch_size]).x for i in starts)
        self.target.adapt(ops.convert_to_numpy(self._pixels(self._first(x))) for x in batches)

    # The objective.

    def objective(self, batch, training=False):
        """Compute the mean squared error of each example's hidden patches: [B], normalised or standardised pixels².

        Outside training this is `score`: every patch is hidden at least once, and no mask is drawn.
        """
        if not training:
            return {"reconstruction": self.score_batch(batch)}
        noise = self.random(training).uniform((ops.shape(batch.x)[0], self.patches_shape[0]))
        return {"reconstruction": self._error(self._forward(batch.x, noise, training, some=True))}

    @property
    def _first(self):
        return self.encoder.layers[1]

    def _forward(self, x, noise, training=False, some=False):
        """Compute a masked forward pass; with `some`, only the predictions that the training loss needs."""
        ids_keep, ids_restore, mask = self._masks(ops.convert_to_tensor(noise, "float32"))
        patches = self._first(x)
        tokens = self._tokens(patches, ids_keep, mask, training)
        return {
            **self._predict(tokens, ids_restore, training, some),
            "tokens": tokens,
            "mask": mask,
            "patches": patches,
        }

    def _masks(self, noise):
        """Mask patches, in groups if set: ids_keep, ids_restore and mask, as `random_masking` returns them."""
        if self.mask_group == 1:
            return random_masking(noise, self.mask_ratio)
        return group_masking(noise, self.mask_ratio, self._grid, self.mask_group)

    def _tokens(self, patches, ids_keep, mask, training):
        """Encode the visible patches to tokens: [B, (1 +) visible, D]."""
        # Visible patches keep the positions that they have in the image.
        return run(self._encoding, gather_tokens(patches, ids_keep), training, PatchTokens, ids=ids_keep)

    def _predict(self, tokens, ids_restore, training, some):
        """Predict all patches, {"prediction": float32 [B, N, P]}; with `some`, as `_predict_some`."""
        if some:
            return self._predict_some(tokens, ids_restore, training)
        x = run(self._decoding, tokens, training, RestoredTokens, ids_restore=ids_restore)
        return {"prediction": ops.cast(x[:, -self.patches_shape[0] :], "float32")}  # without the class token

    def _predict_some(self, tokens, ids_restore, training):
        """Predict the last S patches in shuffled order: {"prediction": float32 [B, S, P], "ids": int [B, S]}.

        Attention does not depend on the order, so tokens stay shuffled. The last block computes only these S tokens.
        """
        ids, chain = ops.argsort(ids_restore, axis=-1), self._decoding
        final = max(i for i, layer in enumerate(chain) if isinstance(layer, TransformerBlock))
        x = run(chain[:final], tokens, training, RestoredTokens, ids=ids)
        x = run(chain[final:], x, training, TransformerBlock, last=self.predicted)
        return {"prediction": ops.cast(x, "float32"), "ids": ids[:, -self.predicted :]}

    @property
    def _grid(self):
        """Number of patches along each axis, (rows, columns) of an image."""
        return self.decoder.layers[-1].grid

    @property
    def _place(self):
        return next(layer for layer in self.encoder.layers if isinstance(layer, PatchTokens))

    @property
    def _encoding(self):
        """List the encoder's layers from patches to tokens."""
        return without(TokenPooling, self.encoder.layers[2:])

    @property
    def _decoding(self):
        """List the decoder's layers from tokens to patches."""
        return without(keras.layers.RepeatVector, self.decoder.layers[1:-1])

    def _pixels(self, patches):
        return normalize_patches(patches) if self.normalize_targets else patches

    def _target(self, patches):
        pixels = self._pixels(patches)
        return pixels if self.target is None else self.target.project(pixels)

    def _distance(self, prediction, target):
        """Compute the mean squared error of each patch: [B, N, P] twice → [B, N]."""
        return ops.mean(ops.square(prediction - target), axis=-1)

    def _error(self, out):
        if "ids" in out:
            target = gather_tokens(self._target(out["patches"]), out["ids"])
            return ops.mean(self._distance(out["prediction"], target), axis=-1)
        errors = self._distance(out["prediction"], self._target(out["patches"]))
        return ops.sum(errors * out["mask"], axis=-1) / ops.sum(out["mask"], axis=-1)

    def _fixed_noise(self, x, turn=0):
        """Make fixed noise, the same for every example: float32 [B, N], one permutation, rotated by `turn`."""
        return ops.tile(ops.convert_to_tensor(self._noise(turn)[None]), (ops.shape(x)[0], 1))

    def _noise(self, turn):
        groups, size = self.groups.shape
        ranks = (np.random.default_rng(0).permutation(groups) + turn) % groups
        noise = np.empty(groups * size, "float32")
        noise[self.groups] = ranks[:, None] + np.arange(size) / size
        return noise

    @property
    def _turns(self):
        """Rotations of the fixed noise under which every patch is hidden at least once."""
        groups, size = self.groups.shape
        return range(0, groups, groups - self.visible // size)

    def _in_range(self, x):
        """Clip values to [0, 1], unless they are standardised."""
        return x if self.standardization else ops.clip(x, 0.0, 1.0)

    def _group(self, mask_ratio, mask_group):
        """Set the groups of patches that are hidden together, and the number of visible patches."""
        self.groups, self.mask_group = group_members(self._grid, mask_group), mask_group
        groups, size = self.groups.shape
        names = ("patch", "patches") if size == 1 else ("group", "groups")
        self.visible = size * visible_count(groups, mask_ratio, *names)
        self.predicted = groups * size - self.visible

    def _aim_at(self, target):
        if not isinstance(target, LowVariance | None):
            raise InputError(
                f"{type(self).__name__}: target must be a kerasae.layers.LowVariance. Received: {target!r}"
            )
        self.target = target
        if target is not None and not target.built:
            target.build((None, *self.patches_shape))

    def _check_chains(self):
        wanted = [
            (self.encoder.layers[1:2], Patches),
            (self.encoder.layers, self.chain_layer),
            (self.decoder.layers[-1:], Images),
        ]
        for found, kind in wanted:
            if not any(isinstance(layer, kind) for layer in found):
                raise InputError(
                    f"{type(self).__name__}: the networks must be those of kerasae.networks.{self.builder} or of its "
                    f"presets, with a patch that divides the image; no {kind.__name__} layer was found where it must be"
                )
        self._check_decoder()

    def _check_decoder(self):
        if decoder_kind(self.decoder) not in self.decoders:
            names = " or ".join(map(repr, self.decoders))
            raise InputError(
                f"{type(self).__name__}: build the networks with kerasae.networks.vit(..., decoder={names}). "
                f"Received: a decoder that is {decoder_kind(self.decoder)!r}"
            )


def decoder_kind(decoder):
    """Tell the kind of a decoder of `kerasae.networks`; a "shallow" one counts as "deep" with one block."""
    kinds = {RestoredTokens: "deep", MaskQueries: "cross", MaskableBlock: "convolutional"}
    return next((kinds[c] for layer in decoder.layers for c in kinds if isinstance(layer, c)), "linear")


def run(chain, x, training, kind=(), **known):
    """Apply a chain of layers to x; layers of a `kind` also receive the keyword arguments `known`."""
    for layer in chain:
        x = layer(x, training=training, **(known if isinstance(layer, kind) else {}))
    return x


def without(kind, chain):
    """Drop the layers of a kind from a chain."""
    return [layer for layer in chain if not isinstance(layer, kind)]
