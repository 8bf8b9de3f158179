"""Level 4.5: answer HTTP requests by exports, as TensorFlow Serving's REST interface does.

Names load on first use: `application` needs starlette, which `pip install "kerasae[serve]"` brings.
"""

import importlib

HOMES = {
    "Limits": "kerasae.serving.rest",
    "Refusal": "kerasae.serving.refusals",
    "ServedExport": "kerasae.serving.served_export",
    "application": "kerasae.serving.rest",
    "find_exports": "kerasae.serving.served_export",
}
"""Public name → its module."""

__all__ = ["Limits", "Refusal", "ServedExport", "application", "find_exports"]


def __getattr__(name):
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name]), name)
    raise AttributeError(f"module 'kerasae.serving' has no attribute {name!r}")
