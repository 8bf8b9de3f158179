"""Colours and axes that all figures share, and figures as text."""

import base64
import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#2f6db3", "#d9722e", "#3b9465", "#a23b72", "#7a6a9b", "#8a7a3c")
GREYS = tuple({"color": shade, "linestyle": style} for style in ("--", ":", "-.") for shade in ("#555555", "#999999"))
INK, FAINT = "#333333", "#d0d0d0"


def plain(axes: Axes) -> None:
    """Style axes: grey instead of black, no box, the grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.set_axisbelow(True)


def png_base64(figure: Figure, dpi: int = 110) -> str:
    """Encode a figure as PNG in base64 text, for `<img src="data:image/png;base64,…">`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
