"""Write a page of rows of examples, such as what was found for each query: thumbnails with lines of text below.

The page is one file, with its pictures inside; it needs no network, and it holds no script.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import kerasae
from kerasae.report.map_page import Sprite


class Cell(NamedTuple):
    """An example of a page."""

    lines: Sequence[str]
    """Text below it, such as its name and its distance."""
    image: int | None = None
    """Number of its picture; None without one."""


class Section(NamedTuple):
    """Rows of examples below a heading."""

    heading: str
    note: str
    rows: Sequence[Sequence[Cell]]


def page_of_gallery(
    title: str, sections: Sequence[Section], images: np.ndarray | None = None, about: Sequence[str] = ()
) -> bytes:
    """Write the page as HTML.

    Args:
        title: of the page.
        sections: what it shows.
        images: [N, H, W, C] in [0, 1], which cells name by their numbers; None where examples are no images.
        about: lines below the title.

    Example:
        >>> page = page_of_gallery("found", [Section("a.png", "", [[Cell(["b.png", "0.1"])]])])
        >>> page.count(b'<li class="cell')
        1
    """
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(Path(__file__).with_suffix(".html.j2").read_text(encoding="utf-8"))
    sprite = Sprite(images) if images is not None and len(images) else None
    values = {"title": title, "about": about, "sections": sections, "sprite": sprite, "version": kerasae.__version__}
    return template.render(**values).encode("utf-8", "replace")
