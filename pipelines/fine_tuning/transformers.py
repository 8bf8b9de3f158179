"""Fine-tune deep encoders of images: augmentation, layer decay, drop path; He et al., arXiv 2111.06377, table 9."""

from dataclasses import dataclass, field
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.command_line.ranges import within


@dataclass(frozen=True, kw_only=True)
class VisionFields:
    """Settings of the augmentation of images and of the fine-tuning of deep encoders; all off by default."""

    pooling: Literal["mean", "class", "mean_norm"] | None = None
    """The code under the head: the mean of the patches' normalised tokens, the class token, or the mean of the tokens,
    normalised by a new layer; that of the run when not given."""
    layer_decay: float = field(default=1.0, metadata=within("factor"))
    """The learning rate of each layer is this many times that of the next; 1 for the same everywhere. The control from
    scratch has no features to keep, and the full rate everywhere."""
    drop_path: float = field(default=0.0, metadata=within("share"))
    """Rate at which the last block, of a transformer or of convnext, drops a branch; it rises linearly from 0."""
    min_rate: float = field(default=0.0, metadata=within("amount"))
    """Learning rate at the end."""
    ema: float = field(default=0.0, metadata=within("share"))
    """Momentum of the moving average of the weights that is evaluated and saved; 0 for none."""
    crop: float = field(default=1.0, metadata=within("factor"))
    """Least area of the random crop as a share of the image; 1 for no crop."""
    flip: bool = False
    """Mirror half of the images left to right."""
    rand_augment: float = field(default=0.0, metadata=within("magnitude"))
    """Magnitude of RandAugment, up to 10; 0 for none."""
    erasing: float = field(default=0.0, metadata=within("share"))
    """Share of the images in which a random rectangle becomes noise."""
    mixup: float = field(default=0.0, metadata=within("amount"))
    """α of MixUp, which blends images and their labels; 0 for none. With CutMix, each has half of the batches."""
    cutmix: float = field(default=0.0, metadata=within("amount"))
    """α of CutMix, which pastes a rectangle of one image into another; 0 for none."""
    jit: bool = False
    """Compile the step with XLA; it takes a while at the start, and computes a batch as a whole."""


def check(recipe, info, encoder):
    """Raise InputError before anything is trained if these data or this encoder cannot be fine-tuned on like that."""
    images = ("crop", "flip", "rand_augment", "erasing", "mixup", "cutmix")
    asked = [name for name in images if getattr(recipe, name) != VisionFields.__dataclass_fields__[name].default]
    if asked and len(info.shape) != 3:
        raise InputError(f"{asked[0]}: expected images. Received: examples {info.shape}; leave {asked[0]} out")
    if info.label_kind != "class" and (recipe.mixup or recipe.cutmix):
        raise InputError(f"mixup, cutmix: need one class per image, not {info.label_kind}; leave them out")
    if recipe.min_rate > recipe.finetune_rate:
        raise InputError(
            f"min_rate: expected at most finetune_rate, {recipe.finetune_rate:g}. Received: {recipe.min_rate:g}"
        )
    if recipe.drop_path and not blocks(encoder):
        raise InputError(f"drop_path: {recipe.run} has no blocks, whose branches it drops; leave it out")
    if recipe.pooling and not has_tokens(encoder):
        raise InputError(f"pooling: {recipe.run} has no tokens, of which it makes the code; leave it out")
    if recipe.layer_decay < 1 and recipe.freeze:
        raise InputError("layer_decay: with freeze only the head is trained; leave one of the two out")


def blocks(encoder):
    """List the names of an encoder's blocks with a branch to drop, in order."""
    from kerasae.layers import ConvNextBlock, TransformerBlock

    return [layer.name for layer in encoder.layers if isinstance(layer, ConvNextBlock | TransformerBlock)]


def has_tokens(encoder):
    """Tell whether an encoder is a vision transformer."""
    from kerasae.layers import TransformerBlock

    return any(isinstance(layer, TransformerBlock) for layer in encoder.layers)


def clone(encoder, drop_path):
    """Copy an encoder with new random weights, this drop path, and the current precision."""
    import keras

    from kerasae.layers import Images, Patches

    names, policy = blocks(encoder), keras.config.dtype_policy().name

    def copy(layer):
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer, clone_function=copy)
        config = layer.get_config()
        if drop_path and layer.name in names:
            config["drop_path"] = drop_path * names.index(layer.name) / max(1, len(names) - 1)
        if policy != "float32" and not isinstance(layer, Images | Patches):  # pixels keep float32
            config["dtype"] = policy
        return type(layer).from_config(config)

    return keras.models.clone_model(encoder, clone_function=copy)


def augmentation(recipe, info, encoder, others=()):
    """Build the augmentations that the recipe names, with `others` after the crops, or None.

    What comes from outside the picture, and the noise in erased rectangles, are as the encoder standardises images.
    """
    mean, std = standards(encoder)
    data = kerasae.data
    steps = [data.RandomResizedCrop((recipe.crop, 1.0), maximum=info.max_value)] if recipe.crop < 1 else []
    steps += [data.RandomFlip()] if recipe.flip else []
    steps += others
    if recipe.rand_augment:
        fill = 0.5 if mean is None else mean
        steps.append(data.RandAugment(magnitude=recipe.rand_augment, maximum=info.max_value, fill=fill))
    if recipe.erasing:
        steps.append(data.RandomErasing(recipe.erasing, maximum=info.max_value, mean=mean, std=std))
    return data.Chain(*steps) if steps else None


def standards(encoder):
    """Read the mean and deviation by which an encoder standardises images; (None, 1) if it does not."""
    from kerasae.layers import Patches

    found = [(layer.mean, layer.std) for layer in encoder.layers if isinstance(layer, Patches)]
    return found[0] if found and found[0] != (0.0, 1.0) else (None, 1.0)


def mixing(recipe, info):
    """Build the mixing of examples that the recipe names, or None."""
    if not recipe.mixup and not recipe.cutmix:
        return None
    return kerasae.data.Mixing(info.classes, recipe.mixup, recipe.cutmix)
