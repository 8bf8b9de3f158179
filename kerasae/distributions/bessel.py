"""Logarithms and ratios of modified Bessel functions of the first kind, I_v(κ), in float32.

Orders of at least `LARGE` take Debye's uniform expansion (the logarithm of DLMF 10.41.3). Lower orders descend from
there by the recurrence I_{v−1} = (2v/κ) I_v + I_{v+1} (DLMF 10.29.1), without subtracting two large numbers.
"""

import math

from keras import ops

LARGE = 10.0
"""Least order at which four terms of the expansion reach float32's precision."""

DEBYE = (
    (1, (3 / 24, -5 / 24)),
    (2, (1 / 16, -6 / 16, 5 / 16)),
    (3, (375 / 5760, -4779 / 5760, 9945 / 5760, -5525 / 5760)),
    (4, (13 / 128, -284 / 128, 1062 / 128, -1356 / 128, 565 / 128)),
)
"""(j, a): the j-th term of the logarithm of the expansion is s^−j Σ_i a_i (v/s)^2i with s = sqrt(v² + κ²)."""


def log_bessel(order, kappa):
    """Compute log I_v(κ), the logarithm of the modified Bessel function of the first kind.

    Its derivative in κ is I_{v+1}/I_v + v/κ. At κ = 10⁵ neighbouring float32 numbers lie 0.008 apart; use
    `reduced_bessel` where the leading κ cancels.

    Args:
        order: v ≥ 0, a number.
        kappa: κ > 0, any shape.

    Returns:
        float32 of the shape of κ.

    Example:
        >>> log_bessel(0.5, np.array([1.0]))  # log(sqrt(2/π) sinh 1) = -0.0644
    """
    kappa = ops.cast(kappa, "float32")
    reduced, _ = reduced_bessel(order, kappa)
    return reduced + kappa + order * ops.log(0.5 * kappa) - math.lgamma(order + 1.0)


def bessel_ratio(order, kappa):
    """Compute I_{v+1}(κ) / I_v(κ), in [0, 1): the mean resultant length A_Z(κ) for v = Z/2 − 1.

    Args:
        order: v ≥ 0, a number.
        kappa: κ ≥ 0, any shape.

    Returns:
        float32 of the shape of κ.

    Example:
        >>> bessel_ratio(0.5, np.array([1.0]))  # coth 1 − 1 = 0.3130
    """
    kappa = ops.cast(kappa, "float32")
    return kappa / (kappa + reduced_bessel(order, kappa)[1])


def reduced_bessel(order, kappa):
    """Compute log(Γ(v+1) (2/κ)^v I_v(κ)) − κ and the gap κ (I_v/I_{v+1} − 1), precise for small and large κ.

    With the gap g_v, I_{v+1}/I_v = κ / (κ + g_v), and the recurrence reads g_{v−1} = 2v − κ g_v / (κ + g_v).

    Args:
        order: v ≥ 0, a number.
        kappa: κ ≥ 0, float32 of any shape.

    Returns:
        Two float32 tensors of the shape of κ. The first is 0 at κ = 0; the second falls from 2 (v+1) to v + ½.
    """
    steps = max(0, math.ceil(LARGE - order))
    value, gap = debye(order + steps, kappa)
    for above in (order + step for step in range(steps, 0, -1)):
        ratio = kappa / (kappa + gap)
        value = value + ops.log1p(kappa * ratio / (2.0 * above))
        gap = 2.0 * above - gap * ratio
    return value, gap


def debye(order, kappa):
    """Compute the results of `reduced_bessel` by Debye's expansion, for orders of at least `LARGE`."""
    root = ops.sqrt(order**2 + ops.square(kappa))
    rise = ops.square(kappa) / (root + order)  # s − v
    excess = order**2 / (root + kappa)  # s − κ; below, s − κ − v = −v (s − v + κ) / (s + κ)
    value = -order * ((rise + kappa) / (root + kappa) + ops.log1p(rise / (2.0 * order))) - 0.5 * ops.log1p(rise / order)
    value = value + debye_terms(order, root) - debye_terms(order, order)
    loss = (order + root) * (0.5 / root - debye_slope(order, root)) / root
    return value, (order + excess + kappa * loss) / (1.0 - loss)


def debye_terms(order, root):
    """Sum the terms of `DEBYE` at s = root."""
    return sum(horner(a, (order / root) ** 2) / root**j for j, a in DEBYE)


def debye_slope(order, root):
    """Differentiate `debye_terms` by s."""
    slopes = ((j, [-(j + 2 * i) * value for i, value in enumerate(a)]) for j, a in DEBYE)
    return sum(horner(a, (order / root) ** 2) / root ** (j + 1) for j, a in slopes)


def horner(coefficients, x):
    """Evaluate Σ_i c_i x^i."""
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
