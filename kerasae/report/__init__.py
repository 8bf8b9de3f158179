"""Level 5, above runs: write the HTML page of a run."""

from kerasae.report.page import write

__all__ = ["write"]
