"""Look up network, images and updates of the recipe or run that is to be planned."""

import json
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path

from kerasae.errors import InputError
from pipelines import mae, recipes
from pipelines.planner.cost import SIZES, Network
from pipelines.recipes import imagenet

DATA = {
    "digits": (1437, (8, 8, 1), True),
    "tfds:mnist": (60_000, (28, 28, 1), True),
    "tfds:fashion_mnist": (60_000, (28, 28, 1), True),
    "tfds:cifar10": (50_000, (32, 32, 3), True),
    "tfds:cifar100": (50_000, (32, 32, 3), True),
    "tfds:imagenet2012": (1_281_167, (None, None, 3), False),
}
"""Data set → number of training images, their shape (None: sizes differ), whether they are held in memory."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Sizes of a pretraining: network, images, batches and epochs."""

    name: str
    network: Network
    shape: tuple[int, int, int]
    images: int
    epochs: int
    batch: int
    accumulate: int
    value_bytes: int
    in_memory: bool

    @classmethod
    def of(cls, recipe):
        """Read the recipe or run that a plan names; raise InputError if it cannot be planned."""
        chosen = named(recipe.recipe)
        images, shape, in_memory = data(recipe, chosen)
        total = min(chosen.batch_size * chosen.accumulate, images)
        passes = recipe.accumulate or chosen.accumulate
        job = cls(
            name=recipe.recipe,
            network=network(chosen, shape),
            shape=shape,
            images=images,
            epochs=chosen.epochs,
            batch=total,
            accumulate=passes,
            value_bytes=2 if chosen.precision in ("auto", "bfloat16") else 4,
            in_memory=in_memory,
        )
        return job.checked(recipe)

    def checked(self, recipe):
        """Return the job; raise InputError if its batch cannot be divided among the plan's GPUs."""
        if recipe.gpus > recipe.host_gpus and recipe.gpus % recipe.host_gpus:
            raise InputError(
                f"gpus: expected whole hosts of {recipe.host_gpus} GPUs. Received: {recipe.gpus}; change --host-gpus"
            )
        if self.batch % self.accumulate or self.batch // self.accumulate < recipe.gpus:
            raise InputError(
                f"gpus: {self.batch} images in {self.accumulate} equal passes cannot be shared by {recipe.gpus} GPUs; "
                "give fewer GPUs, or another --accumulate"
            )
        return self

    def at_once(self, gpus):
        """Count the images of one pass on the GPU that gets most."""
        return -(-self.batch // self.accumulate // gpus)

    @property
    def updates(self):
        return self.epochs * self.updates_per_epoch

    @property
    def updates_per_epoch(self):
        return self.images // self.batch


def published(size, patch):
    """Return the paper's recipe for ImageNet, with the 800 epochs of its ablations."""
    return imagenet.pretraining(size, patch=(patch,), epochs=800)


PUBLISHED = {"vit-b": ("base", 16), "vit-l": ("large", 16), "vit-h": ("huge", 14)}


def named(name):
    """Find the `mae.Recipe` of a recipe's name or of a run directory."""
    known = recipes.of("mae")
    if name in PUBLISHED:
        return published(*PUBLISHED[name])
    if name in known:
        return known[name]()
    if (Path(name) / "recipe.json").is_file():
        return recorded(Path(name))
    names = [*known, *PUBLISHED]
    if owner := owner_of(name):
        raise InputError(f"{name} is a recipe of `{owner}`; only those of `mae` can be planned: {', '.join(names)}")
    near = get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(names)}"
    raise InputError(f"{name} is neither a recipe of `mae` nor a run directory; {hint}")


def owner_of(name):
    """Find the command that has a recipe of this name, or None."""
    return next((command for command in sorted(recipes.COMMANDS) if name in recipes.of(command)), None)


def recorded(path):
    """Read the recipe that a run of `kerasae mae` recorded."""
    try:
        content = json.loads((path / "recipe.json").read_text())
        command, values = content["command"], dict(content["recipe"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path} is not a run directory: it has no readable recipe.json") from None
    if command != "mae":
        raise InputError(f"{path} is a run of `{command}`; only runs of `mae` can be planned")
    names = {f.name for f in fields(mae.Recipe)}
    try:
        made = mae.Recipe(**{n: tuple(v) if type(v) is list else v for n, v in values.items() if n in names})
        SIZES[made.size], DATA.get(made.data)  # noqa: B018 (raises KeyError or TypeError for values that are not names)
        return made
    except (TypeError, KeyError):
        raise InputError(f"{path}/recipe.json holds values that no recipe of `mae` has") from None


def data(recipe, chosen):
    """Look up the number of training images, their shape, and whether they are held in memory."""
    count, shape, in_memory = DATA.get(chosen.data, (None, (None, None, None), False))
    size = recipe.image_size or chosen.image_size or shape[:2]
    size = (size * 2)[:2] if len(size) == 1 else size
    images = recipe.images or count
    if images is None or None in size:
        raise InputError(
            f"{chosen.data}: a plan knows neither number nor size of its images, and opens no data; give --images "
            "and --image-size"
        )
    if len(size) != 2:
        raise InputError(f"image_size: expected one number, or height and width. Received: {size}")
    return images, (*size, recipe.channels or shape[2] or 3), in_memory


def network(chosen, shape):
    """Compute the network's sizes from a `mae.Recipe` and the shape of the images."""
    if chosen.network != "vit":
        raise InputError(f"network: a plan counts vision transformers only. Received: {chosen.network}")
    patch = chosen.patch or mae.PATCHES[2]
    patch = (patch * 2)[:2] if len(patch) == 1 else patch
    unit = chosen.mask_group
    if len(patch) != 2 or any(side % (p * unit) for side, p in zip(shape[:2], patch, strict=True)):
        raise InputError(f"patch: groups of {unit}×{unit} patches {patch} must divide the images, {shape[:2]}")
    patches = shape[0] // patch[0] * (shape[1] // patch[1])
    ratio = chosen.mask_ratio if chosen.mask_ratio is not None else 0.6 if chosen.decoder == "linear" else 0.75
    visible = unit**2 * int(patches // unit**2 * (1 - ratio))
    if not 0 < visible < patches:
        raise InputError(
            f"mask_ratio: expected some visible and some hidden patches. Received: {ratio}, which leaves {visible} of "
            f"{patches} visible"
        )
    share = chosen.prediction_ratio if chosen.prediction_ratio is not None else 0.25
    given = {name: getattr(chosen, name) for name in SIZES[chosen.size]}
    return Network(
        patches=patches,
        values=patch[0] * patch[1] * shape[2],
        visible=visible,
        predicted=round(patches * share) if chosen.decoder == "cross" else 0,
        decoder=chosen.decoder,
        learned_positions=chosen.learned_positions,
        low_variance=chosen.low_variance > 0,
        **SIZES[chosen.size] | {name: value for name, value in given.items() if value is not None},
    )
