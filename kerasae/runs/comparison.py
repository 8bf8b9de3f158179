"""Compare finished runs: a row for each recipe, the spread over seeds, and baselines on the same labels."""

import csv
import io
import json
import math
import os
import statistics
from dataclasses import dataclass
from pathlib import Path

from kerasae.errors import InputError
from kerasae.evaluate import LABEL_KINDS
from kerasae.runs import data_record
from kerasae.runs.records import read_recipe, read_summary

PLACES = ("out", "data_dir", "devices", "data_workers", "accept_changed_data")
"""Fields of a recipe that say where it runs, not what."""

BASELINES = {
    f"{name}_{kind.metric}": words
    for kind in LABEL_KINDS.values()
    for name, words in ({"scratch": "same network from scratch, same steps"} | kind.baselines).items()
}
"""Figure of a baseline → its name."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """Figures of a run, and what it did: settings without the seeds, which stand beside them."""

    path: Path
    settings: dict
    seeds: tuple
    figures: dict[str, float]
    baselines: dict[str, float]
    fingerprint: str | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table: a name, what was repeated, and figures as (mean, sample standard deviation or None)."""

    name: str
    repeated: str
    data: str
    figures: dict[str, tuple[float, float | None]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of figures, see `compare`; `columns` are the names of the figures."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def markdown(self) -> str:
        """Format the table in Markdown, with what ± means below it."""
        head = ("run", "repeated", *self.columns)
        lines = [head, *((marked(r), r.repeated, *(spell(r.figures.get(c)) for c in self.columns)) for r in self.rows)]
        first, *others = [f"| {' | '.join(map(plain_cell, cells))} |" for cells in lines]
        return "\n".join([first, "|---" * len(head) + "|", *others, "", *self.notes()]) + "\n"

    def csv(self) -> str:
        """Format the table as CSV: name, what was repeated, data, and each figure beside its standard deviation."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["run", "repeated", "data", *(f"{name}{end}" for name in self.columns for end in ("", "_std"))])
        for row in self.rows:
            values = [value for name in self.columns for value in row.figures.get(name, (None, None))]
            writer.writerow([row.name, row.repeated, row.data, *values])
        return text.getvalue()

    def notes(self) -> list[str]:
        """Say in words what ± is, and which rows are not comparable."""
        notes = []
        if any(spread is not None for row in self.rows for _, spread in row.figures.values()):
            notes.append(
                "± is the sample standard deviation over what was repeated: seeds (of weights, order of the examples "
                "and choice of labels), else the repeats of labels and fine-tuning inside one run."
            )
        if any(row.data != "same" for row in self.rows):
            notes.append("Rows marked as of other or unknown data are not comparable with the first one.")
        return notes


def compare(paths, figures=()) -> Table:
    """Compare the figures in the summaries of runs, and the baselines that they measured on the same labels.

    Runs whose recipes differ in the seed alone are one row: mean and sample standard deviation. So are runs inside
    runs, such as fine-tunings, if they and the runs that they start from do. A row is named by the settings in which it
    differs from most others.

    A baseline has a row of its own, one for all runs where it is the same to the digits shown. It stands in the columns
    of its metric: the control from scratch beside fine-tuning, the others beside probes where there are any.

    Args:
        paths: directories of finished runs; the first one's data are those that others must have read.
        figures: names of figures, the columns; those that all runs share when empty.

    Raises:
        InputError: no run, a run twice, a run without figures, an unknown figure, or none that all share.

    Example:
        >>> print(compare(["runs/a", "runs/b"], ["finetune_accuracy"]).markdown())
    """
    paths = [Path(path) for path in paths]
    if not paths or len({os.path.abspath(path) for path in paths}) < len(paths):
        raise InputError(f"runs: expected different run directories. Received: {', '.join(map(str, paths)) or 'none'}")
    runs = [read_finished(path) for path in paths]
    columns, groups = columns_of(runs, figures), grouped(runs)
    rows = [
        Row(name=name, repeated=repeated(group), data=same_data(group, runs[0]), figures=spreads(group, columns))
        for name, group in zip(names(groups), groups, strict=True)
    ]
    return Table(columns=columns, rows=(*rows, *baseline_rows(rows, groups, columns)))


# ---- reading


def read_finished(path) -> Finished:
    """Read the figures and settings of a run; raises InputError for one without figures."""
    figures, (settings, seeds) = numbers(read_summary(path)), settings_of(path)
    if not figures:
        raise InputError(f"runs: {path} has no figures; repeat its command to finish it, or leave it out")
    record = data_record.read(path)
    return Finished(
        path=path,
        settings=settings,
        seeds=seeds,
        figures=figures,
        baselines=baselines_of(path, figures),
        fingerprint=record and record["fingerprint"],
    )


def numbers(summary) -> dict[str, float]:
    """Keep the finite numbers of a summary."""
    found = {name: value for name, value in summary.items() if type(value) in (int, float)}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def settings_of(path, inside=()) -> tuple[dict, tuple]:
    """Read the settings of a run and, named run.…, of the run that it starts from; and the seeds of both."""
    content = read_recipe(path)
    settings = {"command": content["command"], **flat(content["recipe"])}
    seeds, origin = (settings.pop("seed", None),), origin_of(path, settings.get("run"))
    if origin is not None and origin.resolve() not in inside:
        theirs, their_seeds = settings_of(origin, (*inside, Path(path).resolve(), origin.resolve()))
        settings = {name: value for name, value in settings.items() if name != "run"}
        settings |= {f"run.{name}": value for name, value in theirs.items()}
        seeds += their_seeds
    return {name: value for name, value in settings.items() if name.rpartition(".")[2] not in PLACES}, seeds


def flat(recipe) -> dict:
    """Flatten the dicts in a recipe: options.k."""
    found = {}
    for name, value in recipe.items():
        found |= {f"{name}.{key}": v for key, v in value.items()} if isinstance(value, dict) else {name: value}
    return found


def origin_of(path, recorded) -> Path | None:
    """Find the run that another started from: around it, or where its recipe says; None if it is gone."""
    places = [] if recorded is None else [Path(path).parent, Path(recorded)]
    return next((place for place in places if (place / "recipe.json").is_file()), None)


def baselines_of(path, figures) -> dict[str, float]:
    """Collect the baselines of a run, also from the runs inside it whose figures it repeats."""
    found = {}
    for folder in sorted(Path(path).iterdir()):
        inner = numbers(read_summary(folder)) if (folder / "recipe.json").is_file() else {}
        if any(figures.get(name) == value for name, value in inner.items()):
            found |= inner
    found |= figures
    return {name: value for name, value in found.items() if name.removesuffix("_std") in BASELINES}


# ---- rows


def columns_of(runs, asked) -> tuple[str, ...]:
    """Choose the columns: those asked for, or the figures that all runs share, without spreads and baselines."""
    known = dict.fromkeys(name for run in runs for name in {**run.figures, **run.baselines})
    known = [name for name in known if not name.endswith("_std")]
    for name in asked:
        if name not in known:
            raise InputError(f"figures: no run has {name!r}; they have: {', '.join(known)}")
    shared = [name for name in known if all(name in run.figures for run in runs) and name not in BASELINES]
    if not asked and not shared:
        raise InputError(f"figures: the runs share none; name some of {', '.join(known)}")
    return tuple(dict.fromkeys(asked)) or tuple(shared)


def grouped(runs) -> list[list[Finished]]:
    """Group the runs that differ in their seeds only, in the order of the first of each."""
    groups = {}
    for run in runs:
        groups.setdefault(json.dumps([run.settings, run.fingerprint], sort_keys=True), []).append(run)
    return list(groups.values())


def repeated(group) -> str:
    """Say what was repeated in a group of runs, such as "3 seeds × 5 repeats"; "once" for nothing."""
    seeds, repeats = len({run.seeds for run in group}), group[0].settings.get("repeats")
    parts = [f"{len(group)} seeds" if seeds == len(group) else f"{len(group)} runs, {seeds} seed{'s'[: seeds > 1]}"]
    parts = parts if len(group) > 1 else []
    parts += [f"{repeats} repeats"] if type(repeats) is int and repeats > 1 else []
    return " × ".join(parts) or "once"


def same_data(group, first) -> str:
    """Tell whether a group read the data of the first run: same, other or unknown."""
    theirs = group[0].fingerprint
    if None in (theirs, first.fingerprint):
        return "unknown"
    return "same" if theirs == first.fingerprint else "other"


def spreads(group, columns) -> dict[str, tuple[float, float | None]]:
    """Take the mean and the spread of each figure that all runs of a group have."""
    values = [{**run.baselines, **run.figures} for run in group]
    found = {}
    for name in columns:
        if all(name in figures for figures in values):
            series = [figures[name] for figures in values]
            inside = values[0].get(f"{name}_std")
            found[name] = statistics.fmean(series), statistics.stdev(series) if len(series) > 1 else inside
    return found


def baseline_rows(rows, groups, columns) -> list[Row]:
    """Make the rows of the baselines: one for all groups that print the same, else one for each value."""
    found = {}
    for row, group in zip(rows, groups, strict=True):
        for name, value in spreads(group, BASELINES).items():
            if places(name, columns):
                found.setdefault(name, {}).setdefault((spell(value), row.repeated, row.data), []).append((row, value))
    made = []
    for name, by_value in found.items():
        for (_, times, data), having in by_value.items():
            whose = "" if len(by_value) == 1 else f" ({'; '.join(row.name for row, _ in having)})"
            figures = dict.fromkeys(places(name, columns), having[0][1])
            made.append(Row(name=BASELINES[name] + whose, repeated=times, data=data, figures=figures))
    return made


def places(baseline, columns) -> list[str]:
    """Choose the columns in which a baseline stands; none where it has a column of its own."""
    metric = next(kind.metric for kind in LABEL_KINDS.values() if baseline.endswith(f"_{kind.metric}"))
    alike = [name for name in columns if name.endswith(f"_{metric}") and name not in BASELINES]
    fitting = [name for name in alike if name.startswith("finetune") == baseline.startswith("scratch")]
    return [] if baseline in columns else fitting or alike


# ---- words


def names(groups) -> list[str]:
    """Name each group by its command, its variant, and the settings in which it differs from most groups."""
    settings = [group[0].settings for group in groups]
    keys = dict.fromkeys(key for found in settings for key in found)
    keys = [key for key in keys if key.split(".")[-1] not in (*TITLE, *CONTROLS)]
    found = []
    for mine in settings:
        odd = [key for key in keys if key in mine and not usual(key, mine[key], settings)]
        found.append(", ".join([title(mine), *(setting(key, mine[key]) for key in odd)]))
    twice = {name for name in found if found.count(name) > 1}
    return [f"{name} ({group[0].path})" if name in twice else name for name, group in zip(found, groups, strict=True)]


TITLE = ("command", "variant")
"""Settings that begin the name of a row."""

CONTROLS = ("scratch", "baselines")
"""Settings that say what is measured beside a run; they are not named."""


def title(settings, prefix="") -> str:
    """Name a run by its command and variant, and those of the run that it starts from."""
    words = [str(settings[prefix + key]) for key in TITLE if prefix + key in settings]
    origin = f"{prefix}run."
    return " ".join(words + (["of", title(settings, origin)] if f"{origin}command" in settings else []))


def usual(key, value, settings) -> bool:
    """Tell whether all, or more than half, of the groups have this value of a setting."""
    return 2 * sum(key in other and other[key] == value for other in settings) > len(settings)


def setting(key, value) -> str:
    """Spell a setting, such as "pretrain rate 0.05" or "no baselines"."""
    name = key.rpartition(".")[2].replace("_", " ")
    if value is None or isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"


def marked(row) -> str:
    """Mark the name of a row of other data."""
    return row.name if row.data == "same" else f"{row.name} [{row.data} data]"


def spell(value) -> str:
    """Format (mean, spread) to four and two digits; a dash for none."""
    if value is None:
        return "–"
    mean, spread = value
    return digits(mean, 4) if spread is None else f"{digits(mean, 4)} ± {digits(spread, 2)}"


def digits(value, count) -> str:
    """Round a number to `count` digits, and a larger one to a whole number."""
    return f"{value:.{count}g}" if abs(value) < 10**count else f"{value:.0f}"


def plain_cell(text) -> str:
    """Keep a text within its cell of a table in Markdown."""
    return " ".join(str(text).split()).replace("|", "\\|")
