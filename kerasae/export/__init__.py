"""Level 4: export SavedModels with named endpoints, verified in a separate process without kerasae, and run them.

Names load on first use, so that an export can be run where neither Keras nor the models are at hand.
"""

import importlib

HOMES = {
    **dict.fromkeys(
        ("Checker", "Endpoint", "ParityError", "endpoints", "save", "verify"), "kerasae.export.saved_model"
    ),
    **dict.fromkeys(("ANSWERS", "ServedModel"), "kerasae.export.served_model"),
}
"""Public name → its module."""

__all__ = ["ANSWERS", "Checker", "Endpoint", "ParityError", "ServedModel", "endpoints", "save", "verify"]


def __getattr__(name):
    if name in __all__:
        return getattr(importlib.import_module(HOMES[name]), name)
    raise AttributeError(f"module 'kerasae.export' has no attribute {name!r}")
