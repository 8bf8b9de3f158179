"""Tensors as TensorFlow Serving writes them in JSON: rows or columns in, rows or columns out, shapes checked."""

import base64
import binascii
import json
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from kerasae.serving.refusals import Refusal

DEFAULT = "serving_default"
"""Signature of a request that names none."""
KINDS = {"uint8": {int}, "uint16": {int}, "float32": {int, float}}
"""Type of an input → the types of Python that JSON's numbers may have for it; `bool` is none of them."""

PIECE = 2**16
"""Numbers that are turned into text at once."""


class Takes(NamedTuple):
    """What an endpoint takes: the name, shape, type and values of one example."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    values: tuple[float, float] | None = None
    """Smallest and largest value; None for any finite number."""
    missing: bool = False
    """Whether NaN is taken, as a missing number."""
    pictures: bool = False
    """Whether image files are taken too."""


class Question(NamedTuple):
    """The content of a request: the signature, the value of its tensors, and whether that is columnar."""

    signature: str
    value: Any
    columnar: bool


def parse(body: bytes) -> Question:
    """Parse the JSON of a `:predict` request; raises Refusal (400) with what was expected."""
    try:
        found = json.loads(body)
    except RecursionError:
        raise Refusal(400, "body: the JSON is nested too deep") from None
    except ValueError as error:  # also of bytes that are no text, and of whole numbers of thousands of digits
        raise Refusal(400, f"body: expected JSON. {str(error)[:120]}") from None
    if not isinstance(found, dict):
        raise Refusal(400, f'body: expected an object with "instances" or "inputs". Received: {kind(found)}')
    signature = found.get("signature_name") or DEFAULT
    if not isinstance(signature, str):
        raise Refusal(400, f"signature_name: expected a string. Received: {kind(signature)}")
    given = [key for key in ("instances", "inputs") if key in found]
    if len(given) != 1:
        raise Refusal(400, f'body: expected one of "instances" and "inputs". Received: {" and ".join(given) or "none"}')
    return Question(signature, found[given[0]], given == ["inputs"])


def kind(value) -> str:
    """Name the JSON type of a value."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def examples(question: Question, takes: Takes) -> list:
    """Find the list of examples of a request, whether or not it names the input; raises Refusal (400)."""
    value = question.value
    if question.columnar and isinstance(value, dict):
        value = named(value, takes.name, "inputs")
    if not isinstance(value, list) or not value:
        where = "inputs" if question.columnar else "instances"
        raise Refusal(400, f"{where}: expected a list of one or more examples. Received: {kind(value)}")
    if not question.columnar and any(is_named(one) for one in value):
        return [named(one, takes.name, f"instances[{i}]") for i, one in enumerate(value)]
    return value


def is_named(example) -> bool:
    """Whether an example is an object of inputs by name, rather than a tensor or an encoded file."""
    return isinstance(example, dict) and not is_encoded(example)


def named(value, name: str, where: str):
    """Get the tensor of the only input from an object; raises Refusal (400) for other keys."""
    if not isinstance(value, dict) or set(value) != {name}:
        found = ", ".join(map(repr, list(value)[:3])) if isinstance(value, dict) else kind(value)
        raise Refusal(400, f"{where}: expected an object with the key {name!r} alone. Received: {found[:120]}")
    return value[name]


# ---- image files in base64


def is_encoded(value) -> bool:
    """Whether a JSON value is `{"b64": "…"}`, which stands for bytes."""
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def decoded(values: list, takes: Takes) -> list[bytes] | None:
    """Decode the files of a request's examples from base64; None where they are tensors; raises Refusal (400)."""
    encoded = [is_encoded(value) for value in values]
    if not any(encoded):
        return None
    if not takes.pictures:
        raise Refusal(400, f"{takes.name}: expected numbers, as the endpoint takes no image files. Received: b64")
    if not all(encoded):
        raise Refusal(400, f"{takes.name}: expected either b64 or numbers in all examples. Received both")
    try:
        return [base64.b64decode(value["b64"], validate=True) for value in values]
    except (binascii.Error, ValueError) as error:
        raise Refusal(400, f"{takes.name}: b64 is no base64 ({error})") from None


