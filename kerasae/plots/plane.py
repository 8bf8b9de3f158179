"""Draw points of the plane: the field of a denoising autoencoder, manifolds, and maps of codes."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasae.errors import InputError
from kerasae.plots.style import COLOURS, FAINT, INK, plain

TEN = 10
"""Classes that have colours of their own, and names in a legend."""


def field(points: np.ndarray, arrows: np.ndarray, examples: np.ndarray | None = None) -> Figure:
    """Draw arrows at points of the plane, such as those of `kerasae.evaluate.score_field`, over the examples.

    Args:
        points, arrows: [N, 2].
        examples: [M, 2], drawn as dots.

    Raises:
        InputError: if the points are not of the plane.

    Example:
        >>> field(np.zeros((3, 2)), np.ones((3, 2))).axes[0].get_aspect()
        1.0
    """
    points, arrows = np.asarray(points), np.asarray(arrows)
    if points.ndim != 2 or points.shape[1] != 2 or arrows.shape != points.shape:
        raise InputError(f"points, arrows: expected [N, 2] of both, received {points.shape} and {arrows.shape}.")
    figure, axes = _plane(points)
    if examples is not None:
        axes.scatter(*np.asarray(examples).T, s=6, alpha=0.5, color=COLOURS[1], linewidths=0)
    axes.quiver(*points.T, *arrows.T, color=COLOURS[0], angles="xy", width=0.003)
    return figure


def _plane(points: np.ndarray) -> tuple[Figure, Axes]:
    """Make a figure of one plane with equal axes, in the proportions of the points [N, 2]."""
    width, height = np.maximum(np.ptp(points, axis=0), 1e-6)
    figure = Figure(figsize=(6.4, 0.8 + float(np.clip(5.8 * height / width, 2.4, 6.4))), layout="constrained")
    axes = figure.subplots()
    axes.set_aspect("equal")
    plain(axes)
    return figure, axes


def manifold(
    points: np.ndarray, reconstructed: np.ndarray, noisy: np.ndarray | None = None, curve: np.ndarray | None = None
) -> Figure:
    """Draw how points of the plane are moved onto a manifold: points, arrows, and where they are reconstructed.

    Args:
        points: examples [N, 2].
        reconstructed: [N, 2], what a model makes of the noisy points, or of the points where none are given.
        noisy: [N, 2], from which arrows go to the reconstructions; the points when not given.
        curve: [M, 2], the points of the true manifold in order, drawn as a line.

    Raises:
        InputError: if the points are not of the plane.

    Example:
        >>> manifold(np.zeros((3, 2)), np.ones((3, 2))).axes[0].get_aspect()
        1.0
    """
    points, reconstructed = np.asarray(points), np.asarray(reconstructed)
    start = points if noisy is None else np.asarray(noisy)
    if points.ndim != 2 or points.shape[1] != 2 or not points.shape == reconstructed.shape == start.shape:
        shapes = [points.shape, reconstructed.shape, start.shape]
        raise InputError(f"points, reconstructed, noisy: expected [N, 2] of all, received {shapes}.")
    figure, axes = _plane(np.concatenate([points, start]))
    if curve is not None:
        axes.plot(*np.asarray(curve).T, color=INK, linewidth=1.2, label="manifold")
    ways = {"color": "#aaaaaa", "angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.002}
    axes.quiver(*start.T, *(reconstructed - start).T, **ways)
    named = {"example": (points, "#9aa1a9"), "with noise": (noisy, COLOURS[1])}
    named["reconstruction"] = (reconstructed, COLOURS[0])
    for name, (drawn, colour) in named.items():
        if drawn is not None:
            axes.scatter(*np.asarray(drawn).T, s=9, color=colour, linewidths=0, label=name)
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, markerscale=2)
    return figure


def maps(
    panels: Mapping[str, np.ndarray], labels: np.ndarray | None = None, names: Sequence[str] | None = None
) -> Figure:
    """Draw points of the plane in panels side by side, such as codes beside principal components.

    Args:
        panels: title → points [N, 2] of the same examples.
        labels: classes [N] ≥ 0, by which points are coloured, the same in all panels.
        names: of the classes, for a legend; up to ten are shown.

    Raises:
        InputError: no panels, or other points than [N, 2].

    Example:
        >>> len(maps({"codes": np.zeros((5, 2)), "PCA": np.ones((5, 2))}, np.arange(5)).axes)
        2
    """
    shapes = {title: np.shape(points) for title, points in panels.items()}
    if not shapes or len({*shapes.values()}) > 1 or any(len(s) != 2 or s[1] != 2 for s in shapes.values()):
        raise InputError(f"panels: expected title → points [N, 2] of the same examples, received {shapes}.")
    figure = Figure(figsize=(4.2 * len(panels), 4.2), layout="constrained")
    look = coloured(labels)
    for axes, (title, points) in zip(np.ravel(figure.subplots(1, len(panels))), panels.items(), strict=True):
        drawn = axes.scatter(*np.asarray(points).T, s=9, alpha=0.8, linewidths=0, **look)
        axes.set_title(title, fontsize=10, color=INK)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(FAINT)
    add_legend(figure, drawn, labels, names)
    return figure


def coloured(labels: np.ndarray | None) -> dict:
    """Return the arguments of a scatter plot that colour its points by class; one colour without labels."""
    if labels is None:
        return {"color": COLOURS[0]}
    return {"c": labels, "cmap": "tab10", "vmin": 0, "vmax": TEN - 1} if few(labels) else {"c": labels, "cmap": "turbo"}


def few(labels: np.ndarray) -> bool:
    """Whether each class has a colour of its own."""
    return max(labels, default=0) < TEN


def add_legend(figure: Figure, drawn, labels: np.ndarray | None, names: Sequence[str] | None) -> None:
    """Name the classes of a scatter plot at the bottom, in one row for all panels, where there are up to ten."""
    if labels is None or names is None or not few(labels):
        return
    handles, numbers = drawn.legend_elements(num=sorted(set(np.asarray(labels).tolist())), fmt="{x:.0f}")
    shown = [names[int(re.sub(r"\D", "", text))] for text in numbers]
    figure.legend(handles, shown, loc="outside lower center", ncols=TEN, frameon=False, fontsize=8)
