"""Write what a detector says of the test examples: scores, heat maps, points of recordings, columns of tables."""

import csv

import kerasae
from pipelines.detecting import scoring

SHEET = 16
"""Most anomalous images on the sheet."""


def write(directory, detector, parts, info):
    """Write `scores.csv`, and `heat_maps.png` of images or `points.csv` of recordings, into the run's directory."""
    x = parts.test.arrays()[0]
    scores = scoring.over(detector, detector, x)
    columns = score_columns(detector, parts, info, x, scores)
    write_table(directory.path / "scores.csv", columns)
    order = (-scores).argsort(kind="stable")
    if len(info.shape) == 3 and info.kind == "image":
        sheet(directory.path / "heat_maps.png", detector, x[order[:SHEET]], scores[order[:SHEET]])
    if parts.test.starts is not None:
        samples, means = points(detector, parts.test, x, scores)
        write_table(directory.path / "points.csv", {"sample": samples, "score": means})


def score_columns(detector, parts, info, x, scores):
    """Collect the columns of `scores.csv`: the example, its score, and what is known of it."""
    names = (
        range(len(x)) if parts.test.paths is None else [path.decode("utf-8", "replace") for path in parts.test.paths]
    )
    found = {"example": names, "score": scores}
    if detector.calibrated:
        found["anomaly"] = yes_or_no(scores > detector.calibration.threshold)
    if parts.anomalies is not None:
        found["labelled_anomaly"] = yes_or_no(parts.anomalies)
    if info.columns and info.kind == "table":
        errors = scoring.over(detector, detector.error_map, x)
        found["columns"] = [";".join(names) for names in kerasae.applications.contributions(info.columns, errors)]
    return found


def yes_or_no(values):
    """Spell truth values."""
    return ["yes" if value else "no" for value in values]


def points(detector, test, x, scores):
    """Score each sample by the windows that cover it: by its own error where the score is one, else by the window's."""
    import numpy as np

    if detector.score_kind in ("reconstruction", "squared", "masked"):
        by_sample = scoring.over(detector, detector.error_map, x).mean(axis=-1)
    else:
        by_sample = np.repeat(scores[:, None], x.shape[1], axis=1)
    return kerasae.applications.point_scores(test.starts, by_sample)


def write_table(path, columns):
    """Write columns by name as CSV, whole or not at all."""
    with kerasae.results.whole_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*(map(spelled, values) for values in columns.values()), strict=True))


def spelled(value):
    """Spell a number in the nine digits that give a float32 back; other values as they are."""
    return f"{value:.9g}" if isinstance(value, float) or getattr(value, "dtype", None) is not None else value


def sheet(path, detector, x, scores):
    """Draw images above the errors of their pixels, the most anomalous first."""
    from kerasae import plots

    errors = scoring.over(detector, detector.error_map, x)
    shown = kerasae.evaluate.reconstruction.as_decoded(x, detector)
    figure = plots.heat_maps(shown, errors, [f"{score:.4g}" for score in scores])
    figure.savefig(path, dpi=110, facecolor="white")
