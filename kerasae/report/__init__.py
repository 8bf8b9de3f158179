"""Level 5, above runs: write the HTML pages of a run, of a map of codes, and of rows of examples."""

from kerasae.report.gallery_page import Cell, Section, page_of_gallery
from kerasae.report.map_page import page_of_map
from kerasae.report.page import write

__all__ = ["Cell", "Section", "page_of_gallery", "page_of_map", "write"]
