"""kerasae: autoencoders and masked autoencoders for TensorFlow and Keras.

Submodules load on first use (PEP 562), so that `import kerasae` costs nothing until a model is needed. Keras learns
the names of all classes at once, so that it can load a model of kerasae from a file.
"""

import importlib

from kerasae.registration import register_with_keras

__version__ = "0.1.0"

__all__ = [
    "applications",
    "data",
    "detectors",
    "distributions",
    "errors",
    "evaluate",
    "export",
    "layers",
    "models",
    "networks",
    "ops",
    "optimizers",
    "plots",
    "report",
    "results",
    "runs",
    "saving",
    "sklearn",
    "serving",
    "training",
    "weights",
]

register_with_keras()


def __getattr__(name):
    if name in __all__:
        return importlib.import_module(f"kerasae.{name}")
    raise AttributeError(f"module 'kerasae' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
