"""Level 4: measure a trained model through the public contract: probes, bounds, reconstruction, classification."""

from kerasae.evaluate.activity import unit_activity
from kerasae.evaluate.anomaly_baselines import ANOMALY_BASELINES, flat_values
from kerasae.evaluate.baselines import (
    BASELINES,
    Baseline,
    most_frequent_class,
    principal_components,
    principal_reconstructions,
    raw_input,
    support_vectors,
)
from kerasae.evaluate.bound import evidence_lower_bound, importance_nll, nll_summary
from kerasae.evaluate.classification import Classification, classify, measure_classification
from kerasae.evaluate.clustering import ClusterAgreement, agreement, cluster_agreement, find_clusters
from kerasae.evaluate.code_length import (
    bits_per_dimension,
    draw_independent,
    independent_shares,
    index_bits,
    indices_of,
    png_bits,
)
from kerasae.evaluate.codebook import codebook_use
from kerasae.evaluate.convnet import convolutional_baseline, small_convnet
from kerasae.evaluate.copies import Memorisation, memorisation
from kerasae.evaluate.detection import anomaly_figures, threshold_figures
from kerasae.evaluate.dictionaries import dictionary_measures
from kerasae.evaluate.disentanglement import (
    Dci,
    disentanglement_completeness_informativeness,
    factor_vae_score,
    mutual_information_gap,
)
from kerasae.evaluate.embedding import embedded
from kerasae.evaluate.estimates import Estimates, mean_value, measure_estimates, ridge_probe
from kerasae.evaluate.feature_distances import frechet_distance, precision_and_recall
from kerasae.evaluate.folds import fold_accuracies
from kerasae.evaluate.geometry import score_field, tangents
from kerasae.evaluate.hashing_baselines import HASHING_BASELINES, pca_itq, random_hyperplanes
from kerasae.evaluate.heads import HeadResult
from kerasae.evaluate.information import Information, code_information, code_use, collapse, posterior_draws
from kerasae.evaluate.interpolation import interpolation_error
from kerasae.evaluate.judge import Judge, can_judge, trained_judge
from kerasae.evaluate.knn import KnnResult, knn_probe
from kerasae.evaluate.label_kinds import LABEL_KINDS, LabelKind
from kerasae.evaluate.meanings import MEANINGS
from kerasae.evaluate.neighbour_counts import mean_of_vectors, word_vectors
from kerasae.evaluate.partition import LogZ, annealed_log_z, exact_log_z, reverse_log_likelihood, reverse_log_z
from kerasae.evaluate.parzen import Parzen, parzen_window
from kerasae.evaluate.pixel_baselines import PIXEL_BASELINES
from kerasae.evaluate.placing import place, trust
from kerasae.evaluate.plane import planar_maps
from kerasae.evaluate.probe import ProbeResult, features, linear_probe
from kerasae.evaluate.probe_by_attention import attentive_probe
from kerasae.evaluate.probe_by_sgd import sgd_probe
from kerasae.evaluate.ranking import Ranking, ndcg, rank_items, top_items
from kerasae.evaluate.rating_baselines import svd
from kerasae.evaluate.ratings import predict_ratings, predicted_rows, rating_figures, rmse
from kerasae.evaluate.reconstruction import hidden_patch_error, mean_score, reconstruction_error
from kerasae.evaluate.retrieval import average_precisions, mean_average_precision
from kerasae.evaluate.segmentation import Segmentation, iou_difference, measure_segmentation, segment
from kerasae.evaluate.several_classes import SeveralClasses, class_frequencies, measure_several_classes, several_probe
from kerasae.evaluate.style import slant, stroke_width, style_kept
from kerasae.evaluate.token_figures import bags_of_ids, token_error
from kerasae.evaluate.tokens import Tokens, tokens_and_features
from kerasae.evaluate.two_samples import TwoSampleTest, told_apart, two_sample_test
from kerasae.evaluate.worth import Worth, worth_of

__all__ = [
    "ANOMALY_BASELINES",
    "BASELINES",
    "Baseline",
    "Classification",
    "ClusterAgreement",
    "Dci",
    "Estimates",
    "HASHING_BASELINES",
    "HeadResult",
    "Information",
    "Judge",
    "KnnResult",
    "LABEL_KINDS",
    "MEANINGS",
    "LabelKind",
    "LogZ",
    "Memorisation",
    "PIXEL_BASELINES",
    "Parzen",
    "ProbeResult",
    "Ranking",
    "Segmentation",
    "SeveralClasses",
    "Tokens",
    "TwoSampleTest",
    "Worth",
    "agreement",
    "annealed_log_z",
    "anomaly_figures",
    "attentive_probe",
    "average_precisions",
    "bags_of_ids",
    "can_judge",
    "class_frequencies",
    "classify",
    "cluster_agreement",
    "code_information",
    "code_use",
    "bits_per_dimension",
    "codebook_use",
    "draw_independent",
    "independent_shares",
    "index_bits",
    "indices_of",
    "png_bits",
    "collapse",
    "convolutional_baseline",
    "dictionary_measures",
    "disentanglement_completeness_informativeness",
    "embedded",
    "evidence_lower_bound",
    "exact_log_z",
    "factor_vae_score",
    "features",
    "find_clusters",
    "flat_values",
    "fold_accuracies",
    "frechet_distance",
    "hidden_patch_error",
    "importance_nll",
    "interpolation_error",
    "iou_difference",
    "knn_probe",
    "linear_probe",
    "mean_average_precision",
    "mean_of_vectors",
    "mean_score",
    "mean_value",
    "measure_classification",
    "measure_estimates",
    "measure_segmentation",
    "measure_several_classes",
    "memorisation",
    "most_frequent_class",
    "mutual_information_gap",
    "ndcg",
    "nll_summary",
    "parzen_window",
    "pca_itq",
    "place",
    "planar_maps",
    "posterior_draws",
    "precision_and_recall",
    "predict_ratings",
    "predicted_rows",
    "principal_components",
    "principal_reconstructions",
    "random_hyperplanes",
    "rank_items",
    "rating_figures",
    "raw_input",
    "reconstruction_error",
    "reverse_log_likelihood",
    "reverse_log_z",
    "ridge_probe",
    "rmse",
    "score_field",
    "segment",
    "several_probe",
    "sgd_probe",
    "slant",
    "small_convnet",
    "stroke_width",
    "style_kept",
    "support_vectors",
    "svd",
    "tangents",
    "token_error",
    "tokens_and_features",
    "threshold_figures",
    "told_apart",
    "top_items",
    "trained_judge",
    "trust",
    "two_sample_test",
    "unit_activity",
    "word_vectors",
    "worth_of",
]
