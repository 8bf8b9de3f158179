"""Base classes of recipes: fields for data, numerics and run directories."""

from dataclasses import dataclass, field, fields, replace
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.command_line.ranges import check, within
from pipelines.command_line.voice import printable

LABELS = ("labels_file", "name_column", "label_columns", "label_kind")
"""Fields that say where labels are, beside the images; also names of arguments of `kerasae.data.load`."""

VALUES = (
    *("center", "unlabelled", "min_value", "max_value", "target", "by", "window", "step", "test_share"),
    *("words", "text_as", "steps", "binarize", "only_class", "sequences"),
)
"""Fields by which stored values and folders are read."""

CHANGES = ("binarize", "only_class")
"""Those of them that change a source after it was read."""

READ_BY_RUNS = (*(name for name in VALUES if name not in CHANGES), "bands", "category_columns", *LABELS)
"""Fields that say, beside the size, what the data mean; also names of arguments of `kerasae.data.load`."""


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """A recipe that reads data."""

    data: str = "digits"
    """Data set: digits, shapes, tfds:NAME[/config], folder:DIR, npz:FILE, table:FILE, ratings:FILE, series:FILE,
    text:FILE_OR_DIR or onehot:N."""
    data_dir: str | None = None
    """Folder in which TensorFlow Datasets keeps its data sets."""
    image_size: tuple[int, ...] | None = None
    """Resize images of mixed sizes: one number for a square, or height and width."""
    center: float = field(default=1.0, metadata=within("factor"))
    """Share of an image's side that is kept around its centre when it is resized; 0.875 is usual for photos."""
    skip_broken: bool = False
    """Count and skip images that cannot be read instead of stopping."""
    unlabelled: bool = False
    """Do not take the sub-folders of a folder of images as classes."""
    min_value: float | None = None
    """Stored value that means 0, of floats only; 0 when not given."""
    max_value: float | None = None
    """Stored value that means 1, such as 4095 for scans of 12 bits; the largest of the type, or 1 for floats, when not
    given."""
    bands: tuple[int, ...] | None = field(default=None, metadata=within("count"))
    """Bands of images, or channels of recordings, to use, by their numbers from 1; all when not given."""
    labels_file: str | None = None
    """Table with the labels of a folder's files, .csv or .parquet, in place of classes by folder. Files that it does
    not list, or leaves empty, have no label: they are pretrained on only."""
    name_column: str | None = None
    """Its column with the names of the files below the folder; the first when not given."""
    label_columns: tuple[str, ...] | None = None
    """Its columns with labels; all others when not given."""
    label_kind: Literal["class", "classes", "numbers"] | None = None
    """One class per image, several classes, or numbers; found from the columns when not given."""
    target: str | None = None
    """Column of a table with the label, a class or a number; the others are the example."""
    category_columns: tuple[str, ...] | None = None
    """Columns of a table whose numbers are codes of categories; columns of words are categories anyway."""
    by: Literal["item", "user"] | None = None
    """What an example is where the data are ratings: all ratings of an item, which is the default, or by a user."""
    window: int | None = field(default=None, metadata=within("count"))
    """Samples in a window of a recording, which is an example."""
    step: int | None = field(default=None, metadata=within("count"))
    """Samples from the start of a window to that of the next; the window when not given."""
    test_share: float | None = field(default=None, metadata=within("share"))
    """Share of each recording, at its end, that is the test part; 0.2 when not given, 0 for none."""
    words: int | None = field(default=None, metadata=within("count"))
    """Most words of the vocabulary of a text; 2,000 when not given."""
    text_as: Literal["words", "characters"] | None = None
    """What the tokens of a text are, whose order is kept; bags of words when not given."""
    steps: int | None = field(default=None, metadata=within("count"))
    """Most tokens of a line of such a text, of which longer ones are cut; 64 when not given."""
    binarize: bool = False
    """Take values from 0 to 1 as chances: training steps draw 0 or 1 anew, all else sees one fixed draw."""
    only_class: str | None = None
    """Learn from this class only, by its name or number, as what is normal; the test part keeps all classes."""
    sequences: bool = False
    """Take the arrays [N, T, C], or [N, T], of an .npz file as sequences of T steps, not as grey images or vectors."""
    accept_changed_data: bool = False
    """Use or resume a run although its data have changed."""
    seed: int = field(default=0, metadata=within("seed"))
    """Seed of the weights, of the order of the examples and of the choice of labels."""
    deterministic: bool = False
    """Use only operations that give the same bits every time, also on GPUs, where they are slower."""

    def __post_init__(self):
        check(self)

    def resolved(self):
        """Fill in the defaults that depend on other values; here there are none."""
        return self

    def size_for(self, shape):
        """Choose the size to read images at where none is given, from their shape or None for mixed sizes; None keeps
        it."""
        return None

    def known_columns(self):
        """Return the columns of a table that a model has learned from; None where none has yet."""
        return None

    def source(self):
        """Open the data set as a `kerasae.data.Source`; raises InputError for data that cannot be used."""
        size = self.image_size[0] if self.image_size and len(self.image_size) == 1 else self.image_size
        options = {name: getattr(self, name) for name in READ_BY_RUNS}
        options |= {"image_size": size, "skip_broken": self.skip_broken, "columns": self.known_columns()}
        source = kerasae.data.load(self.data, data_dir=self.data_dir, **options)
        source = kerasae.data.binarized(source) if self.binarize else source
        source = kerasae.data.only_class(source, self.only_class) if self.only_class else source
        if source.info.skipped:
            print(f"{self.data}: {source.info.skipped} broken image{'s'[: source.info.skipped > 1]} skipped")
        for note in source.info.notes:
            print(printable(f"{self.data}: {note}"))
        return source


