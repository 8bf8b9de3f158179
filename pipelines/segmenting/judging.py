"""Measure a segmenter beside its control and what knows no pretraining, class by class, and say what it was worth."""

import kerasae
from pipelines.command_line.voice import printable

CONTROL = "the same network from scratch"
OURS = "pretrained"
WIDTH = 30


def judged(found, parts, recipe):
    """Measure all, and print the table; `found.named` gets what the baselines name.

    Returns the figures, and the `Segmentation` of everything in `found.named`.
    """
    if recipe.baselines:
        count = len(parts.info.label_names)
        for name, baseline in kerasae.evaluate.PIXEL_BASELINES.items():
            found.named[name] = baseline(parts.labelled, parts.test, count, recipe.seed)
    all_measured = {kind: measured_of(named, parts) for kind, named in found.named.items()}
    measured = {titled(kind): value for kind, value in all_measured.items()}
    for line in table(measured, parts):
        print(printable(line))
    for kind, words in found.epochs.items():
        print(f"{titled(kind)}: {words}")
    figures = {f"{key(name)}_mean_iou": value.mean_iou for name, value in measured.items()}
    figures["pretrained_pixel_accuracy"] = measured[OURS].pixel_accuracy
    others = {name: value for name, value in measured.items() if name != OURS}
    return figures | ({"segment_verdict": verdict(measured[OURS], others)} if others else {}), all_measured


def titled(kind):
    """Name a network in the table."""
    return CONTROL if kind == "scratch" else kind


def key(name):
    """Name a row of the table as a figure."""
    return "scratch" if name == CONTROL else name.replace("-", "").replace(" ", "_").lower()


def measured_of(named, parts):
    """Count the pixels of true and named classes of the test images."""
    return kerasae.evaluate.measure_segmentation(parts.test.masks, named, len(parts.info.label_names))


def table(measured, parts):
    """Yield lines: mean intersection over union of each row, then of each class."""
    names, sizes = parts.info.label_names, (len(parts.train), len(parts.test))
    held = "" if parts.held is None else f", {len(parts.held)} held out"
    yield f"intersection over union in %, {sizes[1]} test images; {sizes[0]} labelled images learned from{held}"
    width = max(WIDTH, *(len(name) for name in measured))
    yield f"{'':{width}}   mean" + "".join(f" {name[:7]:>7}" for name in names)
    for name, value in measured.items():
        classes = "".join(f" {100 * iou:7.1f}" if iou == iou else f" {'-':>7}" for iou in value.iou)
        yield f"{name:{width}} {100 * value.mean_iou:6.1f}{classes}"


def verdict(ours, others):
    """Say what pretraining was worth beside the control, and whether anything else was better."""
    words = []
    if CONTROL in others:
        points, low, high = (100 * value for value in kerasae.evaluate.iou_difference(ours, others[CONTROL]))
        worth = (
            "pretraining was worth" if low > 0 else "pretraining cost" if high < 0 else "no clear worth of pretraining:"
        )
        words.append(f"{worth} {points:+.1f} points of mIoU ({low:+.1f} to {high:+.1f} by the draw of test images)")
    best = max((name for name in others if name != CONTROL), key=lambda name: others[name].mean_iou, default=None)
    if best is not None:
        gap = 100 * (ours.mean_iou - others[best].mean_iou)
        side = "better" if gap > 0 else "WORSE"
        words.append(f"{side} by {abs(gap):.1f} than the best of what knows no pretraining, {best}")
    return "; ".join(words)
