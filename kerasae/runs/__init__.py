"""Level 5: run directories, which record a training and what followed it."""

from kerasae.runs.budget import Cost, measure, recorded_epochs
from kerasae.runs.comparison import Table, compare
from kerasae.runs.data_record import class_names, label_kind, refuse_changed, refuse_other_range, table_columns
from kerasae.runs.directory import Run, Stage, check_fit, fingerprint, load_model
from kerasae.runs.records import read_recipe, read_rows, read_summary, write_rows
from kerasae.runs.resuming import begun, refuse_links
from kerasae.runs.snapshots import Snapshots, read_snapshots
from kerasae.runs.sources import intake, open_source, reading

__all__ = [
    "Cost",
    "Run",
    "Snapshots",
    "Stage",
    "Table",
    "begun",
    "check_fit",
    "class_names",
    "compare",
    "fingerprint",
    "intake",
    "label_kind",
    "load_model",
    "measure",
    "open_source",
    "read_recipe",
    "read_rows",
    "read_snapshots",
    "reading",
    "read_summary",
    "recorded_epochs",
    "refuse_changed",
    "refuse_links",
    "refuse_other_range",
    "table_columns",
    "write_rows",
]
