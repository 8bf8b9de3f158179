"""Choose how to pretrain and to fine-tune from what the data are: the rules of `kerasae pretrain`.

docs/pretrain.md says what they gave, and docs/log.md which networks were tried.
"""

from pipelines import finetune, mae, stacked

LARGEST = 96
"""Side in pixels beyond which images are shrunk to `SHRUNK`, as images of mixed sizes are."""

SHRUNK = 64

PATCH = 8
"""Largest side of a patch."""

SMALL = 16
"""Side in pixels from which images are scaled up to whole patches of 8: smaller patches make shallow networks."""

PRETRAINING, TUNING = 0.55, 0.25
"""Shares of the minutes; the rest is for baselines, export and the page."""


def image_size(shape):
    """Choose the size to read images of a shape at, None for mixed sizes: None for their own, or (height, width)."""
    if shape is None:
        return (SHRUNK,)
    if len(shape) != 3 or min(shape[:2]) < SMALL:
        return None
    if max(shape[:2]) > LARGEST:
        return (SHRUNK,)
    whole = tuple(-(-n // PATCH) * PATCH for n in shape[:2])
    return None if whole == tuple(shape[:2]) else whole


def patch(shape):
    """Choose the patch: the largest power of two up to 8 that cuts both sides in four parts or more; 1 if none does."""
    sides = (PATCH // 2**i for i in range(3))
    return next((side for side in sides if all(n % side == 0 and n // side >= 4 for n in shape[:2])), 1)


def masks(shape):
    """Tell whether examples are images that patches of two pixels or more divide."""
    return len(shape) == 3 and patch(shape) > 1


def pretraining(info, shared, minutes):
    """Choose the recipe of the pretraining: a masked convolutional network for images, else a stack of dense layers.

    Args:
        info: of the data.
        shared: fields that the recipe has in common with the caller's.
        minutes: for all of it.
    """
    shared = {**shared, "minutes": PRETRAINING * minutes}
    if not masks(info.shape) or info.standardized:
        return stacked.Recipe(**shared, widths=(512, 256), supervised=False)
    return mae.Recipe(
        **shared,
        network="vgg",
        patch=(patch(info.shape),),
        mask_ratio=0.5,
        batch_size=128,
        base_rate=4e-3,
        warmup_epochs=5,
        crop=1.0,
        flip=mirrored(info),
    )


def tuning(info, run, labels, shared, minutes):
    """Choose the recipe of the fine-tuning of a run."""
    pictures = len(info.shape) == 3 and not info.standardized
    convolves, photos = pictures and masks(info.shape), pictures and mirrored(info)
    return finetune.Recipe(
        **shared,
        run=str(run),
        labels=labels,
        minutes=TUNING * minutes,
        finetune_batch=64,
        finetune_rate=2e-3 if convolves else 1e-3,
        weight_decay=0.05,
        dropout=0.5 if convolves else 0.0,
        augment="affine" if pictures and not photos else "none",
        crop=0.6 if photos else 1.0,
        flip=photos,
    )


def mirrored(info):
    """Tell whether to mirror images: those with colour, as grey ones may be letters."""
    return info.shape[-1] == 3


def explain(info, recipe):
    """Say in one line what was chosen."""
    scaled = "scaled to " if recipe.image_size else ""
    count = f"{info.counts['train']:,} examples {scaled}{'×'.join(map(str, info.shape))}"
    if isinstance(recipe, stacked.Recipe):
        return f"{count}: a stack of denoising autoencoders, {' and '.join(map(str, recipe.widths))} wide"
    return f"{count}: a masked convolutional network, patches of {recipe.patch[0]}×{recipe.patch[0]}"
