"""Draw results: a confusion matrix, accuracies side by side, estimates over true values."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from kerasae.errors import InputError
from kerasae.plots.style import COLOURS, FAINT, INK, plain


def confusion(matrix: np.ndarray, class_names: Sequence[str] | None = None) -> Figure:
    """Draw a confusion matrix [K, K] of counts: rows true, columns predicted classes; colour is a row's share.

    Example:
        >>> confusion(np.array([[9, 1], [0, 10]]), ("cat", "dog")).axes[0].get_xlabel()
        'predicted class'
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise InputError(f"matrix: expected counts [K, K], received shape {matrix.shape}.")
    names = list(class_names) if class_names is not None else [str(i) for i in range(len(matrix))]
    if len(names) != len(matrix):
        raise InputError(f"class_names: expected {len(matrix)} names, received {len(names)}.")
    side = min(11.0, 2.2 + 0.42 * len(matrix))
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    picture = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    _class_ticks(axes, names)
    if len(matrix) <= 20:
        _write_counts(axes, matrix, share)
    bar = figure.colorbar(picture, ax=axes, shrink=0.8, format=PercentFormatter(1.0))
    bar.set_label("share of the true class", color=INK)
    bar.ax.tick_params(colors=INK, labelsize=9, length=0)
    bar.outline.set_visible(False)
    return figure


def _class_ticks(axes: Axes, names: list[str]) -> None:
    long = max(len(name) for name in names) > 3
    size = 9 if len(names) <= 20 else 6
    axes.set_xticks(
        range(len(names)), names, rotation=45 if long else 0, ha="right" if long else "center", fontsize=size
    )
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_xlabel("predicted class", color=INK)
    axes.set_ylabel("true class", color=INK)
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_visible(False)


def _write_counts(axes: Axes, matrix: np.ndarray, share: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if share[row, column] > 0.55 else INK
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize=8, color=colour)


def bars(figures: Mapping[str, float], colours: Mapping[str, str] | None = None, what: str = "test accuracy") -> Figure:
    """Draw accuracies side by side, e.g. fine-tuned, scratch, probe: name → fraction in [0, 1], drawn in percent.

    Args:
        figures: name → accuracy.
        colours: name → colour; of all others the first of the palette.
        what: what the figures are, for the axis.

    Raises:
        InputError: no figures, or one outside [0, 1].

    Example:
        >>> bars({"fine-tuned": 0.97, "from scratch": 0.91, "linear probe": 0.94}).axes[0].get_xlabel()
        'test accuracy (%)'
    """
    wrong = {name: value for name, value in figures.items() if not 0 <= value <= 1}
    if wrong or not figures:
        raise InputError(f"figures: expected name → accuracy in [0, 1], received {wrong or 'nothing'}.")
    figure = Figure(figsize=(6.4, 0.9 + 0.45 * len(figures)), layout="constrained")
    axes = figure.subplots()
    percent = [100 * value for value in figures.values()]
    shades = [(colours or {}).get(name, COLOURS[0]) for name in figures]
    drawn = axes.barh(list(figures), percent, color=shades, height=0.62)
    axes.bar_label(drawn, [f"{value:.1f}" for value in percent], padding=4, color=INK)
    axes.invert_yaxis()  # the first figure on top
    axes.set(xlim=(0, 108), xticks=range(0, 101, 20), xlabel=f"{what} (%)")
    plain(axes)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    return figure


def estimates(true: np.ndarray, estimated: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw estimates over true values, a panel for each number, beside the line where both are equal.

    Args:
        true, estimated: [N, D], in the same units.
        names: of the D numbers.

    Example:
        >>> estimates(np.array([[1.0], [2.0]]), np.array([[1.1], [1.8]]), ["age"]).axes[0].get_xlabel()
        'true age'
    """
    count = len(names)
    figure = Figure(figsize=(min(3.6 * count, 10.8), 3.6 * -(-count // 3)), layout="constrained")
    for i, name in enumerate(names):
        axes = figure.add_subplot(-(-count // 3), min(count, 3), i + 1)
        ends = [true[:, i].min(), true[:, i].max()]
        axes.plot(ends, ends, color=FAINT, linewidth=1.2)
        axes.scatter(true[:, i], estimated[:, i], s=9, alpha=0.5, color=COLOURS[0], linewidths=0)
        axes.set(xlabel=f"true {name}", ylabel=f"estimated {name}")
        plain(axes)
    return figure
