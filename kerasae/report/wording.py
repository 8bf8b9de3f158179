"""Numbers, values and figures of a run as text: units, meanings, spreads."""

import math
import re

from kerasae.evaluate import MEANINGS as OF_JUDGED

MEANINGS = {
    r"(.*_)?finetune_accuracy": ("%", "test accuracy after fine-tuning the pretrained encoder"),
    r"(.*_)?scratch_accuracy": ("%", "test accuracy of the same network from random weights, same labels and steps"),
    r"(.*_)?sgd_probe_accuracy": (
        "%",
        "test accuracy of batch norm and a linear layer on the frozen code, trained by SGD",
    ),
    r"(.*_)?svm_probe_accuracy": ("%", "test accuracy of a support vector machine on the frozen code"),
    r"(.*_)?attentive_accuracy": ("%", "test accuracy of a learned query over all frozen tokens"),
    r"(.*_)?raw_probe_accuracy": ("%", "test accuracy of a linear classifier on the raw input"),
    r"(.*_)?raw_nearest_accuracy": ("%", "test accuracy of the nearest neighbours in the raw input"),
    r"(.*_)?raw_svm_accuracy": ("%", "test accuracy of a support vector machine on the raw input"),
    r"(.*_)?pca_probe_accuracy": ("%", "test accuracy of a linear classifier on principal components"),
    r"(.*_)?pca_nearest_accuracy": ("%", "test accuracy of the nearest neighbours in principal components"),
    r"(.*_)?start_probe_accuracy": ("%", "test accuracy of a linear classifier on the weights before adaptation"),
    r"(.*_)?untrained_probe_accuracy": ("%", "test accuracy of a linear classifier on an untrained encoder's code"),
    r"(.*_)?majority_accuracy": ("%", "test accuracy of always saying the most frequent class"),
    r"(.*_)?convnet_accuracy": ("%", "test accuracy of a small convolutional network trained from scratch to its end"),
    r"(.*_)?worth_points": ("points", "score of the best features beyond that of the best baseline"),
    r"(.*_)?probe_accuracy": ("%", "test accuracy of a linear classifier on the frozen code"),
    r"(.*_)?knn_accuracy": ("%", "test accuracy of a vote among nearest neighbours in the frozen code"),
    r"(.*_)?token_accuracy": ("%", "share of the test tokens that the reconstruction gives back in their place"),
    r"(.*_)?nats_per_token": ("nats", "−log p of a test token given the code of its line"),
    r"(.*_)?tokens": ("count", "test tokens measured"),
    r"(.*_)?accuracy": ("%", "test accuracy"),
    r"(.*_)?r2": ("", "share of the variance of the test labels that is explained; below 0 is worse than their mean"),
    r"(.*_)?mae": ("", "mean absolute error, in the units of the labels"),
    r"(.*_)?mean_average_precision": ("%", "area under precision over recall, mean over the classes"),
    r"(.*_)?macro_f1": ("%", "F1 at probability one half, mean over the classes"),
    r"(.*_)?micro_f1": ("%", "F1 at probability one half, of all answers together"),
    r"error": ("%", "share of the test examples that are classified wrongly"),
    r"(.*_)?mse": ("", "squared reconstruction error, mean over the values, which are in 0…1"),
    r"(.*_)?sse": ("", "squared reconstruction error, sum over an example's values"),
    r"(.*_)?psnr": ("dB", "peak signal-to-noise ratio of the reconstructions"),
    r"(.*_)?prd": ("%", "root of the squared error over that of always answering the training mean"),
    r"hidden_error": ("", "error of hidden patches, in the units of the objective; lower is better"),
    r"hidden_mse": ("", "squared error of hidden pixels, mean over these, which are in 0…1"),
    r"hidden_psnr": ("dB", "peak signal-to-noise ratio of hidden pixels"),
    r"nll_mean": ("nats", "negative log-likelihood per example, estimated by importance sampling"),
    r"negative_elbo": ("nats", "negative evidence lower bound per example"),
    r"(.*_)?log_likelihood_forward": ("nats", "log-likelihood per example by annealed importance sampling, from above"),
    r"(.*_)?log_likelihood_reverse": ("nats", "log-likelihood per example by chains from the examples, from below"),
    r"(.*_)?log_likelihood_exact": ("nats", "log-likelihood per example, all hidden states summed"),
    r"log_z_(forward|reverse|exact)": ("nats", "logarithm of the partition function"),
    r"(.*_)?max_abs_diff": ("difference", "largest difference between a model's outputs and its reloaded export's"),
    r"cold_(items|users)_held_out": ("count", "of these, those of items or users with few ratings in training"),
    r"cold_(items|users)_.*rmse": ("", "error at the held-out ratings of these, in their unit"),
    r"(mean|row_mean|column_mean|means)_rmse": ("", "the same error by means of the training ratings alone"),
    r"svd_rmse": ("", "the same error by a truncated singular value decomposition"),
    r"(.*_)?rmse": ("", "root mean squared error of held-out ratings, in their unit"),
    r"(.*_)?ranking_ndcg_at_\d+": ("", "place of relevant held-out items among all unrated ones; 1 is the best order"),
    r"(.*_)?ranking_recall_at_\d+": ("%", "share of a user's relevant held-out items among the best unrated ones"),
    r"(.*_)?ranking_precision_at_\d+": ("%", "share of relevant held-out items among the best unrated ones"),
    r"(.*_)?ndcg_at_\d+": ("", "order of each user's held-out items; 1 is the best order"),
    r"(.*_)?held_out": ("count", "held-out ratings that were predicted"),
    r"ranked_users": ("count", "users with a relevant held-out item"),
    r"relevant_from": ("", "least rating of a relevant item"),
    r"(.*_)?seconds": ("s", "time spent in training"),
    r"(.*_)?epochs": ("count", "epochs of training"),
    r"(.*_)?examples": ("count", "test examples measured"),
    r"(.*_)?samples": ("count", "importance samples per example"),
}
"""Pattern of a figure's name → unit and meaning; the first pattern that matches holds."""

