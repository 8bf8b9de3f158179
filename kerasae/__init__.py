"""kerasae: autoencoders and masked autoencoders for TensorFlow and Keras.

Submodules load on first use (PEP 562), so that `import kerasae` costs nothing until a model is needed.
"""

import importlib

__version__ = "0.1.0"

__all__ = [
    "data",
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
    "runs",
    "saving",
    "training",
    "weights",
]


def __getattr__(name):
    if name in __all__:
        return importlib.import_module(f"kerasae.{name}")
    raise AttributeError(f"module 'kerasae' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
