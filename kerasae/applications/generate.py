"""Draw new examples from a generative model, and turn those that are pictures into pixels."""

import numpy as np

from kerasae.errors import InputError


def draw_examples(model, count: int, label: int | None = None, seed: int | None = None) -> np.ndarray:
    """Draw new examples, float32 [count, *shape], in units in which `pixel_max` is 1; standardised ones as stored.

    Args:
        model: a model of the contract that is `generative`.
        count: number of examples, ≥ 1.
        label: class of all examples, where the model is conditional.
        seed: the same integer draws the same examples; None draws others each time.

    Raises:
        InputError: the model is not generative, a conditional one gets no label, or another one gets one.

    Example:
        >>> images = draw_examples(model, 64, seed=0)
    """
    name = type(model).__name__
    if not model.generative:
        raise InputError(
            f"model: expected a generative one, received {name}; train one, such as kerasae train variational"
        )
    if model.conditional and label is None:
        raise InputError(f"label: expected the class of the examples, as this {name} is conditional; received none")
    if not model.conditional and label is not None:
        raise InputError(f"label: expected none, as this {name} is not conditional; received {label}; leave it out")
    return np.asarray(model.sample(count, y=label, seed=seed), np.float32)


def is_picture(model) -> bool:
    """Tell whether examples of a model are grey or colour images whose values lie in 0…1."""
    shape = model.example_shape
    return len(shape) == 3 and shape[-1] in (1, 3) and model.standardization is None


def pixels(images: np.ndarray) -> np.ndarray:
    """Turn values in 0…1 into bytes, rounded; what lies outside is cut.

    Example:
        >>> pixels(np.array([-0.1, 0.5, 1.0]))
        array([  0, 128, 255], dtype=uint8)
    """
    return np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8)
