"""Check the values of a recipe's fields against ranges that the fields declare."""

from dataclasses import fields

from kerasae.errors import InputError

RULES = {
    "count": ("a whole number from 1 up to 2147483647", lambda value: 1 <= value < 2**31),
    "count_or_none": ("a whole number from 0 up to 2147483647", lambda value: 0 <= value < 2**31),
    "depth": ("a whole number from 1 up to 1000", lambda value: 1 <= value <= 1000),
    "side": ("whole numbers from 1 up to 8192", lambda value: 1 <= value <= 8192),
    "positive": ("a number above 0", lambda value: 0 < value < float("inf")),
    "amount": ("a number from 0 up", lambda value: 0 <= value < float("inf")),
    "strength": ("numbers from -1000 to 1000", lambda value: -1000 <= value <= 1000),
    "share": ("a share from 0 to below 1", lambda value: 0 <= value < 1),
    "fraction": ("a share from 0 to 1", lambda value: 0 <= value <= 1),
    "factor": ("a number above 0, up to 1", lambda value: 0 < value <= 1),
    "magnitude": ("a number from 0 to 10", lambda value: 0 <= value <= 10),
    "port": ("a port from 1024 up to 65534", lambda value: 1024 <= value < 65535),
    "port_or_any": ("a port from 1 up to 65535, or 0 for any", lambda value: 0 <= value < 65536),
    "seed": ("a whole number from 0 to 2147483647", lambda value: 0 <= value < 2**31),
}
"""Kind of range → its description in errors, and the test of a value."""


def within(kind, **metadata):
    """Make the metadata of a field whose value, or each of whose values, must be in the range `kind`."""
    return {**metadata, "range": kind}


def check(recipe):
    """Raise InputError for the first field whose value is out of range (None is allowed) or fails its `check`."""
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if "range" in field.metadata and value is not None:
            expected, holds = RULES[field.metadata["range"]]
            values = value if isinstance(value, tuple) else (value,)
            if not all(holds(v) for v in values):
                raise InputError(f"{field.name}: expected {expected}. Received: {value}")
        if examine := field.metadata.get("check"):
            examine(value)
        if value == () and not field.metadata.get("may_be_empty"):
            raise InputError(f"{field.name}: expected at least one value. Received none")
