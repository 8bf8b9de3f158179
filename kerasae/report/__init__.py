"""Level 5, above runs: the page of a run."""

from kerasae.report.page import write

__all__ = ["write"]
