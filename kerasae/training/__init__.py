"""Level 4: the training loop, exact to resume, with its checkpoints, devices, processes and precision.

Names load on first use: the command line asks for devices before TensorFlow may be imported.
"""

import importlib

HOMES = {
    "Checkpoints": "checkpoint",
    "Incidents": "incidents",
    "Interrupted": "loop",
    "Plan": "loop",
    "Progress": "loop",
    "guarded": "guard",
    "train": "loop",
}
"""Public name → the module of this package that it is in."""

__all__ = [*HOMES]


def __getattr__(name):
    if name in HOMES:
        return getattr(importlib.import_module(f"kerasae.training.{HOMES[name]}"), name)
    raise AttributeError(f"module 'kerasae.training' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
