"""Save and restore the state of a training run on disk: atomic, checksummed, rotated."""

import hashlib
import io
import json
import os
import re
import tempfile
import zipfile
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np

import kerasae
from kerasae.errors import InputError
from kerasae.training import processes

KEEP = 2


def optimizers(model):
    """Return the optimisers of a compiled model: name of the player that each trains → optimiser."""
    return {name: optimizer for name, (optimizer, _) in model.trained().items()}


def state_variables(model):
    """List all variables that a step reads or changes: weights, seed generators, metrics, optimisers."""
    variables = [*model.variables, *model.metrics_variables]
    for optimizer in optimizers(model).values():
        variables += optimizer.variables
    return list({id(variable): variable for variable in variables}.values())


class Checkpoints:
    """Keep the numbered checkpoints of one stage in a folder; a run resumes from the newest undamaged one.

    A file is written under another name, flushed to the disk and moved into place, so that a kill or a full disk leaves
    earlier checkpoints as they were. The file's name holds the step, and its first line the SHA-256 of the rest.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.damaged = []

    def save(self, model, progress, keep=KEEP):
        """Write `state_variables(model)` and `progress`, plain values with a "step"; keep the newest `keep` files."""
        variables = state_variables(model)
        arrays = dict(zip(keys(variables), map(keras.ops.convert_to_numpy, variables), strict=True))
        content = pack(arrays, {**progress, "written_by": kerasae.__version__})
        write_atomic(self.folder / f"step-{progress['step']:09d}.npz", content)
        for old in self._files()[keep:] if processes.writes() else ():
            old.unlink()

    def restore(self, model):
        """Restore the newest undamaged checkpoint into the model; returns its progress, or None without one.

        A file that is cut short or altered is listed in `damaged`, and the checkpoint before it is used.

        Raises:
            InputError: another version of kerasae wrote the checkpoint; its steps may differ.
        """
        for path in self._files():
            try:
                arrays, progress = unpack(path.read_bytes())
                check_version(path, dict(progress).get("written_by", "an older version"))
                assign(state_variables(model), arrays)
                return {name: value for name, value in progress.items() if name != "written_by"}
            except (ValueError, KeyError, TypeError):
                self.damaged.append(path.name)
        return None

    def newest(self):
        """Return the step in the newest checkpoint's name, or None without one."""
        steps = [path.stem.removeprefix("step-") for path in self._files()]
        return max((int(step) for step in steps if step.isdecimal()), default=None)

    def _files(self):
        return sorted((path for path in self.folder.glob("step-*.npz") if path.is_file()), reverse=True)


def check_version(path, version):
    """Raise InputError unless this version of kerasae wrote the checkpoint."""
    if version != kerasae.__version__:
        raise InputError(
            f"{path} was written by kerasae {str(version)[:40]}, and this is {kerasae.__version__}, whose steps may "
            "not be the same; go on with that version, or remove the checkpoints to train this stage again"
        )


def keys(variables):
    """Name every variable by its position and its kind: "0 kernel", "7 momentum".

    The variable's path is no key: Keras numbers names per process, and a model loaded from a file may lose the first.
    """
    names = [NUMBERED.sub("", variable.path.rpartition("/")[2]) for variable in variables]
    return [f"{i} {name.rpartition('_')[2]}" for i, name in enumerate(names)]


NUMBERED = re.compile(r"_\d+(?=[_/]|$)")


def assign(variables, arrays):
    """Assign an array to every variable; raise ValueError before any changes if shapes or types do not fit."""
    values = [arrays[key] for key in keys(variables)]
    kinds = [((*v.shape,), v.dtype) for v in variables]
    if len(arrays) != len(variables) or kinds != [(a.shape, a.dtype.name) for a in values]:
        raise ValueError("the checkpoint is of another model")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def pack(arrays, progress):
    """Serialise arrays and progress: a checksum line, then an uncompressed npz with the progress as JSON."""
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(progress).encode(), np.uint8)
    np.savez(buffer, progress=text, **arrays)
    body = buffer.getvalue()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def unpack(data):
    """Read arrays and progress from the bytes of `pack`; raise ValueError if damaged or no checkpoint.

    The checksum only finds damage. Against malice, nothing is unpickled, and compressed arrays are refused.
    """
    digest, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("the checkpoint is damaged")
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.zip.infolist()):
                raise ValueError("it is compressed")
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
        return arrays, dict(json.loads(arrays.pop("progress").tobytes()))
    except Exception as error:  # NumPy, zipfile and json raise many types for foreign bytes
        raise ValueError("the file is no checkpoint") from error


def write_atomic(path, data):
    """Write bytes so that `path` either keeps its old content or has all of the new.

    Of several processes that train together, only one writes.
    """
    if not processes.writes():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # a link would lead the bytes elsewhere
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None


def write_model(path, model, **options):
    """Save a Keras model so that `path` either keeps its old content or has all of the new.

    All processes that train together must call this, as saving makes variables, but only one writes the file.
    """
    with tempfile.TemporaryDirectory() if not processes.writes() else nullcontext(path.parent) as folder:
        temporary = Path(folder) / f".{path.stem}.tmp{path.suffix}"
        try:
            temporary.unlink(missing_ok=True)
            model.save(temporary, **options)
            if processes.writes():
                os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, str(path)) from None
