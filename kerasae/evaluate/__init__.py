"""Level 4: measure a trained model through the public contract: probes, bounds, reconstruction, classification."""

from kerasae.evaluate.baselines import (
    BASELINES,
    Baseline,
    most_frequent_class,
    principal_components,
    raw_input,
    support_vectors,
)
from kerasae.evaluate.bound import evidence_lower_bound, importance_nll, nll_summary
from kerasae.evaluate.classification import Classification, classify, measure_classification
from kerasae.evaluate.codebook import codebook_use
from kerasae.evaluate.convnet import convolutional_baseline, small_convnet
from kerasae.evaluate.dictionaries import dictionary_measures
from kerasae.evaluate.embedding import embedded
from kerasae.evaluate.estimates import Estimates, mean_value, measure_estimates, ridge_probe
from kerasae.evaluate.geometry import score_field, tangents
from kerasae.evaluate.heads import HeadResult
from kerasae.evaluate.knn import KnnResult, knn_probe
from kerasae.evaluate.label_kinds import LABEL_KINDS, LabelKind
from kerasae.evaluate.partition import LogZ, annealed_log_z, exact_log_z, reverse_log_likelihood, reverse_log_z
from kerasae.evaluate.probe import ProbeResult, features, linear_probe
from kerasae.evaluate.probe_by_attention import attentive_probe
from kerasae.evaluate.probe_by_sgd import sgd_probe
from kerasae.evaluate.ratings import ndcg, predict_ratings, rating_figures, rmse, top_items
from kerasae.evaluate.reconstruction import hidden_patch_error, mean_score, reconstruction_error
from kerasae.evaluate.several_classes import SeveralClasses, class_frequencies, measure_several_classes, several_probe
from kerasae.evaluate.tokens import Tokens, tokens_and_features
from kerasae.evaluate.worth import Worth, worth_of

__all__ = [
    "BASELINES",
    "LABEL_KINDS",
    "worth_of",
    "support_vectors",
    "small_convnet",
    "raw_input",
    "principal_components",
    "most_frequent_class",
    "convolutional_baseline",
    "Worth",
    "Baseline",
    "Classification",
    "Estimates",
    "HeadResult",
    "KnnResult",
    "LabelKind",
    "LogZ",
    "ProbeResult",
    "SeveralClasses",
    "Tokens",
    "annealed_log_z",
    "attentive_probe",
    "class_frequencies",
    "classify",
    "codebook_use",
    "dictionary_measures",
    "embedded",
    "evidence_lower_bound",
    "exact_log_z",
    "features",
    "hidden_patch_error",
    "importance_nll",
    "knn_probe",
    "linear_probe",
    "mean_score",
    "mean_value",
    "measure_classification",
    "measure_estimates",
    "measure_several_classes",
    "ndcg",
    "nll_summary",
    "predict_ratings",
    "rating_figures",
    "reconstruction_error",
    "reverse_log_likelihood",
    "reverse_log_z",
    "ridge_probe",
    "rmse",
    "score_field",
    "several_probe",
    "sgd_probe",
    "tangents",
    "tokens_and_features",
    "top_items",
]
