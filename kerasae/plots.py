"""Draw training curves, reconstructions, filters and results; every function returns a matplotlib Figure.

No pyplot and no global state: the figures work without a display, in threads and in notebooks. Save one with
`figure.savefig("picture.png")`, or embed it in a page with `png_base64`.

Images are floats in [0, 1], [N, H, W, C]; for other channel counts than 1 and 3 the mean over channels is drawn.
Vectors [N, D] and long sequences [N, T, C] of up to eight features are drawn as lines, other [N, H, W] as
grey images.
"""

import base64
import io
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kerasae.errors import InputError

COLOURS = ("#2f6db3", "#d9722e", "#3b9465", "#a23b72", "#7a6a9b", "#8a7a3c")
GREYS = tuple({"color": shade, "linestyle": style} for style in ("--", ":", "-.") for shade in ("#555555", "#999999"))
INK, FAINT = "#333333", "#d0d0d0"
GAP, TITLE = 0.06, 0.24  # inches between pictures, without and with a title
LINES_UP_TO = 8  # features of a sequence; a wider one is shown as a picture of time × feature
NOT_METRICS = ("stage", "epoch", "step")


def curves(
    rows: Sequence[Mapping], keys: Sequence[str] | None = None, units: Mapping[str, str] | None = None
) -> Figure:
    """Draw training curves: a panel per stage and quantity, with `loss` (solid) and `val_loss` (dashed) in one panel.

    Args:
        rows: one mapping per epoch with `stage`, `epoch` and numbers (or their text, as a CSV file has it);
            empty and missing values are left out.
        keys: names of the quantities, without "val_"; by default all numeric columns.
        units: quantity → unit for the axis, e.g. `{"loss": "nats per example", "accuracy": "fraction"}`.

    Raises:
        InputError: if there is nothing to draw.

    Example:
        >>> rows = [{"stage": "pretrain", "epoch": e, "loss": 1 / (e + 1)} for e in range(3)]
        >>> [axes.get_title() for axes in curves(rows).axes]
        ['pretrain: loss']
    """
    panels = _panels(rows, keys)
    if not panels:
        raise InputError(f"rows, keys: expected rows with numbers, received {len(rows)} rows and keys={keys!r}.")
    columns = min(3, len(panels))
    lines = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(4.2 * columns, 2.9 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    stages = list(dict.fromkeys(stage for stage, _ in panels))
    for axes, ((stage, key), series) in zip(grid, panels.items(), strict=False):
        colour = COLOURS[stages.index(stage) % len(COLOURS)]
        _curve_panel(axes, f"{stage}: {key}" if stage else key, series, colour)
        unit = (units or {}).get(key)
        axes.set_ylabel(f"{key} ({unit})" if unit else key)
    for axes in grid[len(panels) :]:
        axes.remove()
    return figure


def image_grid(images: np.ndarray, columns: int = 8, titles: Sequence[str] | None = None) -> Figure:
    """Draw examples [N, ...] in reading order, `columns` to a row, each with its title if given.

    Raises:
        InputError: no images, integers instead of floats, or another number of titles than of images.

    Example:
        >>> len(image_grid(np.zeros((5, 8, 8, 1)), columns=3).axes)
        5
    """
    images = _checked("images", images)
    if titles is not None and len(titles) != len(images):
        raise InputError(f"titles: expected {len(images)}, one per image, received {len(titles)}.")
    if columns < 1:
        raise InputError(f"columns: expected at least 1, received {columns}.")
    columns = min(columns, len(images))
    rows, room = math.ceil(len(images) / columns), GAP if titles is None else TITLE
    figure, grid = _cells(rows, columns, images[0], top=room, between=room)
    for i, axes in enumerate(grid.ravel()):
        if i >= len(images):
            axes.remove()
            continue
        _draw(axes, images[i])
        if titles is not None:
            axes.set_title(str(titles[i]), fontsize=8, color=INK, pad=3)
    return figure


def reconstructions(
    x: np.ndarray, x_hat: np.ndarray, corrupted: np.ndarray | None = None, *, what: str = "corrupted"
) -> Figure:
    """Draw inputs above their reconstructions, column by column; corrupted inputs, if given, in between.

    Args:
        x, x_hat, corrupted: examples [N, ...].
        what: label of the row of corrupted inputs, such as "visible" for masked images.

    Raises:
        InputError: if the shapes differ.

    Example:
        >>> x = np.zeros((4, 8, 8, 1))
        >>> len(reconstructions(x, x).axes)
        8
    """
    rows = {"input": x, what: corrupted, "reconstruction": x_hat}
    rows = {name: _checked(name, images) for name, images in rows.items() if images is not None}
    shapes = {name: images.shape for name, images in rows.items()}
    if len(set(shapes.values())) > 1:
        raise InputError(f"x, x_hat, corrupted: expected one shape, received {shapes}; pass the same examples.")
    return _labelled_rows(list(rows.values()), list(rows))


def filters(kernel: np.ndarray, shape: Sequence[int], n: int = 64) -> Figure:
    """Draw the first `n` first-layer filters as images; mid-grey is zero, each is scaled by its largest weight.

    Args:
        kernel: weights [D, units] of a dense layer, or [h, w, C, units] of a convolution.
        shape: shape of one filter, (H, W), (H, W, C) or (D,) for vectors, with D values in all.
        n: number of units to show.

    Raises:
        InputError: if D values do not fill `shape`.

    Example:
        >>> len(filters(np.ones((64, 10)), (8, 8, 1), n=6).axes)
        6
    """
    kernel = np.asarray(kernel, np.float32)
    kernel = kernel.reshape(-1, kernel.shape[-1])
    if kernel.shape[0] != math.prod(shape):
        raise InputError(
            f"shape: expected {kernel.shape[0]} values, the inputs of the kernel, received {tuple(shape)}; "
            "pass the shape of one input."
        )
    weights = kernel.T[: max(1, n)].reshape(-1, *shape)
    if weights.ndim == 4 and weights.shape[-1] not in (1, 3):
        weights = weights.mean(axis=-1)
    largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
    largest = np.where(largest > 0, largest, 1).reshape(-1, *[1] * (weights.ndim - 1))
    return image_grid(0.5 + 0.5 * weights / largest, columns=math.ceil(math.sqrt(2 * len(weights))))


def tangents(x: np.ndarray, directions: np.ndarray) -> Figure:
    """Draw examples, each with directions of its input beside it, scaled by their largest value; mid-grey is zero.

    Args:
        x: examples [N, ...], floats in [0, 1].
        directions: [N, K, ...], as `kerasae.evaluate.tangents` finds them.

    Raises:
        InputError: if the shapes do not fit.

    Example:
        >>> len(tangents(np.zeros((2, 8, 8, 1)), np.ones((2, 3, 8, 8, 1))).axes)
        8
    """
    x, directions = _checked("x", x), np.asarray(directions)
    if directions.ndim != x.ndim + 1 or (len(directions), *directions.shape[2:]) != x.shape:
        raise InputError(f"directions: expected [N, K, ...] of examples {x.shape}, received {directions.shape}.")
    largest = np.abs(directions).reshape(*directions.shape[:2], -1).max(axis=-1)
    largest = np.where(largest > 0, largest, 1).reshape(*directions.shape[:2], *[1] * (x.ndim - 1))
    drawn = 0.5 + 0.5 * directions / largest
    titles = ["example", *(f"{i + 1}" for i in range(directions.shape[1]))]
    return _labelled_rows([np.stack([one, *some]) for one, some in zip(x, drawn, strict=True)], [""] * len(x), titles)


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
    _plain(axes)
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


def interpolations(images: np.ndarray) -> Figure:
    """Draw decoded paths between pairs of codes: [R, S, ...], one path per row, from its start to its end.

    Example:
        >>> len(interpolations(np.zeros((2, 5, 8, 8, 1))).axes)
        10
    """
    images = np.asarray(images)
    if images.ndim < 3 or images.shape[1] < 2:
        raise InputError(f"images: expected [rows, steps ≥ 2, ...], received shape {images.shape}.")
    steps = images.shape[1]
    titles = [f"{i / (steps - 1):.0%}" for i in range(steps)]
    return _labelled_rows(list(_checked("images", images)), [f"path {i + 1}" for i in range(len(images))], titles)


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
    _plain(axes)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    return figure


def label_curve(
    curves: Mapping[str, Sequence[tuple[float, float, float]]], ours: Collection[str], what: str = "test accuracy"
) -> Figure:
    """Draw accuracy over the number of labels, on a logarithmic axis: features in colour, baselines in grey.

    Args:
        curves: name → points (labels, mean accuracy in [0, 1], standard deviation), drawn with a band of one deviation.
        ours: names of the curves that are of features.
        what: what the figures are, for the axis.

    Raises:
        InputError: no curves, or an accuracy outside [0, 1].

    Example:
        >>> curves = {"linear probe": [(10, 0.7, 0.02), (100, 0.9, 0.01)], "raw input": [(10, 0.5, 0.03)]}
        >>> label_curve(curves, ["linear probe"]).axes[0].get_xlabel()
        'labels'
    """
    if not curves or any(not 0 <= point[1] <= 1 for points in curves.values() for point in points):
        raise InputError("curves: expected name → points (labels, accuracy in [0, 1], deviation).")
    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    axes, colours, styles = figure.subplots(), iter(COLOURS * 9), iter(GREYS * 9)
    for name, points in curves.items():
        labels, means, deviations = (np.array(column) for column in zip(*sorted(points), strict=True))
        look = {"color": next(colours), "linewidth": 2.2} if name in ours else {"linewidth": 1.3, **next(styles)}
        axes.plot(labels, 100 * means, marker="o", markersize=3.5, label=name, **look)
        if name in ours:
            low, high = 100 * (means - deviations), 100 * (means + deviations)
            axes.fill_between(labels, low, high, color=look["color"], alpha=0.15, linewidth=0)
    ticks = sorted({point[0] for points in curves.values() for point in points})
    axes.set(xscale="log", xlabel="labels", ylabel=f"{what} (%)")
    axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    axes.minorticks_off()
    _plain(axes)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
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
        _plain(axes)
    return figure


def png_base64(figure: Figure, dpi: int = 110) -> str:
    """Encode a figure as PNG in base64 text, for `<img src="data:image/png;base64,…">`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _panels(rows, keys) -> dict[tuple[str, str], dict[str, list[tuple[float, float]]]]:
    """Group rows by panel: (stage, quantity) → {"training" | "validation": [(epoch, value)…]}, in order."""
    panels = {}
    for row in rows:
        epoch = _number(row.get("epoch"))
        for name, text in row.items() if epoch is not None else ():
            key, value = name.removeprefix("val_"), _number(text)
            if value is None or name in NOT_METRICS or (keys is not None and key not in keys):
                continue
            series = panels.setdefault((str(row.get("stage") or ""), key), {})
            part = "validation" if name.startswith("val_") else "training"
            series.setdefault(part, []).append((epoch, value))
    return panels


def _number(text) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _curve_panel(axes: Axes, title: str, series: Mapping[str, list], colour: str) -> None:
    for part, style in (("training", "-"), ("validation", "--")):
        if part in series:
            epochs, values = zip(*series[part], strict=True)
            marker = "o" if len(epochs) <= 20 else None
            axes.plot(epochs, values, style, color=colour, marker=marker, markersize=3, linewidth=1.6, label=part)
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    _plain(axes)
    axes.grid(color=FAINT, linewidth=0.6)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=8)


def _plain(axes: Axes) -> None:
    """Style axes: grey instead of black, no box, the grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.set_axisbelow(True)


def _checked(name: str, images) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim < 2 or len(images) == 0 or images.dtype.kind != "f":
        raise InputError(
            f"{name}: expected floats in [0, 1] of shape [N, ...], received {images.dtype} {images.shape}; "
            "divide stored pixels by their largest value."
        )
    return images[:, images.shape[1] // 2] if images.ndim == 5 else images  # the middle slice of volumes


def _cells(
    rows: int, columns: int, example: np.ndarray, left: float = GAP, top: float = GAP, between: float = GAP
) -> tuple[Figure, np.ndarray]:
    """Make a figure of rows × columns axes in the proportions of the example; left, top, between: free inches."""
    height, width = (0.9, 1.5) if _is_line(example) else example.shape[:2]
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


def _labelled_rows(rows: list[np.ndarray], names: list[str], titles: list[str] | None = None) -> Figure:
    """Draw a row of pictures per name, the name at its left; titles, if any, above the first row."""
    left = 0.25 + 0.085 * max(len(name) for name in names)
    figure, grid = _cells(len(rows), len(rows[0]), rows[0][0], left=left, top=TITLE if titles else GAP)
    for line, images, name in zip(grid, rows, names, strict=True):
        for axes, image in zip(line, images, strict=True):
            _draw(axes, image)
        line[0].annotate(
            name, (0, 0.5), (-6, 0), xycoords="axes fraction", textcoords="offset points",
            ha="right", va="center", fontsize=9, color=INK,
        )  # fmt: skip
    for axes, title in zip(grid[0], titles or [], strict=False):
        axes.set_title(title, fontsize=8, color=INK, pad=3)
    if _is_line(rows[0][0]):
        _same_heights(grid)
    return figure


def _same_heights(grid: np.ndarray) -> None:
    """Set one scale per column, so that a line and its reconstruction can be compared."""
    for column in grid.T:
        limits = np.array([axes.get_ylim() for axes in column])
        for axes in column:
            axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())


def _is_line(example: np.ndarray) -> bool:
    if example.ndim == 2:
        return example.shape[1] <= LINES_UP_TO and len(example) >= 4 * example.shape[1]
    return example.ndim == 1


def _draw(axes: Axes, example: np.ndarray) -> None:
    """Draw one example: a picture, or lines for a vector or a sequence."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(FAINT)
    axes.spines[:].set_linewidth(0.5)
    if _is_line(example):
        axes.set_prop_cycle(color=COLOURS)
        axes.plot(example, linewidth=0.9)
        axes.margins(x=0.02, y=0.08)
        return
    if example.ndim == 3 and example.shape[-1] != 3:
        example = example.mean(axis=-1)
    axes.imshow(np.clip(example, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")


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
