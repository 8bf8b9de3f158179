"""Lay examples out in rows and columns of a figure, and draw each as a picture or as lines."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasae.errors import InputError
from kerasae.plots.style import COLOURS, FAINT, INK

GAP, TITLE = 0.06, 0.24  # inches between pictures, without and with a title
LINES_UP_TO = 8  # features of a sequence; a wider one is shown as a picture of time × feature


def checked(name: str, images) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim < 2 or len(images) == 0 or images.dtype.kind != "f":
        raise InputError(
            f"{name}: expected floats in [0, 1] of shape [N, ...], received {images.dtype} {images.shape}; "
            "divide stored pixels by their largest value."
        )
    return images[:, images.shape[1] // 2] if images.ndim == 5 else images  # the middle slice of volumes


def cells(
    rows: int, columns: int, example: np.ndarray, left: float = GAP, top: float = GAP, between: float = GAP
) -> tuple[Figure, np.ndarray]:
    """Make a figure of rows × columns axes in the proportions of the example; left, top, between: free inches."""
    height, width = (0.9, 1.5) if is_line(example) else example.shape[:2]
    scale = min(1.1, 11 / columns) / max(height, width)
    tile_w, tile_h = width * scale, height * scale
    total_w = left + columns * (tile_w + GAP)
    total_h = top + rows * tile_h + (rows - 1) * between + GAP
    figure = Figure(figsize=(total_w, total_h))
    grid = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": left / total_w,
            "right": 1 - GAP / total_w,
            "bottom": GAP / total_h,
            "top": 1 - top / total_h,
            "wspace": GAP / tile_w,
            "hspace": between / tile_h,
        },
    )
    return figure, grid


def labelled_rows(rows: list[np.ndarray], names: list[str], titles: list[str] | None = None) -> Figure:
    """Draw a row of pictures per name, the name at its left; titles, if any, above the first row."""
    left = 0.25 + 0.085 * max(len(name) for name in names)
    figure, grid = cells(len(rows), len(rows[0]), rows[0][0], left=left, top=TITLE if titles else GAP)
    for line, images, name in zip(grid, rows, names, strict=True):
        for axes, image in zip(line, images, strict=True):
            draw(axes, image)
        line[0].annotate(
            name, (0, 0.5), (-6, 0), xycoords="axes fraction", textcoords="offset points",
            ha="right", va="center", fontsize=9, color=INK,
        )  # fmt: skip
    for axes, title in zip(grid[0], titles or [], strict=False):
        axes.set_title(title, fontsize=8, color=INK, pad=3)
    if is_line(rows[0][0]):
        _same_heights(grid)
    return figure


def _same_heights(grid: np.ndarray) -> None:
    """Set one scale per column, so that a line and its reconstruction can be compared."""
    for column in grid.T:
        limits = np.array([axes.get_ylim() for axes in column])
        for axes in column:
            axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())


def is_line(example: np.ndarray) -> bool:
    if example.ndim == 2:
        return example.shape[1] <= LINES_UP_TO and len(example) >= 4 * example.shape[1]
    return example.ndim == 1


def draw(axes: Axes, example: np.ndarray) -> None:
    """Draw one example: a picture, or lines for a vector or a sequence."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(FAINT)
    axes.spines[:].set_linewidth(0.5)
    if is_line(example):
        axes.set_prop_cycle(color=COLOURS)
        axes.plot(example, linewidth=0.9)
        axes.margins(x=0.02, y=0.08)
        return
    if example.ndim == 3 and example.shape[-1] != 3:
        example = example.mean(axis=-1)
    axes.imshow(np.clip(example, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