QUANTITIES = {
    "%": lambda value: f"{100 * value:.2f}",
    "points": lambda value: f"{value:+.1f}",
    "nats": lambda value: f"{value:.2f}",
    "bits": lambda value: f"{value:.4g}",
    "dB": lambda value: f"{value:.2f}",
    "s": lambda value: f"{value:.1f}",
    "count": lambda value: f"{value:,.0f}",
    "units": lambda value: f"{value:,.0f}",
    "samples": lambda value: f"{value:,.0f}",
    "entries": lambda value: f"{value:,.1f}",
    "difference": lambda value: f"{value:.1e}",
    "": lambda value: f"{value:.4g}",
}
"""Unit → function that writes a number of this unit."""


def companion(name: str) -> str:
    """Return the name of the figure that holds the spread of another figure."""
    return f"{name.removesuffix('_mean')}_standard_error" if name.endswith("_mean") else f"{name}_std"


def meaning_of(name: str) -> tuple[str, str]:
    """Look up unit and meaning of a figure; both empty for an unknown figure."""
    if name in OF_JUDGED:
        return OF_JUDGED[name]
    return next((known for pattern, known in MEANINGS.items() if re.fullmatch(pattern, name)), ("", ""))


def quantity(value, spread, unit: str) -> str:
    """Write a figure with its spread and unit; "–" for a number that is not finite."""
    if isinstance(value, str):
        return value
    texts = [QUANTITIES[unit](v) if math.isfinite(v) else "–" for v in (value, spread) if v is not None]
    return " ± ".join(texts) + (f" {unit}" if unit not in ("count", "difference", "") else "")


def size(shape) -> str:
    """Write a shape such as (8, 8, 1) as 8 × 8 × 1."""
    return " × ".join(f"{n:,}" for n in shape)


def spell(value) -> str:
    """Write a value of a recipe as one would type it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {spell(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return " ".join(map(spell, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not given" if value is None else str(value)
