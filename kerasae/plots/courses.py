"""Draw the course of a training over its epochs, and of a score over the number of labels."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasae.errors import InputError
from kerasae.plots.style import COLOURS, FAINT, GREYS, INK, plain

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
    plain(axes)
    axes.grid(color=FAINT, linewidth=0.6)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=8)


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
    plain(axes)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