@dataclass(frozen=True, kw_only=True)
class NumericsFields:
    """Settings for devices, number format, and steps that are not finite."""

    devices: str = "auto"
    """Devices to train on: auto, cpu, cpu:N (to try out N devices), gpu, gpu:0,1 or tpu."""
    data_workers: tuple[str, ...] = field(default=(), metadata={"may_be_empty": True})
    """Addresses host:port of `kerasae data-worker`, which prepare the batches; this process does when none is given."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """Number format of matrix products; weights, losses and the saved model are float32. Auto is bfloat16 if the
    processor multiplies it faster, else float32."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """What to do if a loss or a gradient is not finite: stop, or skip the step and count it."""


def in_place_of(epochs):
    """Make the field `minutes`, from which a pipeline chooses the value of its field called `epochs`."""
    return field(default=None, metadata=within("positive", in_place_of=epochs))


def refuse_both(recipe, given):
    """Raise InputError if both minutes and the epochs that they choose were given; `given` maps fields to values."""
    for f in fields(recipe):
        other = f.metadata.get("in_place_of")
        if other in given and given.get(f.name) is not None:
            raise InputError(
                f"{f.name}: expected {f.name} or {other}, not both, because minutes choose {other}; leave one out"
            )


@dataclass(frozen=True, kw_only=True)
class RunRecipe(DataRecipe):
    """A recipe that writes a run directory."""

    out: str | None = None
    """Run directory; when not given, runs/ and the name of the recipe or command."""

    def resolved(self):
        """Fill in the default run directory: runs/ and the recipe's `folder`."""
        return replace(self, out=self.out or f"runs/{self.folder}")


HEADS = {"detect": "detector", "segment": "segmenter"}
"""Command → what it makes of a trained run, which most commands cannot start from."""


@dataclass(frozen=True, kw_only=True)
class StartedRecipe(DataRecipe):
    """A recipe that starts from a run, and reads that run's data unless it names others."""

    run: str = field(metadata={"positional": True})
    """Directory of the run to start from."""
    data: str | None = None
    """Data set; that of the run when not given."""

    takes_heads = False
    """Whether the run may hold what another command has made of a trained run."""

    def resolved(self):
        """Fill in the data of the run."""
        return self.reading_like_run()

    def known_columns(self):
        """Return the columns that the run has learned from, if its data and these are tables, or texts."""
        from kerasae.runs import table_columns

        return table_columns(self.run) if self.data.startswith(("table:", "text:")) else None

    def reading_like_run(self):
        """Take over the run's data and how they are read, unless this recipe names data."""
        from kerasae.runs import read_recipe

        recorded = read_recipe(self.run)
        if recorded["command"] in HEADS and not self.takes_heads:
            what, of = HEADS[recorded["command"]], recorded["recipe"].get("run")
            raise InputError(f"run: {self.run} holds a {what}; give the run that it was made from, {of}")
        origin = recorded["recipe"]
        if self.data is not None:
            return self  # the run's settings apply to its own data only
        if origin.get("data") is None:
            raise InputError(f"data: {self.run} was not trained here and records no data set; name one with --data")
        size = self.image_size or origin.get("image_size")
        return replace(
            self,
            data=origin.get("data"),
            data_dir=self.data_dir or origin.get("data_dir"),
            image_size=tuple(size) if size else None,
            skip_broken=self.skip_broken or bool(origin.get("skip_broken")),
            bands=self.bands or (tuple(origin["bands"]) if origin.get("bands") else None),
            category_columns=self.category_columns or tuple(origin.get("category_columns") or ()) or None,
            **{name: self._given_or_recorded(origin, name) for name in VALUES},
            **self._labels_of(origin),
        )

    def _labels_of(self, origin):
        """Return the fields of the labels: this recipe's own if it names a file of them, or the run's file."""
        if self.labels_file is not None:
            return {}
        found = {name: self._given_or_recorded(origin, name) for name in LABELS}
        columns = found["label_columns"]
        return found | {"label_columns": tuple(columns) if columns else None}

    def _given_or_recorded(self, origin, name):
        """Return a field of this recipe, or the run's where this one keeps the default."""
        value, default = getattr(self, name), DataRecipe.__dataclass_fields__[name].default
        return value if value != default else origin.get(name, default)


@dataclass(frozen=True, kw_only=True)
class DerivedRecipe(StartedRecipe):
    """A recipe that starts from a run and writes another run directory."""

    out: str | None = None
    """Run directory of the result; a folder inside the run when not given."""

    def resolved(self):
        """Fill in the run's data, and the default run directory: `folder` inside the run."""
        from kerasae.runs import refuse_links

        found = self.reading_like_run()
        refuse_links(self.run)  # a link would let results be written outside the run
        return replace(found, out=self.out or f"{self.run}/{self.folder}")
