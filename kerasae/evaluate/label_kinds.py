"""What is measured and fitted with labels of each kind: one class, several classes, or numbers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerasae.errors import InputError
from kerasae.evaluate.baselines import BASELINES, Baseline, most_frequent_class
from kerasae.evaluate.classification import measure_classification
from kerasae.evaluate.estimates import mean_value, measure_estimates, ridge_probe
from kerasae.evaluate.probe import linear_probe, outputs
from kerasae.evaluate.several_classes import class_frequencies, measure_several_classes, several_probe


@dataclass(frozen=True)
class LabelKind:
    """How labels of one kind are measured. Results have the field `metric`, `predictions` and, of fits, `protocol`."""

    metric: str
    """Name of the field of a result that is compared, and of its figure NAME_metric; 1 is best."""
    title: str
    """Heading of the column of that figure."""
    of: str
    """Words behind the figure as a percentage."""
    answer: str
    """Output of the model that is measured."""
    measure: Callable
    """(labels, answers of the model) → result."""
    judge: Callable
    """(labels, predictions of an earlier result, protocol) → result."""
    probe: Callable
    """(train_x, train_y, test_x, test_y, seed=…) → result of a linear model."""
    constant: Callable
    """(train_y, test_y) → result of the best answer that does not look at the example."""
    baselines: dict[str, str]
    """Figure NAME_metric of a baseline → name of the baseline."""

    def score(self, result) -> float:
        """The figure of a result that is compared."""
        return getattr(result, self.metric)

    def run(self, model, split, batch_size: int = 256):
        """Measure a `Classifier` of this kind on a labelled split.

        Raises:
            InputError: the split has no labels.
        """
        labels, answers = [], []
        for _, y, answer in outputs(lambda x: model.answer(x)[self.answer], split, batch_size):
            if y is None:
                raise InputError("split: expected labels, received none; use data with labels.")
            labels.append(y)
            answers.append(answer)
        return self.measure(np.concatenate(labels), np.concatenate(answers))


def _judge_class(labels, predictions, protocol) -> Baseline:
    accuracy = float(np.mean(predictions == labels))
    return Baseline(accuracy=accuracy, predictions=predictions, protocol=protocol)


def _linear(name: str, constant: str) -> dict[str, str]:
    """Names of the baselines where only linear models are fitted."""
    found = {
        key: BASELINES[key].rpartition(", ")[0] for key in ("raw_probe", "pca_probe", "start_probe", "untrained_probe")
    }
    return {key: f"{text}, {name}" for key, text in found.items()} | {"majority": constant}


LABEL_KINDS = {
    "class": LabelKind(
        *("accuracy", "test accuracy", "", "logits"),
        measure=measure_classification,
        judge=_judge_class,
        probe=linear_probe,
        constant=most_frequent_class,
        baselines=BASELINES,
    ),
    "classes": LabelKind(
        *("mean_average_precision", "mean average precision", " mean average precision", "probabilities"),
        measure=measure_several_classes,
        judge=measure_several_classes,
        probe=several_probe,
        constant=class_frequencies,
        baselines=_linear("logistic regressions", "frequency of each class"),
    ),
    "numbers": LabelKind(
        *("r2", "explained variance (R²)", " of the variance", "values"),
        measure=measure_estimates,
        judge=measure_estimates,
        probe=ridge_probe,
        constant=mean_value,
        baselines=_linear("ridge regression", "mean of the labels"),
    ),
}
"""Kind of labels, as in `kerasae.data.Info.label_kind` → how they are measured."""
