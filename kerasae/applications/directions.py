"""Learn a direction between two groups of codes, and move codes along it."""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from kerasae.errors import InputError

FEWEST = 8
"""Fewest examples of a group."""

HELD_OUT = 0.25
"""Share of each group that judges the direction."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Direction:
    """A direction from codes without a property to codes with it, and how well it separates held-out ones."""

    vector: np.ndarray
    """float32 [*code_shape]: strength 1 moves by the distance of the groups' means along the direction."""
    normal: np.ndarray
    """float64 [Z] by which codes are judged."""
    offset: float
    method: str
    """"mean difference" or "logistic regression"."""
    chosen_by: dict[str, float]
    """Accuracy of each method in the cross-validation that chose; no held-out code took part."""
    accuracy: float
    """Share of held-out codes on the right side, in [0, 1]; groups weigh by their sizes."""
    auroc: float
    """Chance that a held-out code with the property lies further along than one without it."""
    learned: int
    """Codes that the direction was learned from."""
    held_out: int
    """Codes that judged it."""

    def score(self, codes: np.ndarray) -> np.ndarray:
        """Judge codes [N, *code_shape]: [N], above 0 for those with the property."""
        return np.asarray(codes, np.float64).reshape(len(codes), -1) @ self.normal + self.offset


def learn_direction(present: np.ndarray, absent: np.ndarray, seed: int = 0) -> Direction:
    """Learn the direction from codes without a property to codes with it; a quarter of each group judges.

    Two candidates: the difference of the groups' means (Larsen et al., arXiv 1512.09300, sec. 4.2), which splits at the
    midpoint, and the normal of a logistic regression on standardised codes (C = 1), brought back to the codes' units.
    The better by cross-validated accuracy on the other three quarters is taken; ties go to the means.

    Args:
        present, absent: codes [N, *code_shape] and [M, *code_shape], at least 8 each.
        seed: of the choice of the held-out codes and of the folds.

    Raises:
        InputError: too few codes, shapes that differ, numbers that are not finite, or codes that are all the same.

    Example:
        >>> learn_direction(np.full((8, 3), [9.0, 1.0, 0.0]), np.full((8, 3), [0.0, 1.0, 0.0])).vector
        array([9., 0., 0.], dtype=float32)
    """
    shape = np.shape(present)[1:]
    x, y = groups(present, absent)
    learned, held = train_test_split(np.arange(len(y)), test_size=HELD_OUT, stratify=y, random_state=seed)
    with threadpool_limits(1, user_api="blas"):
        chosen_by = {name: cross_validated(fit, x[learned], y[learned], seed) for name, fit in METHODS.items()}
        method = max(METHODS, key=lambda name: chosen_by[name])
        vector, normal, offset = METHODS[method](x[learned], y[learned])
    scores = x[held] @ normal + offset
    return Direction(
        vector=vector.reshape(shape).astype(np.float32),
        normal=normal,
        offset=offset,
        method=method,
        chosen_by=chosen_by,
        accuracy=float(np.mean((scores > 0) == y[held])),
        auroc=float(roc_auc_score(y[held], scores)),
        learned=len(learned),
        held_out=len(held),
    )


def groups(present, absent) -> tuple[np.ndarray, np.ndarray]:
    """Check and join two groups of codes: float64 [N + M, Z] and whether they have the property, int [N + M]."""
    a, b = (np.asarray(group, np.float64) for group in (present, absent))
    for name, group in (("present", a), ("absent", b)):
        if len(group) < FEWEST:
            raise InputError(f"{name}: expected at least {FEWEST} examples of the group. Received: {len(group)}")
    if a.shape[1:] != b.shape[1:]:
        raise InputError(f"present, absent: expected codes of one shape. Received: {a.shape[1:]} and {b.shape[1:]}")
    x = np.concatenate([a.reshape(len(a), -1), b.reshape(len(b), -1)])
    if not np.isfinite(x).all():
        raise InputError("present, absent: expected finite codes. Received: some that are not; check the training")
    if (x == x[0]).all():
        raise InputError("present, absent: all codes are the same; the encoder has collapsed")
    return x, np.repeat([1, 0], [len(a), len(b)])


def mean_difference(x, y) -> tuple[np.ndarray, np.ndarray, float]:
    """Subtract the mean without the property from that with it; returns vector, normal and offset."""
    present, absent = x[y == 1].mean(axis=0), x[y == 0].mean(axis=0)
    vector = present - absent
    return vector, vector, float(-vector @ (present + absent) / 2)


def logistic_normal(x, y) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit a logistic regression; its normal, as long as the groups' means lie apart along it, is the vector."""
    scaler = StandardScaler().fit(x)
    fitted = LogisticRegression(max_iter=1000).fit(scaler.transform(x), y)
    normal = fitted.coef_[0] / scaler.scale_
    length = np.linalg.norm(normal)
    unit = normal / length if length else normal
    vector = unit * abs(unit @ mean_difference(x, y)[0])
    return vector, normal, float(fitted.intercept_[0] - normal @ scaler.mean_)


METHODS = {"mean difference": mean_difference, "logistic regression": logistic_normal}


def cross_validated(fit, x, y, seed) -> float:
    """Measure the accuracy of a method over five folds, or as many as the smaller group has examples."""
    folds = StratifiedKFold(min(5, np.bincount(y).min()), shuffle=True, random_state=seed)
    right = 0
    for train, test in folds.split(x, y):
        _, normal, offset = fit(x[train], y[train])
        right += int(np.sum((x[test] @ normal + offset > 0) == y[test]))
    return right / len(y)


def moved(codes: np.ndarray, direction: np.ndarray, strengths: np.ndarray, sphere: bool = False) -> np.ndarray:
    """Move codes along a direction: [R, *code_shape] → [R, strengths, *code_shape].

    Args:
        codes: [R, *code_shape].
        direction: [*code_shape].
        strengths: [S], multiples of the direction; 0 leaves a code as it is.
        sphere: whether the results are brought back to length 1.

    Example:
        >>> moved(np.zeros((1, 2)), np.array([1.0, 2.0]), np.array([-1.0, 2.0]))[0].tolist()
        [[-1.0, -2.0], [2.0, 4.0]]
    """
    codes, direction = np.asarray(codes), np.asarray(direction)
    if codes.shape[1:] != direction.shape:
        raise InputError(f"direction: expected the shape of a code, {codes.shape[1:]}. Received: {direction.shape}")
    steps = np.asarray(strengths, codes.dtype).reshape(-1, *[1] * direction.ndim)
    found = codes[:, None] + steps * direction
    return found / np.linalg.norm(found, axis=-1, keepdims=True) if sphere else found
