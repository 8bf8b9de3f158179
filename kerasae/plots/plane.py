"""Draw points of the plane: the field of a denoising autoencoder, manifolds, and maps of codes."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from kerasae.errors import InputError
from kerasae.plots.style import COLOURS, FAINT, INK, plain


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
    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    axes = figure.subplots()
    if examples is not None:
        axes.scatter(*np.asarray(examples).T, s=6, alpha=0.5, color=COLOURS[1], linewidths=0)
    axes.quiver(*points.T, *arrows.T, color=COLOURS[0], angles="xy", width=0.003)
    axes.set_aspect("equal")
    plain(axes)
    return figure


def maps(panels: Mapping[str, np.ndarray], labels: np.ndarray | None = None) -> Figure:
    """Draw points of the plane in panels side by side, such as codes beside principal components.

    Args:
        panels: title → points [N, 2] of the same examples.
        labels: classes [N], by which points are coloured.

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
    for axes, (title, points) in zip(np.ravel(figure.subplots(1, len(panels))), panels.items(), strict=True):
        axes.scatter(*np.asarray(points).T, s=7, alpha=0.7, c=labels, cmap="tab10", linewidths=0)
        axes.set_title(title, fontsize=10, color=INK)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(FAINT)
    return figure
