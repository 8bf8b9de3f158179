"""Ratings from files: the formats, what is held out, errors, the figures against scikit-learn, and the commands."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error, ndcg_score

import kerasae
from kerasae import evaluate, layers, models, networks
from kerasae.data import load
from kerasae.errors import InputError
from pipelines.command_line import main as cli

RNG = np.random.default_rng(0)
NOISE = 0.5


def low_rank(users, items, share, rank=2, seed=0):
    """Triples of a matrix of rank 2 plus noise of standard deviation `NOISE`, around 3; `share` of it is known."""
    rng = np.random.default_rng(seed)
    scores = 3 + 2 * rng.uniform(-1, 1, (users, rank)) @ rng.uniform(-1, 1, (rank, items))
    ratings, known = scores + rng.normal(0, NOISE, scores.shape), rng.random(scores.shape) < share
    return [(u, i, round(float(ratings[u, i]), 4)) for u, i in zip(*np.nonzero(known), strict=True)]


TRIPLES = [(u, i, float(RNG.integers(1, 6))) for u in range(1, 31) for i in range(1, 13) if RNG.random() < 0.6]


def spell(triples, separator="\t", header=None, tail="881250949"):
    lines = [separator.join([*map(str, triple), tail]) for triple in triples]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


FORMS = {
    "u.data": spell([(u, i, f"{r:g}") for u, i, r in TRIPLES]),
    "ratings.dat": spell(TRIPLES, "::"),
    "ratings.csv": spell(TRIPLES, ",", "userId,movieId,rating,timestamp"),
    "other.csv": "when;Rating;item;user\n" + "".join(f"x;{r};{i};{u}\n" for u, i, r in TRIPLES),
}


def source_of(folder, name="u.data", **options):
    (folder / name).write_text(FORMS[name], encoding="utf-8")
    return load(f"ratings:{folder / name}", **options)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("by", ["item", "user"])
def test_every_form_gives_the_same_matrix(tmp_path, name, by):
    source = source_of(tmp_path, name, by=by)
    wanted = np.full((12, 30), np.nan, np.float32)
    for user, item, rating in TRIPLES:
        wanted[item - 1, user - 1] = rating
    train, test = source.train.arrays()[0], source.test.arrays()[0]
    assert not (~np.isnan(train) & ~np.isnan(test)).any()
    np.testing.assert_array_equal(np.where(np.isnan(train), test, train), wanted if by == "item" else wanted.T)
    info = source.info
    assert (info.kind, info.by, info.rating_range) == ("ratings", by, (1.0, 5.0))
    assert info.mean == (pytest.approx(np.nanmean(train)),) and info.deviation == (1.0,)
    assert info.row_names == tuple(str(n) for n in range(1, 13 if by == "item" else 31))


def test_a_tenth_of_the_ratings_is_held_out_whatever_is_added(tmp_path):
    few, many = tmp_path / "few.csv", tmp_path / "many.csv"
    triples = low_rank(60, 40, 0.5)
    few.write_text(spell(triples[::2], ","), "utf-8")
    many.write_text(spell(triples, ","), "utf-8")
    before, after = (load(f"ratings:{file}") for file in (few, many))

    def held(source):
        rows, columns = np.nonzero(~np.isnan(source.test.arrays()[0]))
        return {(source.info.row_names[r], source.info.column_names[c]) for r, c in zip(rows, columns, strict=True)}

    assert held(before) <= held(after) and 0.07 < len(held(after)) / len(triples) < 0.13


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("1\t2\t3\n1\t3\tx\n", {}, "line 2: expected user, item and a finite rating; received '1', '3', 'x'"),
        ("1\t2\t3\n1\t3\n", {}, "line 2 has 2 parts; expected at least 3"),
        ("1\t2\t3\n1\t3\tnan\n", {}, "finite rating"),
        ("1,2,3\n1,3,9\n", {"max_value": 5.0, "min_value": 1.0}, "line 2: expected ratings from 1 to 5; received 9"),
        ("1,2,3\n1,3,0\n", {"min_value": 1.0}, "line 2: expected ratings from 1 to any; received 0"),
        ("1,2,3\n1,2,4\n", {}, "line 2: user 1 rates item 2 twice: 3 and 4"),
        ("a,b,c\n1,2,4\n", {}, r"a header that names them; received \[a, b, c\]"),
        ("user,item,rating\n", {}, "no ratings below its header"),
        ("one word\n", {}, "no ::, tab, comma or semicolon"),
        ("", {}, "is empty"),
        ("1,2,3\n", {}, "enough to hold a tenth out"),
        ("1,2,3\n", {"by": "both"}, "by: expected item or user; received 'both'"),
        ("1,2,3\n", {"bands": (1,)}, "bands: only used with folder"),
    ],
)
def test_refusals(tmp_path, text, options, says):
    (tmp_path / "file.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=says):
        load(f"ratings:{tmp_path / 'file.csv'}", **options)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "odd").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as UTF-8"):
        load(f"ratings:{tmp_path / 'odd'}")
    with pytest.raises(InputError, match="is not a file"):
        load(f"ratings:{tmp_path / 'none'}")
    with pytest.raises(InputError, match="by: only used with ratings"):
        load("digits", by="item")


# ---- the figures


def test_rmse_and_ndcg_are_scikit_learns():
    predicted, truth = (
        RNG.normal(size=(20, 40)),
        np.where(RNG.random((20, 40)) < 0.5, RNG.integers(1, 6, (20, 40)), np.nan),
    )
    known = ~np.isnan(truth)
    assert evaluate.rmse(predicted, truth) == pytest.approx(mean_squared_error(truth[known], predicted[known]) ** 0.5)
    expected = [ndcg_score([t[k] - 1], [p[k]], k=10) for p, t, k in zip(predicted, truth, known, strict=True)]
    assert evaluate.ndcg(predicted, truth, low=1.0) == pytest.approx(np.mean(expected), rel=1e-6)


def test_the_best_unrated_items_are_listed():
    predicted = np.array([[5.0, 4.0, 3.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
    known = np.array([[5.0, np.nan, np.nan, np.nan], [np.nan, 1.0, 1.0, 1.0]])
    first, second = evaluate.top_items(predicted, known, 2)
    assert first.tolist() == [1, 2] and second.tolist() == [0]


def autorec(columns, mean):
    pair = networks.dense((columns,), 3, (), code_activation="sigmoid")
    return models.AutoRec(*pair, pixel_max=layers.Standardization([mean], [1.0], missing=True))


def test_cold_items_and_users_get_the_means_that_are_left():
    known = np.where(RNG.random((6, 5)) < 0.7, RNG.integers(1, 6, (6, 5)), np.nan).astype("float32")
    known[2], known[:, 4] = np.nan, np.nan
    mean = float(np.nanmean(known))
    model = autorec(5, mean)
    predicted = evaluate.predict_ratings(model, known, (1.0, 5.0))
    warm = np.array([0, 1, 3, 4, 5])
    np.testing.assert_allclose(predicted[2, :4], np.nanmean(known[:, :4], axis=0), rtol=1e-5)
    np.testing.assert_allclose(predicted[warm, 4], np.nanmean(known[warm], axis=1), rtol=1e-5)
    np.testing.assert_allclose(predicted[2, 4], mean, rtol=1e-5)
    np.testing.assert_allclose(predicted[0, :4], np.clip(model.reconstruct(known), 1, 5)[0, :4], rtol=1e-5)
    np.testing.assert_allclose(model.reconstruct(known)[2], mean, rtol=1e-5)  # also inside the model, so in exports


# ---- the commands


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("ratings")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        Path("low.csv").write_text(spell(low_rank(120, 60, 0.5), ",", "user,item,rating,time"), encoding="utf-8")
        sizes = ["--widths", "--code", "8", "--epochs", "60", "--batch-size", "10", "--learning-rate", "0.01"]
        assert cli.main(["train", "autorec", "--data", "ratings:low.csv", "--out", "run", *sizes]) == 0
    return place


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


def test_autorec_predicts_better_than_means(here):
    figures, source = kerasae.runs.read_summary("run"), load("ratings:low.csv")
    means = [figures[f"{name}_rmse"] for name in ("mean", "row_mean", "column_mean", "means")]
    assert figures["rmse"] < 0.9 * min(means) and figures["ndcg_at_10"] > figures["means_ndcg_at_10"]
    ranking = {name: figures[f"{name}ranking_ndcg_at_10"] for name in ("", "means_", "popularity_", "svd_")}
    assert ranking[""] > max(ranking["means_"], ranking["popularity_"]) and figures["relevant_from"] > 3
    assert figures["ranking_verdict"].startswith("The model finds the best unrated items better than")
    train, held = source.train.arrays()[0], source.test.arrays()[0]
    row_means = np.clip(np.nanmean(train, axis=1, keepdims=True), *source.info.rating_range)
    assert figures["row_mean_rmse"] == pytest.approx(np.sqrt(np.nanmean((row_means - held) ** 2)), rel=1e-5)
    model = kerasae.runs.load_model("run")
    assert model.encoder.layers[-1].activation.__name__ == "sigmoid"
    assert model.decoder.layers[-1].activation.__name__ == "linear" and len(model.losses) == 2


def test_evaluate_and_export_take_ratings(here, tmp_path):
    assert cli.main(["evaluate", "run", "--out", str(tmp_path / "evaluated")]) == 0
    found, trained = kerasae.runs.read_summary(tmp_path / "evaluated"), kerasae.runs.read_summary("run")
    assert found["rmse"] == pytest.approx(trained["rmse"], rel=1e-4)
    assert cli.main(["export", "run", str(tmp_path / "saved")]) == 0
    known = load("ratings:low.csv").train.arrays()[0][:20]
    np.savez(tmp_path / "known.npz", known=known)
    ask = "import sys, numpy as np, tensorflow as tf; m = tf.saved_model.load(sys.argv[1])\n"
    ask += "y = m.signatures['serving_default'](tf.constant(np.load(sys.argv[2])['known']))['reconstructions']\n"
    ask += "assert 'kerasae' not in sys.modules; np.save(sys.argv[3], y)"
    files = [str(tmp_path / name) for name in ("saved", "known.npz", "predicted.npy")]
    subprocess.run([sys.executable, "-P", "-c", ask, *files], check=True, cwd=tmp_path, capture_output=True)
    wanted = kerasae.runs.load_model("run").reconstruct(known)
    np.testing.assert_allclose(np.load(files[2]), wanted, rtol=1e-4, atol=1e-4)


def test_a_rating_out_of_range_is_one_line_and_leaves_nothing(here, tmp_path, mistake):
    tokens = ["train", "autorec", "--data", "ratings:low.csv", "--max-value", "3", "--out", tmp_path / "out"]
    assert "expected ratings from any to 3" in mistake(*tokens) and not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("by", ["item", "user"])
def test_the_error_is_within_5_percent_of_the_noise(tmp_path, by):
    """RMSE of held-out ratings of a matrix of rank 2 against the deviation of its noise, below which none can be."""
    file = tmp_path / "low.csv"
    with open(file, "w", newline="") as stream:
        csv.writer(stream).writerows(low_rank(800, 400, 0.4))
    sizes = ["--widths", "--code", "64", "--epochs", "80", "--batch-size", "20", "--learning-rate", "0.005"]
    tokens = ["--data", f"ratings:{file}", "--by", by, "--weight-decay-l2", "0.03", "--out", str(tmp_path / "run")]
    assert cli.main(["train", "autorec", *tokens, *sizes]) == 0
    assert kerasae.runs.read_summary(tmp_path / "run")["rmse"] < 1.05 * NOISE
