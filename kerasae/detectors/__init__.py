"""Level 3.7: call examples anomalies by trained autoencoders: scores, thresholds, maps of errors, and the detector."""

from kerasae.detectors.detector import Detector
from kerasae.detectors.maps import error_map
from kerasae.detectors.scores import SCORES
from kerasae.detectors.thresholds import Calibration, f1_threshold, quantile_threshold

__all__ = ["SCORES", "Calibration", "Detector", "error_map", "f1_threshold", "quantile_threshold"]
