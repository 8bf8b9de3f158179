"""What data a run has read: class names and fingerprint, kept as `data.json` in its directory."""

import json
from pathlib import Path

from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.layouts import listed
from kerasae.data.table_columns import described, from_description
from kerasae.errors import InputError

NAME = "data.json"


def describe(info) -> dict:
    """What is kept of the `Info` of a data set."""
    names = None if info.class_names is None else list(info.class_names)
    content = {"data": info.spec, "fingerprint": info.fingerprint, "counts": info.counts, "class_names": names}
    content |= {"dtype": info.dtype, "kind": info.kind, "standardized": info.standardized}
    if info.columns:
        content["columns"] = described(info.columns)
    if info.kind == "ratings":
        content["places"] = _places(info)
    if info.label_columns:
        content["labels"] = {"kind": info.label_kind, "columns": list(info.label_columns), "names": list(info.outputs)}
        content["labels"]["fingerprint"] = info.label_fingerprint
    return content if info.value_range is None else {**content, "value_range": list(info.value_range)}


def read(path) -> dict | None:
    """The record of a run; None of a run that has none. Raises InputError if it is damaged."""
    file = Path(path) / NAME
    if not file.is_file():
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        names, counts = record["class_names"], record["counts"]
        if not isinstance(record["fingerprint"], str) or not (names is None or all(isinstance(n, str) for n in names)):
            raise ValueError
        refuse_odd_labels(record.setdefault("labels", {}))
        if "columns" in record:
            from_description(record["columns"])
        counts = {str(name): int(count) for name, count in counts.items()}
        return {**record, "counts": counts, "class_names": None if names is None else list(names)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise InputError(f"{file} is damaged; restore it, or remove it if the data have not changed") from None


def refuse_odd_labels(labels):
    """Raise ValueError or the like for what is no entry of the labels of a table."""
    texts = [labels[name] for name in ("kind", "fingerprint") if name in labels]
    texts += [text for name in ("columns", "names") for text in labels.get(name, [])]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("labels")


def class_names(path) -> list[str] | None:
    """Names of the classes of a run's data in the order of its labels; None if it has no labels or no record."""
    record = read(path)
    return record and record["class_names"]


def table_columns(path):
    """The columns of the table that a run has learned from; None of other data."""
    record = read(path)
    return from_description(record["columns"]) if record and "columns" in record else None


def refuse_changed(path, info, accept=False):
    """Raise InputError if the data differ from what the run in `path` has read, unless `accept` is given."""
    record = read(path)
    if record is not None:
        refuse_other_places(path, record, info)
    if accept or record is None:
        return
    if record["fingerprint"] == info.fingerprint:
        refuse_changed_labels(path, record["labels"], info)
        return
    refuse_other_columns(path, record, info)
    then, now = (", ".join(f"{n} {name}" for name, n in counts.items()) for counts in (record["counts"], info.counts))
    raise InputError(
        f"{info.spec} has changed since {path} read it ({then} then, {now} now); restore them, choose another --out, "
        "or give --accept-changed-data to go on with what they are now"
    )


def refuse_other_columns(path, record, info):
    """Raise InputError, with both lists, if a run has learned from other columns of a table."""
    if "columns" in record and record["columns"] != described(info.columns):
        then, now = (listed(columns) for columns in (from_description(record["columns"]), info.columns))
        raise InputError(f"the columns of {info.spec} have changed since {path} read it: {then} then, {now} now")


def refuse_other_places(path, record, info):
    """Raise InputError if a run has learned ratings by or of others than the columns of the matrix are now."""
    if info.kind == "ratings" and record.get("places", found := _places(info)) != found:
        other = "users" if info.by == "item" else "items"
        raise InputError(
            f"{info.spec} has other {other} than {path} has learned from, or another --by; give the same {other}, or "
            "train again"
        )


def _places(info) -> str:
    """SHA-256 of what the places of an example of ratings stand for, in their order."""
    return fingerprint_data([info.by, *info.column_names])


def refuse_changed_labels(path, labels, info):
    """Raise InputError if the columns that a run has read as labels hold others now; other columns may come."""
    if labels.get("columns") == list(info.label_columns) and labels.get("fingerprint") != info.label_fingerprint:
        raise InputError(
            f"the labels in {', '.join(info.label_columns)} of {info.spec} have changed since {path} read them; "
            "restore them, choose another --out, or give --accept-changed-data to go on with what they are now"
        )


def label_kind(path) -> tuple[str, list[str]]:
    """The kind of a run's labels, and the names of what a model of them gives; ("class", []) of one without a table."""
    labels = (read(path) or {}).get("labels") or {}
    return labels.get("kind", "class"), list(labels.get("names", []))


def refuse_other_range(path, info):
    """Raise InputError if numbers are not scaled or standardised as those were that the run in `path` has read."""
    record = read(path)
    if record is not None:
        refuse_other_places(path, record, info)
    if record is not None and bool(record.get("standardized")) != info.standardized:
        then, now = (
            "numbers of any range" if any_range else "values of a known range"
            for any_range in (record.get("standardized"), info.standardized)
        )
        raise InputError(f"{path} has learned from {then}, but {info.spec} holds {now}; give data of the same kind")
    if info.dtype != "float32":
        return
    known, found = record and record.get("value_range"), info.value_range and list(info.value_range)
    if record is not None and known != found:
        then, now = ("as they are" if pair is None else f"{pair[0]} to {pair[1]} as 0 to 1" for pair in (known, found))
        raise InputError(
            f"{path} has read floats {then}, but {info.spec} is read {now}; give its --min-value, --max-value"
        )


def refuse_other_classes(path, info):
    """Raise InputError if the classes are not those that the run in `path` has read, in the same order."""
    record = read(path)
    known, found = record and record["class_names"], info.class_names
    if record is not None and label_kind(path)[0] != info.label_kind:
        raise InputError(f"{path} holds a run of labels of another kind, {label_kind(path)[0]}; choose another --out")
    if record is not None and (known is None) != (found is None) or (known and list(found) != known):
        raise InputError(
            f"{path} holds a run of the classes {listed(known or ())}, but {info.spec} has {listed(found or ())}; "
            "choose another --out"
        )
