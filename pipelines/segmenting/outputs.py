"""Write what a segmenter says of test images: figures by class, and a sheet of images with their classes."""

import csv

import kerasae

SHEET = 8
"""Test images on the sheet."""


def write(directory, found, parts, measured):
    """Write `classes.csv` and `segments.png` into the run's directory."""
    rows = {kind: value.iou for kind, value in measured.items()}
    with kerasae.results.whole_text(directory.path / "classes.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["class", *rows])
        for i, name in enumerate(parts.info.label_names):
            writer.writerow([name, *(f"{iou[i]:.6g}" for iou in rows.values())])
    sheet(directory.path / "segments.png", found, parts)


def sheet(path, found, parts):
    """Draw test images above their true classes and the classes that each network names."""
    import numpy as np

    from kerasae import plots

    some = np.linspace(0, len(parts.test) - 1, min(SHEET, len(parts.test))).astype(int)
    images = parts.test.gather(some)[0].numpy() / np.float32(parts.info.max_value)
    known = {name: named[some] for name, named in found.named.items() if name in ("pretrained", "scratch")}
    rows = {"image": plots.coloured(images), "mask": plots.overlay(images, parts.test.masks[some])}
    rows |= {name: plots.overlay(images, named) for name, named in known.items()}
    plots.rows(rows).savefig(path, dpi=110, facecolor="white")
