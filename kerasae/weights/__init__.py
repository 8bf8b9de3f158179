"""Level 4: read and write the weights of other projects without PyTorch."""

from kerasae.weights.exporting import export_weights
from kerasae.weights.importing import import_weights
from kerasae.weights.reading import read_weights

__all__ = ["export_weights", "import_weights", "read_weights"]