# ---- numbers


def array(values: list, takes: Takes) -> np.ndarray:
    """Convert nested lists to examples [N, *shape]; raises Refusal (400) for another shape, type or range.

    Lists are flattened level by level, so that no depth of nesting, and no list of another length, reaches NumPy.
    """
    flat = values
    for depth, size in enumerate(takes.shape):
        flat = opened(flat, depth, size, takes)
    if odd := set(map(type, flat)) - KINDS[takes.dtype]:
        found = kind(next(value for value in flat if type(value) in odd))
        wanted = "whole numbers" if takes.dtype != "float32" else "numbers"
        found = "a fraction" if odd == {float} else found
        raise Refusal(400, f"{takes.name}: expected {wanted} in lists [N, {spelled(takes)}]. Found {found}")
    refuse_values(flat, takes)
    return np.array(flat, takes.dtype).reshape(-1, *takes.shape)


def opened(lists: list, depth: int, size: int, takes: Takes) -> list:
    """Flatten one level of nested lists, all of which must have `size` values; raises Refusal (400)."""
    odd = [value for value in lists if type(value) is not list or len(value) != size]
    if not odd:
        return list(chain.from_iterable(lists))
    found = f"a list of {len(odd[0])}" if type(odd[0]) is list else kind(odd[0])
    raise Refusal(
        400,
        f"{takes.name}: expected lists of the shape [N, {spelled(takes)}], so of {size} values at depth {depth + 1}. "
        f"Found {found}",
    )


def spelled(takes: Takes) -> str:
    return ", ".join(map(str, takes.shape))


def refuse_values(flat: list, takes: Takes) -> None:
    """Raise Refusal (400) for numbers that are not finite, not in the type, or not in the range of the input."""
    found = as_float(flat, takes)
    if takes.missing:
        found = found[~np.isnan(found)]
    if not np.isfinite(found).all():
        raise Refusal(400, f"{takes.name}: expected finite numbers. Found NaN, infinity or one beyond float32")
    if takes.values is None or not found.size:
        return
    (low, high), least, most = takes.values, float(found.min()), float(found.max())
    if least < low or most > high:
        raise Refusal(400, f"{takes.name}: expected values from {low:g} to {high:g}. Found {least:.6g} to {most:.6g}")


def as_float(flat: list, takes: Takes) -> np.ndarray:
    """Convert numbers to float32, infinite where they are beyond it."""
    try:
        with np.errstate(over="ignore"):
            return np.array(flat, np.float64).astype(np.float32)
    except OverflowError:  # a whole number beyond 10³⁰⁸
        raise Refusal(400, f"{takes.name}: expected finite numbers. Found one beyond float64") from None


# ---- answers


def answer(outputs: dict[str, np.ndarray], columnar: bool) -> bytes:
    """Write the outputs of an endpoint as TensorFlow Serving does.

    A single output loses its name; several are an object per example in rows, or one object of columns. Numbers have
    the fewest digits that give the float32 back; NaN and infinity are written so, which strict JSON has no word for.
    """
    columns = {name: numbers(value) for name, value in outputs.items()}
    if len(columns) == 1:
        (found,) = columns.values()
    elif columnar:
        found = columns
    else:
        found = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return json.dumps({"outputs" if columnar else "predictions": found}).encode()


def numbers(value: np.ndarray) -> list:
    """Convert an array to nested lists; floats get the shortest decimals of their own precision."""
    if value.size > PIECE and len(value) > 1:  # text takes 128 bytes per number for a moment
        return [numbers(row) for row in value]
    return (value.astype("U32").astype(np.float64) if value.dtype == np.float32 else value).tolist()
