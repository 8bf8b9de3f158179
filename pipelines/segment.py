"""Segment images: learn the class of every pixel from few masks, on a pretrained encoder, beside controls.

Masks are PNG files with the names of the images, in a folder of their own: palette or grey integers are classes, 255 is
ignored; classes.txt in that folder names them, a line each. The run holds model.keras, classes.csv with the
intersection over union of each class, and a sheet of test images.
"""

from dataclasses import dataclass, field
from typing import Literal

from kerasae.errors import InputError
from pipelines.building import starting
from pipelines.command_line import door
from pipelines.command_line.fields import DerivedRecipe, NumericsFields
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import within
from pipelines.command_line.voice import printable
from pipelines.segmenting import judging, outputs, training


@dataclass(frozen=True, kw_only=True)
class Recipe(NumericsFields, DerivedRecipe):
    """Settings for training one segmenter on the encoder of a masked autoencoder."""

    masks: str
    """Folder of the masks, PNG files with the names of the images; needs --data folder:DIR, or a run on one."""
    labels: int | None = field(default=None, metadata=within("count"))
    """Training images whose masks are used, drawn by the seed; all when not given."""
    head: Literal["linear", "conv"] = "linear"
    """One linear layer from the token of a patch to its pixels, or steps of enlargement and convolution."""
    head_width: int = field(default=128, metadata=within("count"))
    """Channels of the first convolution of the head conv."""
    freeze: bool = False
    """Train the head only."""
    epochs: int = field(default=60, metadata=within("count"))
    """Epochs of training; the best on the holdout is kept."""
    scratch_epochs: int | None = field(default=None, metadata=within("count"))
    """Epochs of the control from scratch; three times epochs when not given."""
    patience: int | None = field(default=None, metadata=within("count"))
    """Epochs without a better holdout after which training stops."""
    batch_size: int = field(default=16, metadata=within("count"))
    """Images per step."""
    min_steps: int = field(default=10, metadata=within("count"))
    """Steps that an epoch has at least."""
    rate: float = field(default=1e-3, metadata=within("positive"))
    """Peak learning rate."""
    warmup: float = field(default=0.1, metadata=within("share"))
    """Share of the steps over which the learning rate rises; it then falls along a half-cosine."""
    weight_decay: float = field(default=0.05, metadata=within("amount"))
    """Decoupled weight decay; biases are spared."""
    class_weights: tuple[str, ...] | None = None
    """Weights of the classes in the loss: balanced, by the pixels of each, or a number for each class in order."""
    flip: bool = False
    """Mirror half of the images, and their masks, left to right."""
    holdout: float = field(default=0.2, metadata=within("share"))
    """Share of the labelled images held out to choose the best epoch; 0 keeps the last."""
    scratch: bool = True
    """Also train the same network from random weights, as a control."""
    baselines: bool = True
    """Also name the pixels by the most frequent class, by classifiers of pixels, and by a U-Net from scratch."""

    @property
    def folder(self):
        """Name the folder inside the run by the head and the number of labels."""
        return f"segment-{self.head}-{self.labels or 'all'}"

    @property
    def batch(self):
        """Count the images of a step."""
        return self.batch_size

    divisible = balanced_sampling = False
    """A batch is computed as a whole, and every labelled image comes once an epoch."""


def run(recipe: Recipe):
    """Load the encoder, learn the masks, compare with the control and the baselines, save model and pictures."""
    from kerasae import runs

    with door.entered(recipe) as (recipe, source, begin):
        model = starting.fit_to(runs.load_model(recipe.run), source.info, recipe.run)
        check(recipe, model)
        parts = training.parts(recipe, source)
        for note in parts.notes:
            print(printable(f"{recipe.masks}: {note}"))
        directory = begin("segment", origin=model, data=parts.info, labelled=True)
        found = training.trained(directory, model, parts, recipe)
        directory.save_model(found.segmenter)
        figures, measured = judging.judged(found, parts, recipe)
        outputs.write(directory, found, parts, measured)
        return finish(directory, figures)


def check(recipe, model):
    """Raise InputError for a model without places, or settings that contradict each other."""
    if not getattr(model, "has_tokens", False) or len(model.example_shape) != 3:
        raise InputError(
            f"run: segment needs a masked autoencoder of images (kerasae mae), not what {recipe.run} holds"
        )
    if recipe.scratch_epochs is not None and not recipe.scratch:
        raise InputError("scratch_epochs: only with scratch; leave one of the two out")
    if recipe.patience is not None and not recipe.holdout:
        raise InputError("patience: needs a holdout; leave patience out")
