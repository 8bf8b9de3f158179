"""What the recipes of several pipelines share: where the data come from and where the run goes."""

from dataclasses import dataclass, field, fields, replace
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.command_line.ranges import check, within
from pipelines.command_line.voice import printable

LABELS = ("labels_file", "name_column", "label_columns", "label_kind")
"""Fields that say where labels are, beside the images; also names of arguments of `kerasae.data.load`."""

READ_BY_RUNS = ("center", "unlabelled", "min_value", "max_value", "bands", *LABELS)
"""Fields that say, beside the size, what the data mean; also names of arguments of `kerasae.data.load`."""


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """A recipe that reads data."""

    data: str = "digits"
    """Data set: digits, tfds:NAME[/config], folder:DIR or npz:FILE."""
    data_dir: str | None = None
    """Folder in which TensorFlow Datasets keeps its data sets."""
    image_size: tuple[int, ...] | None = None
    """Resize images of mixed sizes: one number for a square, or height and width."""
    center: float = field(default=1.0, metadata=within("factor"))
    """Share of an image's side that is kept around its centre when it is resized; 0.875 is usual for photos."""
    skip_broken: bool = False
    """Count and skip images that cannot be read instead of stopping."""
    unlabelled: bool = False
    """Take folders in a folder of images as places, not as classes."""
    min_value: float | None = None
    """Stored float that means 0; 0 when not given."""
    max_value: float | None = None
    """Stored value that means 1, such as 4095 for scans of 12 bits; the largest of the type, or 1 for floats, when not
    given."""
    bands: tuple[int, ...] | None = field(default=None, metadata=within("count"))
    """Bands of images to use, by their numbers from 1; all when not given."""
    labels_file: str | None = None
    """Table with the labels of a folder's files, .csv or .parquet, in place of classes by folder. Files that it does
    not list, or leaves empty, have no label: they are pretrained on only."""
    name_column: str | None = None
    """Its column with the names of the files below the folder; the first when not given."""
    label_columns: tuple[str, ...] | None = None
    """Its columns with labels; all others when not given."""
    label_kind: Literal["class", "classes", "numbers"] | None = None
    """One class per image, several classes, or numbers; found from the columns when not given."""
    accept_changed_data: bool = False
    """Go on with a run although its data have changed since."""
    seed: int = field(default=0, metadata=within("seed"))
    """Seed of the weights, of the order of the examples and of the choice of labels."""
    deterministic: bool = False
    """Use only operations that give the same bits every time, also on GPUs, where they are slower."""

    def __post_init__(self):
        check(self)

    def resolved(self):
        """Fill in the defaults that depend on other values; a recipe of data alone has none."""
        return self

    def size_for(self, shape):
        """Choose the size to read images at where none is given, from their shape or None for mixed sizes; None keeps
        it."""
        return None

    def source(self):
        """Open the data set as a `kerasae.data.Source`; raises InputError for data that cannot be used."""
        size = self.image_size[0] if self.image_size and len(self.image_size) == 1 else self.image_size
        options = {name: getattr(self, name) for name in READ_BY_RUNS}
        options |= {"image_size": size, "skip_broken": self.skip_broken}
        source = kerasae.data.load(self.data, data_dir=self.data_dir, **options)
        if source.info.skipped:
            print(f"{self.data}: {source.info.skipped} broken image{'s'[: source.info.skipped > 1]} skipped")
        for note in source.info.notes:
            print(printable(f"{self.data}: {note}"))
        return source


@dataclass(frozen=True, kw_only=True)
class NumericsFields:
    """Choose devices, number format, and what to do when a loss or gradient is not finite."""

    devices: str = "auto"
    """Devices to train on: auto, cpu, cpu:N (to try out N devices), gpu, gpu:0,1 or tpu."""
    data_workers: tuple[str, ...] = field(default=(), metadata={"may_be_empty": True})
    """Where `kerasae data-worker` runs, host:port each: they prepare the batches; this process when none is given."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """Number format of the products; weights, losses and the saved model are float32. Auto is bfloat16 where the
    processor multiplies it faster, else float32."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """What to do when a loss or a gradient is not finite: stop, or leave this step out and count it."""


def in_place_of(epochs):
    """Field of the minutes from which a pipeline chooses its epochs, the field of that name."""
    return field(default=None, metadata=within("positive", in_place_of=epochs))


def refuse_both(recipe, given):
    """Raise InputError if minutes were given, and the epochs that they choose too, by names of a recipe's fields."""
    for f in fields(recipe):
        other = f.metadata.get("in_place_of")
        if other in given and given.get(f.name) is not None:
            raise InputError(f"{f.name}: expected it, or {other}, but not both: minutes choose {other}; leave one out")


@dataclass(frozen=True, kw_only=True)
class RunRecipe(DataRecipe):
    """A recipe that writes a run directory."""

    out: str | None = None
    """Run directory; when not given, the name of the recipe or of the command under runs/."""

    def resolved(self):
        """Fill in the run directory where none is given: runs/ and the recipe's `folder`."""
        return replace(self, out=self.out or f"runs/{self.folder}")


@dataclass(frozen=True, kw_only=True)
class StartedRecipe(DataRecipe):
    """A recipe that starts from a run, and reads its data unless others are named."""

    run: str = field(metadata={"positional": True})
    """Directory of the run to start from."""
    data: str | None = None
    """Data set; that of the run when not given."""

    def resolved(self):
        """Fill in the data of the run."""
        return self.reading_like_run()

    def reading_like_run(self):
        """This recipe with data, and the way of reading them, of its run; as it is where it names data of its own."""
        from kerasae.runs import read_recipe

        origin = read_recipe(self.run)["recipe"]
        if self.data is not None:
            return self  # how the run read its own data says nothing about others
        if origin.get("data") is None:
            raise InputError(f"{self.run} was not trained here and has no data of its own; give some with --data")
        size = self.image_size or origin.get("image_size")
        return replace(
            self,
            data=origin.get("data"),
            data_dir=self.data_dir or origin.get("data_dir"),
            image_size=tuple(size) if size else None,
            skip_broken=self.skip_broken or bool(origin.get("skip_broken")),
            bands=self.bands or (tuple(origin["bands"]) if origin.get("bands") else None),
            **{name: self._or_of(origin, name) for name in ("center", "unlabelled", "min_value", "max_value")},
            **self._labels_of(origin),
        )

    def _labels_of(self, origin):
        """Return the fields of the labels: this recipe's own if it names a file of them, or the run's file."""
        if self.labels_file is not None:
            return {}
        found = {name: self._or_of(origin, name) for name in LABELS}
        columns = found["label_columns"]
        return found | {"label_columns": tuple(columns) if columns else None}

    def _or_of(self, origin, name):
        """Return a field of this recipe, or the run's where this one keeps the default."""
        value, default = getattr(self, name), DataRecipe.__dataclass_fields__[name].default
        return value if value != default else origin.get(name, default)


@dataclass(frozen=True, kw_only=True)
class DerivedRecipe(StartedRecipe):
    """A recipe that starts from the run of another, and writes one of its own."""

    out: str | None = None
    """Run directory of the result; a folder inside the run's when not given."""

    def resolved(self):
        """Fill in the data of the run, and the run directory where none is given: `folder` inside that run."""
        from kerasae.runs import refuse_links

        found = self.reading_like_run()
        refuse_links(self.run)  # one in the place of the folder would lead the results elsewhere
        return replace(found, out=self.out or f"{self.run}/{self.folder}")
