"""Measure estimates of numbers: R² and mean absolute error; the linear probe and the baseline of such labels."""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from kerasae.errors import InputError
from kerasae.evaluate.probe import check_widths

PENALTIES = tuple(10.0**power for power in range(-2, 7))
"""Penalties α that the ridge probe chooses from."""

CHOOSE_ON = 5000
"""Most training examples that take part in the choice of a penalty."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimates:
    """Estimates of D numbers beside the true ones.

    `r2` is the share of the variance that is explained, 1 − Σ(y − ŷ)² / Σ(y − ȳ)², the mean over the D numbers; it is
    negative for what is worse than the mean. `r2_each` and `mae_each` [D] are R² and mean absolute error, in the units
    of the labels, of each number. `predictions` are [N, D]. `protocol` says how they came about.
    """

    r2: float
    r2_each: np.ndarray
    mae_each: np.ndarray
    predictions: np.ndarray
    protocol: str = ""

    def figures(self, names) -> dict[str, float]:
        """Name the figures: `r2` and `mae` of a single number; of several also those of each, as `NAME_r2`."""
        if len(names) == 1:
            return {"r2": self.r2, "mae": float(self.mae_each[0])}
        each = {f"{name}_r2": float(value) for name, value in zip(names, self.r2_each, strict=True)}
        return {"r2": self.r2, **each, **{f"{n}_mae": float(v) for n, v in zip(names, self.mae_each, strict=True)}}


def measure_estimates(labels: np.ndarray, predicted: np.ndarray, protocol: str = "") -> Estimates:
    """Compare numbers [N, D] with estimates [N, D].

    Raises:
        InputError: shapes that differ, fewer than two examples, values that are not finite.

    Example:
        >>> measure_estimates(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]])).mae_each.tolist()
        [0.5]
    """
    labels, predicted = (np.asarray(values, np.float64) for values in (labels, predicted))
    if labels.shape != predicted.shape or labels.ndim != 2 or len(labels) < 2:
        raise InputError(
            f"labels, predicted: expected numbers [N, D] of the same two or more examples, received {labels.shape} and "
            f"{predicted.shape}."
        )
    if not (np.isfinite(labels).all() and np.isfinite(predicted).all()):
        raise InputError("labels, predicted: expected finite numbers, received NaN or infinity; check the training.")
    each = r2_score(labels, predicted, multioutput="raw_values")
    return Estimates(
        r2=float(each.mean()),
        r2_each=each,
        mae_each=mean_absolute_error(labels, predicted, multioutput="raw_values"),
        predictions=predicted,
        protocol=protocol,
    )


def ridge_probe(train_x, train_y, test_x, test_y, seed: int = 0) -> Estimates:
    """Fit ridge regression on standardised frozen features; measure its estimates of the test examples.

    Minimises Σᵢ ‖yᵢ − W xᵢ − b‖² + α ‖W‖², with α for each number chosen from `PENALTIES` by leave-one-out on the
    training labels, on a random 5,000 of them where there are more.

    Args:
        train_x, test_x: features [N, ...], flattened.
        train_y, test_y: numbers [N, D].
        seed: of the subsample.

    Raises:
        InputError: widths that differ, or as in `measure_estimates`.
    """
    train_x, test_x = (np.asarray(x).reshape(len(x), -1).astype(np.float64) for x in (train_x, test_x))
    check_widths(train_x, test_x)
    scaler = StandardScaler().fit(train_x)
    x, y = scaler.transform(train_x), np.asarray(train_y, np.float64)
    taken = np.random.default_rng(seed).permutation(len(y))[:CHOOSE_ON]
    with threadpool_limits(1, user_api="blas"):
        chosen = RidgeCV(PENALTIES, alpha_per_target=y.shape[1] > 1).fit(
            x[taken], y[taken] if y.shape[1] > 1 else y[taken, 0]
        )
        predicted = Ridge(chosen.alpha_).fit(x, y).predict(scaler.transform(test_x))
    penalties = "/".join(f"{alpha:g}" for alpha in np.unique(chosen.alpha_))
    return measure_estimates(
        test_y,
        predicted.reshape(np.shape(test_y)),
        f"linear probe: ridge regression on {x.shape[1]} standardised frozen features, {len(y)} labels, "
        f"α={penalties} chosen of {len(PENALTIES)} by leave-one-out on {len(taken)} training labels",
    )


def mean_value(train_y, test_y) -> Estimates:
    """Estimate every test example by the mean of the training labels.

    Example:
        >>> mean_value(np.array([[1.0], [3.0]]), np.array([[2.0], [4.0]])).mae_each.tolist()
        [1.0]
    """
    mean = np.mean(train_y, axis=0, dtype=np.float64)
    predicted = np.broadcast_to(mean, np.shape(test_y))
    return measure_estimates(test_y, predicted, f"mean of {len(train_y)} training labels")
