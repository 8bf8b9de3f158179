"""Save a search index in a folder that appears when it is whole, and load it only for the model that made it."""

import hashlib
import json
import math
import os
import tempfile
from pathlib import Path

import numpy as np

import kerasae
from kerasae.applications.searching import EXACT, METRICS, SearchIndex, empty_graph, need_usearch, packed
from kerasae.errors import InputError

HEADER, VECTORS, NAMES, GRAPH = "index.json", "vectors.bin", "names.json", "graph.usearch"
FORMAT = 1


def save_index(index: SearchIndex, place) -> Path:
    """Write an index as a folder: `index.json` (header), `vectors.bin`, `names.json`, beyond `EXACT` `graph.usearch`.

    The header holds metric, dimension, count, `index.about` and the SHA-256 of the other files. The folder is written
    under another name beside `place` and moved there at the end; an earlier index stays until then.

    Raises:
        InputError: `place` holds something else than an index, or has no folder to stand in.

    Example:
        >>> save_index(index, "photos.index")
        >>> same = load_index("photos.index", model_sha256=file_hash("runs/vae/model.keras"))
    """
    place = Path(os.path.abspath(place))
    refuse_foreign(place)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as folder:
        new = Path(folder, "new")
        new.mkdir()
        _write(index, new)
        if place.exists():
            os.replace(place, Path(folder, "earlier"))
        os.replace(new, place)
    return place


def refuse_foreign(place: Path) -> None:
    """Raise InputError unless `place` is free, an empty folder, or an earlier index and nothing else."""
    if not place.parent.is_dir():
        raise InputError(f"to: there is no folder {place.parent}; make it first")
    if not os.path.lexists(place):
        return
    entries = set(os.listdir(place)) if place.is_dir() and not place.is_symlink() else {place.name}
    if foreign := sorted(entries - {HEADER, VECTORS, NAMES, GRAPH}):
        raise InputError(
            f"to: {place} is not free: it holds {foreign[0]}, which is no part of an index; choose another"
        )


def _write(index, folder):
    rows = {"names": list(map(str, index.names)), "classes": None if index.classes is None else list(index.classes)}
    (folder / NAMES).write_text(json.dumps(rows), encoding="utf-8")
    packed(index.vectors).tofile(folder / VECTORS)
    if index.graph is not None:
        index.graph.save(str(folder / GRAPH))
    files = {file.name: file_hash(file) for file in sorted(folder.iterdir())}
    header = {"format": FORMAT, "kerasae": kerasae.__version__, "metric": index.metric, "dimension": index.dimension}
    header |= {"count": len(index), "files": files, "about": index.about}
    (folder / HEADER).write_text(json.dumps(header, indent=2) + "\n", encoding="utf-8")


def load_index(place, model_sha256: str | None = None) -> SearchIndex:
    """Load an index.

    Args:
        place: its folder.
        model_sha256: hash of the model file that will encode queries; another than the index's is refused. None does
            not compare.

    Raises:
        InputError: no index, one of another model or format, or a file that is missing, cut short or altered.
    """
    need_usearch()
    header = read_header(place)
    if model_sha256 is not None and header["about"].get("model_sha256") != model_sha256:
        raise InputError(
            f"index: {place} was made by another model (or the run was trained further), and its codes mean something "
            "else; make it again with kerasae index"
        )
    for name, expected in header["files"].items():
        if not Path(place, name).is_file() or file_hash(Path(place, name)) != expected:
            raise InputError(f"index: {place}/{name} is missing or damaged; make the index again with kerasae index")
    names, classes = _names(place)
    vectors, graph = _vectors(header, np.fromfile(Path(place, VECTORS), np.uint8)), None
    if GRAPH in header["files"]:
        graph = empty_graph(header["metric"], header["dimension"])
        graph.load(str(Path(place, GRAPH)))
    return SearchIndex(vectors, header["metric"], names, classes, header["about"], graph)


def read_header(place) -> dict:
    """Read `index.json`; raises InputError where it is none, damaged, or does not fit the files beside it."""
    file = Path(place, HEADER)
    if not file.is_file():
        raise InputError(f"index: {place} is no index; expected a folder with {HEADER}, which kerasae index writes")
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
        count, dimension = header["count"], header["dimension"]
        width = math.ceil(dimension / 8) if header["metric"] == "hamming" else 4 * dimension
        known = header["format"] == FORMAT and header["metric"] in METRICS and type(header["about"]) is dict
        right = set(header["files"]) == {VECTORS, NAMES} | ({GRAPH} if count > EXACT else set())
        if not (known and right and os.path.getsize(Path(place, VECTORS)) == count * width > 0):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"index: {file} is damaged or of another version; make it again with kerasae index") from None
    return header


def _names(place):
    """Read the names of the rows and of their classes."""
    try:
        rows = json.loads(Path(place, NAMES).read_text(encoding="utf-8"))
        names, classes = rows["names"], rows["classes"]
        if not all(type(text) is str for text in [*names, *(classes or ())]):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"index: {place}/{NAMES} is damaged; make the index again with kerasae index") from None
    return names, classes


def _vectors(header, data: np.ndarray) -> np.ndarray:
    """Turn the bytes of a file into bits or codes [N, Z]."""
    count, dimension = header["count"], header["dimension"]
    if header["metric"] == "hamming":
        return np.unpackbits(data.reshape(count, -1), axis=1, count=dimension).astype(bool)
    return data.view(np.float32).reshape(count, dimension)


def file_hash(file) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
