"""Labels in a table beside a folder of images: what is read, what is refused, the way from pretraining to export."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, log_loss, mean_absolute_error, r2_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

import kerasae
from kerasae import evaluate, models, runs
from kerasae.data import label_columns, labelling
from kerasae.data.label_table import LabelTable
from kerasae.errors import InputError
from pipelines import export
from pipelines.command_line import main as cli
from pipelines.labels import balance
from pipelines.labels.baselines import Baselines

RNG = np.random.default_rng(0)
COUNT = 60


def draw(path, left, right):
    """A picture whose left and right halves have these grey values, with a little noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((6, 6), left) + np.arange(6) // 3 * (right - left) + RNG.integers(-5, 6, (6, 6))
    Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(path)


def write(file, header, rows):
    with open(file, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


@pytest.fixture
def here(tmp_path, monkeypatch):
    """60 pictures in folders that mean nothing, and in labels.csv what they show of all but the last ten."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for i in range(COUNT):
        left, right = RNG.integers(20, 236, 2)
        name = f"{'ab'[i % 2]}/{i:02d}.png"
        draw(tmp_path / "data" / name, left, right)
        side = "left" if left > right else "right"
        rows.append([name, side, 0.01 * left + 5, int(left > 128), int(right > 128)])
    write("labels.csv", ["file", "brighter", "grey", "light left", "light right"], rows[:50])
    return {row[0]: row[1:] for row in rows[:50]}


def load(columns=None, file="labels.csv", **options):
    return kerasae.data.load("folder:data", labels_file=file, label_columns=columns, **options)


def labels_by_name(source):
    """Name of every file below its folder, as in the table → its label."""
    found = {}
    for split in source.splits.values():
        names = ["/".join(path.decode().split("/")[-2:]) for path in split.paths]
        found |= dict(zip(names, split.labels.tolist(), strict=True))
    return found


# ---- what is read


def test_one_class_takes_the_place_of_the_folders_and_leaves_the_parts_as_they_are(here):
    source, plain = load(["brighter"]), kerasae.data.load("folder:data")
    assert source.info.class_names == ("left", "right") and source.info.label_kind == "class"
    found = labels_by_name(source)
    assert len(found) == COUNT
    for name, label in found.items():
        assert label == (["left", "right"].index(here[name][0]) if name in here else -1)
    for part in ("train", "test"):
        np.testing.assert_array_equal(source.splits[part].paths, plain.splits[part].paths)
    assert source.info.fingerprint == plain.info.fingerprint
    assert len(source.labelled().train) + len(source.labelled().test) == 50
    assert (source.labelled().train.labels >= 0).all() and "of 60" not in source.info.notes[-1]


def test_numbers_and_several_classes_are_found_from_their_columns(here):
    for columns, kind in ((["grey"], "numbers"), (["light left", "light right"], "classes")):
        source = load(columns)
        assert (source.info.label_kind, source.info.label_names) == (kind, tuple(columns))
        assert source.info.class_names is None and source.train.labels.dtype == "float32"
        for name, label in labels_by_name(source).items():
            known = here.get(name, [np.nan] * 4)
            np.testing.assert_allclose(label, known[1:2] if kind == "numbers" else known[2:], rtol=1e-6)
        images, labels = next(iter(kerasae.data.batches(source.labelled().train, 8, seed=0)))
        assert labels.shape == (8, len(columns)) and labels.dtype == "float32" and len(images) == 8


COLUMNS = [
    ([["b", "a", "", "b"]], None, "class", ("a", "b"), [1, 0, -1, 1]),
    ([["10", "9", "", "9.0"]], None, "class", ("9", "10"), [1, 0, -1, 0]),
    ([["1", "two", "", "1"]], "class", "class", ("1", "two"), [0, 1, -1, 0]),
    ([["a;b", "b", "", ";"]], None, "classes", ("a", "b"), [[1, 1], [0, 1], [np.nan] * 2, [0, 0]]),
    (
        [["1", "0", "", "1"], ["True", "False", "1", ""]],
        None,
        "classes",
        ("A", "B"),
        [[1, 1], [0, 0], *[[np.nan] * 2] * 2],
    ),
    ([["1", "0", "1", "1"]], "numbers", "numbers", ("A",), [[1], [0], [1], [1]]),
    ([["1.5", "-2e3", "", "0"]], None, "numbers", ("A",), [[1.5], [-2000], [np.nan], [0]]),
    ([["1", "0", "1", "7"], ["1", "0", "1", "1"]], None, "numbers", ("A", "B"), [[1, 1], [0, 0], [1, 1], [7, 1]]),
    ([[str(i) for i in range(21)]], None, "numbers", ("A",), [[i] for i in range(21)]),
]


@pytest.mark.parametrize(("cells", "asked", "kind", "names", "values"), COLUMNS)
def test_the_kind_of_columns(cells, asked, kind, names, values):
    table = LabelTable("t.csv", "file", [], dict(zip("AB", cells, strict=False)))
    found = label_columns.read_labels(table, asked)
    assert (found.kind, found.names) == (kind, names)
    np.testing.assert_array_equal(found.values, np.array(values, found.values.dtype))


def test_names_may_be_bare_and_tables_of_other_forms(here, tmp_path):
    expected = labels_by_name(load(["brighter"]))
    rows = [[label[0], name.split("/")[1]] for name, label in here.items()]
    text = "side;name\n" + "".join(f"{side};{name}\n" for side, name in rows)
    (tmp_path / "bare.csv").write_text("\ufeff" + text, encoding="utf-8")
    assert labels_by_name(load(None, "bare.csv", name_column="name")) == expected
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    columns = {"name": [name for _, name in rows], "side": [side for side, _ in rows], "flag": [True, None] * 25}
    pyarrow.parquet.write_table(arrow.table(columns), "table.parquet")
    assert labels_by_name(load(["side"], "table.parquet")) == expected
    assert load(["flag"], "table.parquet", label_kind="numbers").labelled().train.labels.min() == 1.0


def test_a_file_that_was_skipped_as_broken_may_be_listed(here, tmp_path):
    (tmp_path / "data/a/00.png").write_bytes(b"\x89PNG, but no picture")
    assert load(["brighter"], skip_broken=True).info.skipped == 1


def test_changed_labels_change_their_fingerprint_only(here):
    first = load(["grey"]).info
    write("labels.csv", ["file", "grey"], [[name, row[1] + 1] for name, row in here.items()])
    second = load(["grey"]).info
    assert first.fingerprint == second.fingerprint and first.label_fingerprint != second.label_fingerprint


# ---- what is refused

TABLES = {
    "unknown": ("file,kind\na/00.png,x\nnowhere.png,y\nelse.png,x\n", ["2 of its 3 names", "nowhere.png, else.png"]),
    "twice": ("file,kind\na/00.png,x\nb/01.png,y\n00.png,y\n", ["'00.png' twice", "'x' and 'y'"]),
    "mixed": ("file,kind\na/00.png,x\nb/01.png,3\n", ["'kind' holds both words ('x') and numbers ('3')"]),
    "mixed columns": ("file,kind,size\na/00.png,x,1\nb/01.png,y,2\n", ["'kind' holds 'x', not a finite number"]),
    "infinite": ("file,a,b\na/00.png,inf,1\nb/01.png,2,2\n", ["'a' holds 'inf'"]),
    "one class": ("file,kind\na/00.png,x\nb/01.png,x\n", ["at least two classes", "found [x]"]),
    "empty": ("", ["is empty"]),
    "header only": ("file,kind\n", ["is empty"]),
    "no header": ("a/00.png,x\nb/01.png,y\n", ["begins with 'a/00.png'", "column names"]),
    "no labels": ("file,kind,size\na/00.png,,\nb/01.png,,\n", ["has no label"]),
    "ragged": ("file,kind\na/00.png,x\nb/01.png\n", ["row 2 has 1 cells; expected 2"]),
    "same columns": ("file,kind,kind\na/00.png,x,y\n", ["two columns 'kind'"]),
    "names alone": ("file\na/00.png\n", ["label columns beside 'file'"]),
    "not text": (b"file,kind\na/00.png,\xff\xfe\n", ["cannot be read as CSV in UTF-8"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_bad_table_is_one_line(name, here, tmp_path, mistake):
    content, words = TABLES[name]
    (tmp_path / "bad.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    said = mistake("train", "plain", "--data", "folder:data", "--labels-file", "bad.csv")
    assert "bad.csv" in said and all(word in said for word in words), said


REFUSED = [
    ("--labels-file gone.csv", "gone.csv is not a file"),
    ("--labels-file labels.csv --label-columns colour", "no column 'colour'; it has [file, brighter"),
    ("--labels-file labels.csv --name-column names", "no column 'names'"),
    ("--labels-file labels.csv --label-kind class", "label_kind class takes one column"),
    ("--labels-file labels.csv --label-columns grey --label-kind classes", "holds '5"),
    ("--label-columns grey", "label_columns: only used with labels_file"),
    ("--labels-file data", "is not a file"),
]


@pytest.mark.parametrize(("flags", "words"), REFUSED)
def test_flags_that_do_not_fit_are_one_line(flags, words, here, mistake):
    said = mistake("train", "plain", "--data", "folder:data", *flags.split())
    assert words in said, said


def test_a_column_of_names_is_no_class(here, mistake):
    write("ids.csv", ["file", "id"], [[name, f"1,{i}"] for i, name in enumerate(here)])
    said = mistake("train", "plain", "--data", "folder:data", "--labels-file", "ids.csv")
    assert "no two rows of 'id' are the same" in said


def test_two_files_of_one_name_need_their_folders(here, tmp_path, mistake):
    draw(tmp_path / "data/b/00.png", 1, 2)
    write("bare.csv", ["file", "kind"], [["00.png", "x"], ["b/01.png", "y"]])
    said = mistake("train", "plain", "--data", "folder:data", "--labels-file", "bare.csv")
    assert "'00.png' may be a/00.png or b/00.png" in said
    assert "labels_file: only used with folder" in mistake("train", "plain", "--labels-file", "bare.csv")


# ---- figures, losses and fits, beside scikit-learn's


def test_losses_are_those_of_scikit_learn():
    logits, y = RNG.normal(0, 2, (9, 3)).astype("float32"), RNG.integers(0, 3, 9)
    y[:3] = [0, 1, 2]
    weights = compute_class_weight("balanced", classes=np.arange(3), y=y)
    odds = np.exp(logits.astype("float64"))
    expected = log_loss(y, odds / odds.sum(1, keepdims=True), sample_weight=weights[y], normalize=False) / 9
    assert float(models.SmoothedCrossentropy(0.0, weights)(y, logits)) == pytest.approx(expected, rel=1e-5)
    flags, p = RNG.integers(0, 2, (9, 3)), 1 / (1 + np.exp(-logits.astype("float64")))
    flags[0] = [0, 1, 0]
    presence = [2.0, 1.0, 0.5]
    each = [
        log_loss(
            flags[:, k], p[:, k], sample_weight=np.where(flags[:, k], presence[k], 1.0), normalize=False, labels=[0, 1]
        )
        for k in range(3)
    ]
    assert float(models.SigmoidCrossentropy(0.0, presence)(flags, logits)) == pytest.approx(sum(each) / 27, rel=1e-5)
    scaled = np.mean(((flags - logits) / [1.0, 2.0, 4.0]) ** 2)
    assert float(models.ScaledSquaredError([1.0, 2.0, 4.0])(flags, logits)) == pytest.approx(scaled, rel=1e-5)


def test_answers_are_sigmoids_and_numbers_in_units():
    encoder, x = kerasae.networks.dense((4,), 3, ())[0], RNG.random((5, 4)).astype("float32")
    several = models.Classifier(encoder, 2, kind="classes")
    logits = np.asarray(several(x))
    np.testing.assert_allclose(several.answer(x)["probabilities"], 1 / (1 + np.exp(-logits)), rtol=1e-5)
    numbers = models.Classifier(encoder, 2, kind="numbers", shift=[100.0, -1.0], scale=[5.0, 0.1])
    weights, bias = RNG.normal(size=(3, 2)), RNG.normal(size=2)
    numbers.head.set_weights([weights, bias])
    expected = (np.asarray(numbers.encode(x)) @ weights + bias) * [5.0, 0.1] + [100.0, -1.0]
    np.testing.assert_allclose(numbers.answer(x)["values"], expected, rtol=1e-5)
    with pytest.raises(InputError, match="scale > 0"):
        models.Classifier(encoder, 1, kind="numbers", shift=[0.0], scale=[0.0])


def test_components_are_fitted_to_images_without_labels_too(here):
    source = load(["brighter"])
    found = Baselines(source, 2, 0)
    assert len(found.unlabelled) == len(source.train) > len(source.labelled().train) == len(found.source.train)


def test_figures_are_those_of_scikit_learn():
    y, p = RNG.integers(0, 2, (40, 3)), RNG.random((40, 3))
    y[:, 2] = 0  # a class that no test example has
    found = evaluate.measure_several_classes(y, p)
    assert found.mean_average_precision == pytest.approx(average_precision_score(y[:, :2], p[:, :2], average="macro"))
    assert found.macro_f1 == pytest.approx(f1_score(y[:, :2], p[:, :2] >= 0.5, average="macro"))
    assert found.micro_f1 == pytest.approx(f1_score(y, p >= 0.5, average="micro"))
    assert np.isnan(found.average_precision[2])
    true, estimated = RNG.normal(size=(30, 2)), RNG.normal(size=(30, 2))
    found = evaluate.measure_estimates(true, estimated)
    assert found.r2 == pytest.approx(r2_score(true, estimated))
    np.testing.assert_allclose(found.mae_each, np.abs(true - estimated).mean(axis=0))
    assert evaluate.mean_value(true, true).r2 == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(InputError, match="finite"):
        evaluate.measure_estimates(true, np.full_like(true, np.nan))


def test_the_ridge_probe_leaves_one_out():
    x, test_x = RNG.normal(size=(30, 5)) * [1, 9, 1, 1, 1], RNG.normal(size=(10, 5))
    y = x @ RNG.normal(size=(5, 1)) + RNG.normal(size=(30, 1)) * 3
    scaler = StandardScaler().fit(x)
    z, errors = scaler.transform(x), []
    for alpha in evaluate.estimates.PENALTIES:
        apart = [
            Ridge(alpha).fit(np.delete(z, i, 0), np.delete(y, i, 0)).predict(z[i : i + 1]) - y[i] for i in range(30)
        ]
        errors.append(np.mean(np.square(apart)))
    best = evaluate.estimates.PENALTIES[int(np.argmin(errors))]
    expected = Ridge(best).fit(z, y).predict(scaler.transform(test_x))
    found = evaluate.ridge_probe(x, y, test_x, np.zeros((10, 1)) + np.arange(10)[:, None])
    np.testing.assert_allclose(found.predictions, expected.reshape(10, 1), rtol=1e-5)
    assert f"α={best:g}" in found.protocol and "30 labels" in found.protocol


def test_the_probe_of_several_classes_is_a_logistic_regression_for_each():
    x, test_x = RNG.normal(size=(50, 4)).astype("float32"), RNG.normal(size=(9, 4)).astype("float32")
    y = np.stack([x[:, 0] > 0, x[:, 1] > 0.5, np.zeros(50)], axis=1).astype("float32")
    found = evaluate.several_probe(x, y, test_x, np.tile([[1, 0, 0], [0, 1, 0], [0, 0, 1]], (3, 1)))
    strength = float(found.protocol.split("C=")[1].split()[0])
    scaler = StandardScaler().fit(x)
    for k in range(2):
        fitted = LogisticRegression(C=strength, max_iter=1000).fit(scaler.transform(x), y[:, k])
        np.testing.assert_allclose(
            found.predictions[:, k], fitted.predict_proba(scaler.transform(test_x))[:, 1], rtol=1e-3, atol=1e-5
        )
    assert found.predictions[:, 2] == pytest.approx(1 / 52)


def test_balanced_weights_and_sampling():
    labels = np.array([0] * 6 + [1] * 3 + [3])
    info = kerasae.data.load("digits").info

    class Asked:
        class_weights, balanced_sampling = ("balanced",), True

    found = balance.weights(Asked, labels, info)
    np.testing.assert_allclose([found[0], found[1], found[3]], 10 / (3 * np.array([6, 3, 1])))
    rows = kerasae.data.oversampled(labels, seed=1)
    assert np.bincount(labels[rows]).tolist() == [6, 6, 0, 6] and set(rows) == set(range(10))
    several = np.array([[1, 0], [0, 0], [0, 0], [1, 0]], "float32")
    assert balance.weights(Asked, several, info) == [1.0, 1.0]
    Asked.class_weights = ("1", "2")
    with pytest.raises(InputError, match="expected balanced, or 10 numbers"):
        balance.check(Asked, info)


# ---- the whole way

WAYS = {
    "class": (["brighter"], "accuracy"),
    "classes": (["light left", "light right"], "mean_average_precision"),
    "numbers": (["grey"], "r2"),
}


def predicted(model, files):
    """Rows of `kerasae predict` for some files, by column."""
    assert cli.main(["predict", str(model), *files, "--to", "predicted.csv"]) == 0
    with open("predicted.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def score(kind, columns, rows, true):
    """The metric of a kind, by scikit-learn, from rows of `kerasae predict`."""
    if kind == "class":
        return accuracy_score([label[0] for label in true], [row["class"] for row in rows])
    if kind == "numbers":
        return r2_score([label[1] for label in true], [float(row["grey"]) for row in rows])
    return average_precision_score(
        [label[2:] for label in true], [[float(row[f"p({name})"]) for name in columns] for row in rows], average="macro"
    )


@pytest.fixture(scope="module")
def checker():
    """The process in which exports are verified."""
    with kerasae.export.Checker() as checker:
        yield checker


@pytest.mark.parametrize("kind", WAYS)
def test_from_images_without_labels_to_an_export(kind, here, tmp_path, checker, monkeypatch):
    monkeypatch.setattr(evaluate.convnet, "STEPS", 20)
    columns, metric = WAYS[kind]
    table = ["--labels-file", "labels.csv", "--label-columns", *columns]
    train = "train plain --data folder:data --out run --epochs 40 --widths 16 --code 4 --holdout 0 --batch-size 20"
    assert cli.main(train.split()) == 0
    assert cli.main(["probe", "run", *table, "--out", "run/probe"]) == 0
    summary = json.loads((tmp_path / "run/probe/summary.json").read_text())
    assert {f"{name}_{metric}" for name in ("probe", "raw_probe", "pca_probe", "majority")} <= summary.keys()
    assert summary[f"raw_probe_{metric}"] > summary[f"majority_{metric}"]
    more = {"class": ["--class-weights", "balanced", "--balanced-sampling", "--no-baselines"], "numbers": []}
    tune = "finetune run --out run/tuned --finetune-epochs 30 --finetune-rate 0.01".split()
    assert cli.main([*tune, *table, *more.get(kind, ["--class-weights", "2", "1"])]) == 0
    assert cli.main("evaluate run/tuned".split()) == 0
    export.run(export.Recipe(run="run/tuned", dest="saved"), checker)
    test = load(columns).labelled().test
    files = [path.decode() for path in test.paths]
    true = [here["/".join(file.split("/")[-2:])] for file in files]
    figure = json.loads((tmp_path / "run/tuned/evaluate/summary.json").read_text())[metric]
    tuned = json.loads((tmp_path / "run/tuned/summary.json").read_text())
    assert figure == tuned[f"finetune_{metric}"] > summary[f"majority_{metric}"]
    if kind != "class":
        others = [tuned[f"{name}_{metric}"] for name in ("scratch", "raw_probe", "pca_probe", "majority")]
        assert tuned["finetune_worth_points"] == pytest.approx(100 * (figure - max(others)))
        assert evaluate.LABEL_KINDS[kind].of in tuned["finetune_verdict"]
    for model in ("run/tuned", "saved"):
        assert score(kind, columns, predicted(model, files), true) == pytest.approx(figure, abs=1e-5)
    card = json.loads((tmp_path / "saved/card.json").read_text())
    assert card["labels"] == {"kind": kind, "names": ["left", "right"] if kind == "class" else columns}
    assert cli.main(["report", "run"]) == 0
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert evaluate.LABEL_KINDS[kind].title in page and 'class="notes"' not in page


def test_numbers_are_in_the_units_of_the_file(here, tmp_path):
    """The model keeps the mean and the deviation of its training labels."""
    assert cli.main("train plain --data folder:data --out run --epochs 1 --widths 4 --code 2 --holdout 0".split()) == 0
    tune = "finetune run --out run/tuned --finetune-epochs 1 --finetune-rate 1e-9 --no-scratch --no-baselines"
    assert cli.main([*tune.split(), "--labels-file", "labels.csv", "--label-columns", "grey"]) == 0
    model, train = runs.load_model("run/tuned"), load(["grey"]).labelled().train
    assert model.answers.shift == pytest.approx(train.labels.mean(axis=0), rel=1e-5)
    assert model.answers.scale == pytest.approx(train.labels.std(axis=0), rel=1e-5)
    values = np.asarray(model.answer(train.arrays()[0])["values"])
    assert mean_absolute_error(values, np.broadcast_to(train.labels.mean(axis=0), values.shape)) < 0.1


def test_labels_that_changed_or_are_of_another_kind_are_refused(here, mistake, capfd):
    assert cli.main("train plain --data folder:data --out run --epochs 1 --widths 4 --code 2 --holdout 0".split()) == 0
    tune = "finetune run --finetune-epochs 1 --no-scratch --no-baselines --labels-file labels.csv --label-columns grey"
    assert cli.main([*tune.split(), "--out", "run/tuned"]) == 0
    said = mistake("evaluate", "run/tuned", "--label-columns", "brighter")
    assert "learned labels of the kind numbers (grey)" in said
    assert "mixup" in mistake(*tune.split(), "--mixup", "0.5")
    assert "class_weights" in mistake(*tune.split(), "--class-weights", "1", "2")
    said = mistake("probe", "run", "--labels-file", "labels.csv", "--label-columns", "grey", "--probes", "knn")
    assert "probes: expected linear" in said
    write("labels.csv", ["file", "grey"], [[name, row[1] + 1] for name, row in here.items()])
    assert "the labels in grey of folder:data have changed" in mistake("evaluate", "run/tuned")
    assert cli.main("evaluate run/tuned --accept-changed-data".split()) == 0


def test_predictions_of_several_classes_and_of_numbers_as_lines_of_json():
    several, one = (io.StringIO() for _ in range(2))
    kerasae.results.write_json_lines(
        several, [kerasae.results.Prediction("x.png", probabilities=[0.5, 0.2, 0.75])], ["a", "b", "c"], "classes"
    )
    found = json.loads(several.getvalue())
    assert found == {"name": "x.png", "classes": ["a", "c"], "probabilities": {"a": 0.5, "b": 0.2, "c": 0.75}}
    kerasae.results.write_json_lines(one, [kerasae.results.Prediction("x.png", values=[-1.5])], ["age"], "numbers")
    assert json.loads(one.getvalue()) == {"name": "x.png", "values": {"age": -1.5}}


def test_names_are_compared_in_one_form():
    assert labelling.plain("./a\\e\u0301.png") == "a/\u00e9.png"
