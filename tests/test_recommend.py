"""Recommended items: the best unrated ones, for known and new users, by item and by user, and the command."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import kerasae
from kerasae.applications import all_ratings, recommend_items, recommend_to_new
from kerasae.data import load
from kerasae.errors import InputError
from pipelines.command_line import main as cli

RNG = np.random.default_rng(0)
ITEMS, USERS = [f"film={name}" for name in "abcdefgh"], [f"u{n}" for n in range(12)]
TRUTH = RNG.uniform(0, 7, (len(USERS), len(ITEMS)))
"""Predictions of a model that is always the same; some beyond the range of the ratings."""


def write(file, users=USERS, items=ITEMS):
    rng = np.random.default_rng(2)
    rows = [(u, i, int(rng.integers(1, 6))) for u in users for i in items if rng.random() < 0.6]
    file.write_text("user,item,rating\n" + "".join(f"{u},{i},{r}\n" for u, i, r in rows), "utf-8")
    return rows


def source_and_model(folder, by):
    """A source, and a model that answers each row of known ratings with that row of TRUTH."""
    rows = write(folder / "r.csv")
    source = load(f"ratings:{folder / 'r.csv'}", by=by)
    known = all_ratings(source)
    answers = (
        {row.tobytes(): TRUTH[USERS.index(n)] for row, n in zip(known, source.info.row_names, strict=True)}
        if (by == "user")
        else {row.tobytes(): TRUTH[:, ITEMS.index(n)] for row, n in zip(known, source.info.row_names, strict=True)}
    )
    names = source.info.column_names
    order = [(ITEMS if by == "user" else USERS).index(name) for name in names]
    model = SimpleNamespace(reconstruct=lambda x, batch_size: np.stack([answers[row.tobytes()][order] for row in x]))
    return rows, source, model


@pytest.mark.parametrize("by", ["item", "user"])
@pytest.mark.parametrize("batch_size", [5, 256])
def test_the_best_unrated_items_by_their_names(tmp_path, by, batch_size):
    rows, source, model = source_and_model(tmp_path, by)
    low, high = source.info.rating_range
    wanted = []
    for n, user in sorted(enumerate(USERS), key=lambda pair: pair[1]):
        left = [i for i in range(len(ITEMS)) if (user, ITEMS[i]) not in {row[:2] for row in rows}]
        for rank, i in enumerate(sorted(left, key=lambda i: -TRUTH[n, i])[:3], 1):
            wanted.append((user, rank, ITEMS[i], pytest.approx(np.clip(TRUTH[n, i], low, high))))
    assert [*recommend_items(model, source, None, 3, batch_size)] == wanted
    of_two = [one for name in ("u7", "u1") for one in wanted if one[0] == name]
    assert [*recommend_items(model, source, ["u7", "u1"], 3, batch_size)] == of_two


def test_mistakes_are_refused(tmp_path):
    _, source, model = source_and_model(tmp_path, "item")
    with pytest.raises(InputError, match=r"user: expected names as in the data, \[u0.*received 'u99'"):
        next(recommend_items(model, source, ["u99"]))
    with pytest.raises(InputError, match="train --by user"):
        recommend_to_new(model, source, {"film=a": 3.0})
    with pytest.raises(InputError, match="expected ratings:FILE, received digits"):
        next(recommend_items(model, load("digits")))
    _, source, model = source_and_model(tmp_path, "user")
    with pytest.raises(InputError, match="expected 1 to 5, received film=a=9"):
        recommend_to_new(model, source, {"film=a": 9.0})
    with pytest.raises(InputError, match="rated: expected names.*received 'film=z'"):
        recommend_to_new(model, source, {"film=z": 3.0})


# ---- the command


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("recommend")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        write(Path("r.csv"))
        sizes = ["--widths", "--code", "3", "--epochs", "2", "--out", "run"]
        assert cli.main(["train", "autorec", "--data", "ratings:r.csv", "--by", "user", *sizes]) == 0
    return place


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


def test_command_writes_what_the_library_says(here, capsys, tmp_path):
    assert cli.main(["recommend", "run", "--n", "2", "--to", str(tmp_path / "best.csv")]) == 0
    with open(tmp_path / "best.csv", encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    source, model = load("ratings:r.csv", by="user"), kerasae.runs.load_model("run")
    wanted = [*recommend_items(model, source, count=2)]
    assert [(row["user"], int(row["rank"]), row["item"]) for row in rows] == [one[:3] for one in wanted]
    assert [float(row["rating"]) for row in rows] == pytest.approx([one.rating for one in wanted], rel=1e-3)
    capsys.readouterr()
    assert cli.main(["recommend", "run", "--user", "u3", "--n", "1"]) == 0
    assert [one.item for one in wanted if one[:2] == ("u3", 1)][0] in capsys.readouterr().out.splitlines()[-1]


def test_a_new_user_gets_what_the_network_says(here, capsys):
    assert cli.main(["recommend", "run", "--rated", "film=a=5", "film=c=1", "--n", "1"]) == 0
    source, model = load("ratings:r.csv", by="user"), kerasae.runs.load_model("run")
    items = source.info.column_names
    row = np.full((1, len(items)), np.nan, np.float32)
    row[0, items.index("film=a")], row[0, items.index("film=c")] = 5, 1
    predicted = np.where(np.isnan(row), model.reconstruct(row), -np.inf)
    assert items[int(predicted.argmax())] in capsys.readouterr().out.splitlines()[-1]


def test_mistakes_are_one_line(here, mistake, tmp_path):
    assert "received 'film=a'" in mistake("recommend", "run", "--rated", "film=a")
    assert "not both" in mistake("recommend", "run", "--rated", "film=a=1", "--user", "u1")
    assert "expected names as in the data" in mistake("recommend", "run", "--user", "nobody")
    write(tmp_path / "other.csv", items=[name.upper() for name in ITEMS])
    line = mistake("recommend", "run", "--data", f"ratings:{tmp_path / 'other.csv'}", "--by", "user")
    assert "has other items than run has learned from" in line


def test_new_users_of_the_same_items_are_served(here, tmp_path):
    """A run by user takes rows of users that it has not seen."""
    write(tmp_path / "more.csv", users=[*USERS, "u77"])
    tokens = ["--data", f"ratings:{tmp_path / 'more.csv'}", "--by", "user", "--user", "u77"]
    assert cli.main(["recommend", "run", *tokens]) == 0
