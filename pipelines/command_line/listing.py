"""List the variants, the named recipes and the kinds of data sets."""

from dataclasses import dataclass

from kerasae.models import catalogue

SOURCES = {
    "digits": "scikit-learn's 1,797 handwritten digits of 8×8 pixels, no download",
    "shapes": "3,840 drawn images of 16×16 pixels of squares, ellipses and triangles, labelled by their five factors",
    "tfds:NAME[/config]": "TensorFlow Datasets; --data-dir says where they lie",
    "folder:DIR": "images in a folder, a folder per class or none, perhaps in train/, val/ and test/ (docs/data.md)",
    "npz:FILE": "arrays x_train, y_train, x_test, y_test; the labels are optional",
    "ratings:FILE": "user, item, rating in each line: u.data, ratings.dat or .csv, for autorec; --by item or user",
    "series:FILE": "windows of long recordings, .npz or .csv, by --window and --step; the end of each is held out",
    "table:FILE": "rows of numbers and categories, .csv or .parquet, with missing cells; --target names the label",
    "text:FILE_OR_DIR": "lines of .txt files as bags of words, or by --text-as in order; files or folders are classes",
    "onehot:N": "the encoder problem: N patterns of N units, of which one is on",
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """No settings."""


def run(recipe: Recipe) -> None:
    """Print a table of each."""
    variants = [
        (family if not i else "", row.command, row.name, row.equation, row.paper)
        for family, rows in catalogue.families().items()
        for i, row in enumerate(rows)
    ]
    sections = {
        "Variants (kerasae …)": variants,
        "Recipes (kerasae COMMAND --recipe NAME)": recipes(),
        "Data (--data SPEC)": list(SOURCES.items()),
    }
    print("\n\n".join("\n".join([title, *aligned(rows)]) for title, rows in sections.items()))


def recipes() -> list[tuple[str, str, str]]:
    """Collect command, name and first docstring line of every named recipe."""
    from pipelines import recipes as named  # here, because recipes import this module
    from pipelines.command_line.main import COMMANDS

    return [
        (command, name, function.__doc__.strip().splitlines()[0])
        for command in COMMANDS
        for name, function in named.of(command).items()
    ]


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Align the columns of a table; return its lines."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
