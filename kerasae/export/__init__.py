"""Level 4: export SavedModels, ONNX and LiteRT files, verified in a separate process without kerasae, and run them.

Names load on first use, so that an export can be run where neither Keras nor the models are at hand.
"""

import importlib

HOMES = {
    **dict.fromkeys(("Endpoint", "endpoints"), "kerasae.export.offers"),
    **dict.fromkeys(("FORMATS", "save"), "kerasae.export.destination"),
    **dict.fromkeys(("Checker", "ParityError", "verify"), "kerasae.export.parity"),
    **dict.fromkeys(("ANSWERS", "ServedModel"), "kerasae.export.served_model"),
}
"""Public name → its module."""

__all__ = ["ANSWERS", "FORMATS", "Checker", "Endpoint", "ParityError", "ServedModel", "endpoints", "save", "verify"]


def __getattr__(name):
    if name in __all__:
        return getattr(importlib.import_module(HOMES[name]), name)
    raise AttributeError(f"module 'kerasae.export' has no attribute {name!r}")
