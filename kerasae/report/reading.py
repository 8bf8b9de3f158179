"""Read the files of a run that a page shows; what is damaged is an InputError."""

import math
from pathlib import Path

from kerasae import runs
from kerasae.errors import InputError
from kerasae.report import pictures
from kerasae.report.sections import Section
from kerasae.report.wording import quantity

MODELLESS = ("quickstart", "pretrain", "probe", "evaluate", "export")
"""Commands whose runs have neither metrics nor a model of their own."""


def read_summary(path: Path) -> dict:
    """Read the numbers and texts of `summary.json`."""
    try:
        content = dict(runs.read_summary(path))
    except (ValueError, TypeError):
        raise InputError("summary.json is damaged") from None
    if not content:
        raise InputError("there is no summary.json yet: the run is not finished, repeat its command to resume it")
    return {name: value for name, value in content.items() if isinstance(value, int | float | str)}


def read_probes(path: Path) -> list[dict]:
    """Read the rows of `probes.csv`, with the score as text in `shown`; none if there is no such file."""
    try:
        return [row | {"shown": shown(row)} for row in runs.read_rows(path / "probes.csv")]
    except (ValueError, KeyError, TypeError):
        raise InputError("probes.csv is damaged") from None


def shown(row: dict) -> str:
    """Check a row of `probes.csv`, and write its score with its spread."""
    if row["kind"] not in ("features", "baseline") or not row["probe"] or not row["protocol"] or not int(row["labels"]):
        raise ValueError(row)
    metric = pictures.metric_of(row)
    score, spread = float(row[metric]), float(row[f"{metric}_std"]) if row[f"{metric}_std"] else None
    if not (score <= 1 and (score >= 0 or (metric == "r2" and math.isfinite(score)))):
        raise ValueError(score)
    return quantity(score, spread, "%")


def read_metrics(section: Section) -> list[dict]:
    """Read the rows of `metrics.csv` that have a stage and an epoch, with finite numbers only."""
    try:
        rows = runs.read_rows(section.path / "metrics.csv")
    except ValueError:
        raise InputError("metrics.csv is damaged") from None
    rows = [row for row in rows if row.get("stage") and (row.get("epoch") or "").isdecimal()]
    if not rows and section.command not in MODELLESS:
        raise InputError("there is no epoch in metrics.csv yet")
    return [{name: text for name, text in row.items() if name == "stage" or is_number(text)} for row in rows]


def is_number(text) -> bool:
    try:
        return math.isfinite(float(text))
    except (TypeError, ValueError):
        return False
