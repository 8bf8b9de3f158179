"""Level 4.5: autoencoders as scikit-learn estimators, for arrays and data frames [N, D]."""

from kerasae.sklearn.anomalies import AnomalyDetector
from kerasae.sklearn.labelled import AutoencoderClassifier, AutoencoderRegressor
from kerasae.sklearn.transformers import AutoencoderTransformer, Denoiser

__all__ = [
    "AnomalyDetector",
    "AutoencoderClassifier",
    "AutoencoderRegressor",
    "AutoencoderTransformer",
    "Denoiser",
]
