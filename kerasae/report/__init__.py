"""Level 5, above runs: write the HTML pages of a run and of a map of codes."""

from kerasae.report.map_page import page_of_map
from kerasae.report.page import write

__all__ = ["page_of_map", "write"]
