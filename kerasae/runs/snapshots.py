"""Keep what a model makes of a few examples as it learns, so that epochs can be seen beside the originals."""

import io
from pathlib import Path

import keras
import numpy as np

from kerasae.data.npz_file import read_arrays
from kerasae.errors import InputError
from kerasae.training import processes
from kerasae.training.checkpoint import write_atomic

FOLDER = "epochs"


class Snapshots(keras.callbacks.Callback):
    """Write reconstructions after the epochs 1, 2, 4, 8 … and the last, each to `epochs/N.npz` of a run.

    Args:
        path: directory of the run.
        model: the model that is trained; one that is conditional reads each example under its own class.
        split: test or training examples, of which evenly spread ones are shown.
        last: number of epochs of the training.
        count: number of examples.

    Example:
        >>> model.fit(x, epochs=20, callbacks=[Snapshots("runs/mine", model, source.test, last=20)])
    """

    def __init__(self, path, model, split, last, count=8):
        super().__init__()
        self.folder, self.shown, self.last = Path(path, FOLDER), model, last
        rows = np.linspace(0, len(split) - 1, min(count, len(split))).astype(int)
        x, y = split.gather(rows)
        self.x, self.y = x, y if model.needs_condition else None

    def on_epoch_end(self, epoch, logs=None):
        number = epoch + 1
        if processes.writes() and (number & (number - 1) == 0 or number == self.last):
            self.folder.mkdir(exist_ok=True)
            write_atomic(self.folder / f"{number}.npz", self._content())

    def _content(self) -> bytes:
        original = self.shown.restored(self.shown.prepare(self.x, self.y).x)
        made = self.shown.reconstruct(self.x, self.y)
        file = io.BytesIO()
        np.savez_compressed(file, original=np.asarray(original, np.float32), made=np.asarray(made, np.float32))
        return file.getvalue()


def read_snapshots(path) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Read the originals [N, ...] and epoch → reconstructions, in the order of the epochs; empty without any.

    Raises:
        InputError: a file is damaged.
    """
    files = {int(file.stem): file for file in Path(path, FOLDER).glob("*.npz") if file.stem.isdecimal()}
    original, made = np.zeros(0, np.float32), {}
    for epoch in sorted(files):
        found = read_arrays(str(files[epoch]), "npz", lambda names: ["original", "made"], "train again")
        original, made[epoch] = (found[name].astype(np.float32) for name in ("original", "made"))
        if original.ndim < 2 or len({original.shape, *(images.shape for images in made.values())}) > 1:
            raise InputError(f"{files[epoch].name} is damaged: its arrays differ in shape")
    return original, made
