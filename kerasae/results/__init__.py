"""Level 4: what leaves for other programs, written piece by piece: arrays of codes, tables of predictions."""

from kerasae.results.code_archive import CodeArchive
from kerasae.results.code_table import CodeTable, need_arrow
from kerasae.results.prediction_lines import Prediction, as_json, encodable, write_csv, write_json_lines
from kerasae.results.whole_files import refuse_other_table, whole_file, whole_text

__all__ = [
    "CodeArchive",
    "CodeTable",
    "Prediction",
    "as_json",
    "encodable",
    "need_arrow",
    "refuse_other_table",
    "whole_file",
    "whole_text",
    "write_csv",
    "write_json_lines",
]
