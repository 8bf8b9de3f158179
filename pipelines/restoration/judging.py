"""The table of `kerasae restore`: PSNR and SSIM of the model beside classical filters, on the same images."""

import math
from typing import NamedTuple

import numpy as np

from kerasae.errors import InputError


class Row(NamedTuple):
    """Mean figures of one method."""

    name: str
    psnr: float
    ssim: float
    parameter: object = None


class Pair(NamedTuple):
    """A damaged image, what it was, and what the model made of it."""

    damaged: np.ndarray
    clean: np.ndarray
    ours: np.ndarray


def table(task, choosing, judged, extra=None):
    """Measure all methods on the pairs `judged`; the filters' parameters are chosen on the pairs `choosing`.

    Args:
        task: "denoise", "inpaint" or "superresolve".
        choosing, judged: lists of `Pair`.
        extra: what the filters need: the mask of `inpaint`, the scale of `superresolve`.

    Returns:
        Rows: of the damaged images where they have the size, of the model, of each filter.
    """
    from kerasae.evaluate import restoration

    filters = {
        "denoise": restoration.denoising_filters,
        "inpaint": restoration.inpainting_filters,
        "superresolve": restoration.enlarging_filters,
    }[task]()
    where = extra if task == "inpaint" else None
    found = [] if task == "superresolve" else [row("damaged", [p.damaged for p in judged], judged, where)]
    found.append(row("this model", [p.ours for p in judged], judged, where))
    for name, method in filters.items():
        parameter = restoration.chosen(method, [p.damaged for p in choosing], [p.clean for p in choosing], extra)
        results = [method.apply(p.damaged, extra, parameter) for p in judged]
        found.append(row(name, results, judged, where, parameter))
    return found


def row(name, results, pairs, where=None, parameter=None):
    """Measure results beside the clean images; they are clipped to [0, 1] first. PSNR is of the hole where one is."""
    from kerasae.evaluate import restoration

    both = [(pair.clean, np.clip(result, 0, 1)) for pair, result in zip(pairs, results, strict=True)]
    quality = np.mean([restoration.psnr(a, b, where) for a, b in both])
    return Row(name, float(quality), float(np.mean([restoration.ssim(a, b) for a, b in both])), parameter)


def divided(task, pairs):
    """Divide pairs into those that choose the filters' parameters and those that are judged."""
    if task != "denoise":  # whose filters have a parameter
        return [], pairs
    if len(pairs) < 2:
        raise InputError(
            "clean: the filters' parameters are chosen on other images than those judged; give at least 2 images"
        )
    count = max(1, len(pairs) // 3)
    return pairs[:count], pairs[count:]


def lines(rows, choosing, judged):
    """Word the table and what it says, as lines."""
    yield f"{'method':<18}{'PSNR dB':>9}{'SSIM':>8}  parameter"
    for found in rows:
        similar = "–" if math.isnan(found.ssim) else f"{found.ssim:.3f}"
        chosen = "" if found.parameter is None else str(found.parameter)
        yield f"{found.name:<18}{found.psnr:>9.2f}{similar:>8}  {chosen}".rstrip()
    yield f"means over {judged} image{'s'[: judged > 1]}" + (
        f"; parameters chosen on {choosing} other{'s'[: choosing > 1]}" if choosing else ""
    )
    yield verdict(rows)


def verdict(rows):
    """Say whether the model beats the best filter."""
    ours = next(r for r in rows if r.name == "this model")
    best = max((r for r in rows if r is not ours), key=lambda r: r.psnr)
    gain = ours.psnr - best.psnr
    if gain > 0:
        return f"this model is {gain:.2f} dB better than the best of the others, {best.name}"
    return f"this model is no better: {best.name} has {-gain:.2f} dB more; use that"
