"""Judge a detector on test examples with labels, beside detectors of scikit-learn."""

import kerasae
from pipelines.detecting import scoring

COLUMNS = ("auroc", "average_precision", "fpr_at_95_tpr")


def measured(detector, parts, recipe):
    """Measure the figures of the detector and of the baselines on the same test examples; print them as a table."""
    if parts.anomalies is None:
        print("not judged: no labels say which test examples are anomalies and which are normal (see --only-class)")
        return {}
    scores = scoring.scores(detector, parts.test)
    rows = {"detector": kerasae.evaluate.anomaly_figures(scores, parts.anomalies)}
    if recipe.baselines:
        rows |= baselines(detector, parts, recipe.seed)
    print_table(rows, recipe.score)
    at = {}
    if detector.calibrated:
        at = kerasae.evaluate.threshold_figures(scores, parts.anomalies, detector.calibration.threshold)
    return flat(rows) | {f"test_{name}": value for name, value in at.items()}


def baselines(detector, parts, seed):
    """Fit the baselines to the same training examples, and measure them on the same test examples."""
    train = kerasae.evaluate.flat_values(parts.train, detector)
    test = kerasae.evaluate.flat_values(parts.test.arrays()[0], detector)
    found = {}
    for name, score in kerasae.evaluate.ANOMALY_BASELINES.items():
        found[name] = kerasae.evaluate.anomaly_figures(score(train, test, seed), parts.anomalies)
    return found


def own(figures):
    """Drop the baselines' figures, which stand in the printed table."""
    names = tuple(kerasae.evaluate.ANOMALY_BASELINES)
    return {name: value for name, value in figures.items() if not name.startswith(names)}


def flat(rows):
    """Name the figures of all rows: those of the detector by themselves, of a baseline after its name."""
    return {
        figure if name == "detector" else f"{name}_{figure}": value
        for name, figures in rows.items()
        for figure, value in figures.items()
    }


def print_table(rows, kind):
    """Print a row for the detector and each baseline, and which orders the test examples best."""
    print(f"{'':28}" + "".join(f"{name:>19}" for name in COLUMNS))
    for name, figures in rows.items():
        label = f"detector ({kind})" if name == "detector" else name
        print(f"{label:28}" + "".join(f"{figures[column]:19.4f}" for column in COLUMNS))
    if len(rows) > 1:
        print(verdict({name: figures["auroc"] for name, figures in rows.items()}))


def verdict(auroc):
    """Say which has the best AUROC, and where that is a baseline, that the autoencoder was not worth it."""
    best = max(auroc, key=auroc.get)
    if best == "detector":
        second = max((name for name in auroc if name != "detector"), key=auroc.get)
        return f"the detector orders best; the best baseline is {second}, AUROC {auroc[second]:.4f}"
    return f"{best} orders better than the detector, without an autoencoder: AUROC {auroc[best]:.4f}"
