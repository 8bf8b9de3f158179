"""Draw the pictures on the page of a run: of its metrics, of an autoencoder, its geometry, and of a classifier.

Models are used through the public contract only. A function returns None where there is nothing to draw.
"""

from kerasae.report.pictures.autoencoders import (
    Examples,
    first_layer_filters,
    interpolations,
    masked_figure,
    reconstructions,
    samples,
    varied,
)
from kerasae.report.pictures.classifiers import confusion_file, confusion_of, estimates, mistakes, precisions
from kerasae.report.pictures.courses import draw_repeats, supervised_curves, training_curves
from kerasae.report.pictures.geometry import denoising_field, manifold_tangents, map_of_codes, plane_manifold
from kerasae.report.pictures.learning import epochs
from kerasae.report.pictures.rendering import plain, short
from kerasae.report.pictures.scores import METRICS, SHARED, accuracies, label_curve, measured, metric_of

OF_KIND = {"numbers": estimates, "classes": precisions}
"""Kind of labels → function that draws the answers to them."""

CURVES = (training_curves, supervised_curves)
AUTOENCODER = (reconstructions, first_layer_filters, manifold_tangents, samples, interpolations)
GEOMETRY = (plane_manifold, denoising_field, map_of_codes)
CLASSIFIER = (confusion_of, mistakes)

__all__ = [
    "AUTOENCODER",
    "CLASSIFIER",
    "CURVES",
    "GEOMETRY",
    "METRICS",
    "OF_KIND",
    "SHARED",
    "Examples",
    "accuracies",
    "confusion_file",
    "confusion_of",
    "denoising_field",
    "draw_repeats",
    "epochs",
    "estimates",
    "first_layer_filters",
    "interpolations",
    "label_curve",
    "manifold_tangents",
    "map_of_codes",
    "masked_figure",
    "measured",
    "metric_of",
    "mistakes",
    "plain",
    "plane_manifold",
    "precisions",
    "reconstructions",
    "samples",
    "short",
    "supervised_curves",
    "training_curves",
    "varied",
]
