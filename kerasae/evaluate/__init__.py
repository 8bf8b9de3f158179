"""Measuring a trained model through the public contract: probes, bounds, reconstruction, classification."""

from kerasae.evaluate.bound import evidence_lower_bound, importance_nll, nll_summary
from kerasae.evaluate.classification import Classification, classify, measure_classification
from kerasae.evaluate.knn import KnnResult, knn_probe
from kerasae.evaluate.probe import ProbeResult, features, linear_probe
from kerasae.evaluate.reconstruction import reconstruction_error

__all__ = [
    "Classification",
    "KnnResult",
    "ProbeResult",
    "classify",
    "evidence_lower_bound",
    "features",
    "importance_nll",
    "knn_probe",
    "linear_probe",
    "measure_classification",
    "nll_summary",
    "reconstruction_error",
]
