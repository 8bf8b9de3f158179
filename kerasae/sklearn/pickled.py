"""Turn models into bytes and back, in the format of `.keras` files, for pickles of estimators."""

import tempfile
from pathlib import Path

from kerasae import saving
from kerasae.sklearn.seeds import seeded


def to_bytes(model):
    """Write a model, with its optimiser, as the bytes of a `.keras` file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def from_bytes(content):
    """Load the model in the bytes of a `.keras` file; nothing that they name is run, see `kerasae.saving`."""
    with tempfile.TemporaryDirectory() as folder, seeded(0):
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return saving.load_model(path, compiled=True)
