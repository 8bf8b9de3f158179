"""Read arrays of an .npz file, without unpickling anything."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from kerasae.data.checks import fits_in_memory
from kerasae.errors import InputError


def read_arrays(file: str, kind: str, choose: Callable[[list[str]], list[str]], advice: str) -> dict[str, np.ndarray]:
    """Read the arrays of a file that `choose` picks from all names: name → array.

    Args:
        file: the file.
        kind: of the data, as in the string that names them; errors begin with it.
        choose: names of all arrays → those to read; may raise InputError.
        advice: what to do where the file is too large for the memory.

    Raises:
        InputError: the file is missing, damaged, too large, or holds something else.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"data: {kind}:{file} is not a file (looked for {path.absolute()}); check the path.")
    try:
        opened = np.load(path, allow_pickle=False)
        if not isinstance(opened, np.lib.npyio.NpzFile):
            raise InputError(f"data: {kind}:{file} is a single array; expected np.savez(FILE, x_train=…, …).")
        with opened:
            chosen = choose(opened.files)
            nbytes = sum(member.file_size for member in opened.zip.infolist())
            fits_in_memory(nbytes, f"{kind}:{file}", advice)
            return {name: _array(opened[name], name) for name in chosen}
    except InputError:
        raise
    except Exception as error:  # NumPy and zipfile raise many types for a damaged file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"data: {kind}:{file} cannot be read ({reason[0][:160]}); expected plain numeric arrays written by "
            "np.savez; write it again."
        ) from error


def _array(value, name: str) -> np.ndarray:
    if not isinstance(value, np.ndarray):  # a member that is no .npy comes as its bytes
        raise ValueError(f"{name} is no array")
    return value
