"""Level 5: run directories, which record a training and what followed it."""

from kerasae.runs.data_record import class_names, refuse_changed, refuse_other_range
from kerasae.runs.directory import (
    Run,
    Stage,
    fingerprint,
    load_model,
    read_recipe,
    read_rows,
    read_summary,
    refuse_links,
    write_rows,
)
from kerasae.runs.sources import open_source, reading

__all__ = [
    "Run",
    "Stage",
    "class_names",
    "fingerprint",
    "load_model",
    "open_source",
    "read_recipe",
    "read_rows",
    "reading",
    "read_summary",
    "refuse_changed",
    "refuse_links",
    "refuse_other_range",
    "write_rows",
]
