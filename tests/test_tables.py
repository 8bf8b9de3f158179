"""Tables of numbers and categories with missing cells, against scikit-learn and by hand; made from its data sets."""

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import kerasae
from kerasae import distributions
from kerasae.data import load
from kerasae.errors import InputError
from pipelines.building import variants
from pipelines.command_line import main as cli

RNG = np.random.default_rng(0)
CULTIVARS = np.array(["barolo", "grignolino", "barbera"])


def write(file, header, rows):
    with open(file, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return f"table:{file}"


def wine_rows():
    """Wine with a categorical column that goes with the cultivar, and a twentieth of all cells empty."""
    data, rng = load_wine(), np.random.default_rng(1)
    colours = np.where(rng.random(178) < 0.8, data.target, rng.integers(0, 3, 178))
    cells = [[f"{v:.6g}" for v in x] + [["red", "white", "rosé"][c]] for x, c in zip(data.data, colours, strict=True)]
    rows = [[("" if rng.random() < 0.05 else cell) for cell in row] for row in cells]
    return [*data.feature_names, "colour"], rows, CULTIVARS[data.target]


def wine(folder):
    header, rows, target = wine_rows()
    return write(folder / "wine.csv", [*header, "cultivar"], [[*r, y] for r, y in zip(rows, target, strict=True)])


# ---- the source


def test_a_table_is_what_scikit_learn_makes_of_it(tmp_path):
    source = load(wine(tmp_path), target="cultivar")
    header, rows, target = wine_rows()
    info, train = source.info, source.train
    assert (info.kind, info.shape, info.class_names) == ("table", (16,), ("barbera", "barolo", "grignolino"))
    assert [f for column in info.columns for f in column.features] == [
        *header[:13],
        "colour=red",
        "colour=rosé",
        "colour=white",
    ]
    numbers = np.array([[float(c or "nan") for c in row[:13]] for row in rows])
    colours = np.array([row[13:] for row in rows], dtype=object)
    coded = OneHotEncoder(categories=[["red", "rosé", "white"]], sparse_output=False, handle_unknown="ignore")
    places = coded.fit_transform(np.where(colours == "", "red", colours))
    places[colours[:, 0] == ""] = np.nan
    x = np.concatenate([numbers, places], axis=1)
    np.testing.assert_array_equal(train.arrays()[0], np.float32(x[train.rows]))
    assert info.class_names[train.labels[7]] == target[train.rows[7]]
    # standardised and imputed as scikit-learn does
    imputed = SimpleImputer().fit(x[train.rows]).transform(x)
    scaler = StandardScaler().fit(numbers[train.rows])
    own = np.asarray(variants.scale_of(info)(np.float32(x)))
    expected = np.where(np.isnan(numbers), 0.0, (numbers - scaler.mean_) / scaler.scale_)
    np.testing.assert_allclose(own[:, :13], expected, atol=1e-4)
    frequencies = np.nanmean(x[train.rows, 13:], axis=0)
    np.testing.assert_allclose(own[:, 13:], imputed[:, 13:] - frequencies, atol=1e-5)
    assert f"{int(np.isnan(x[:, :14]).sum())} of 2492 cells are missing" in info.notes[0]


def test_rows_are_held_out_by_their_content(tmp_path):
    header, rows, _ = wine_rows()
    before = load(write(tmp_path / "a.csv", header, rows[:120]))
    after = load(write(tmp_path / "b.csv", header, [*rows[120:], *rows[:120], rows[0]]))
    held, still = ({row.tobytes() for row in s.test.arrays()[0]} for s in (before, after))
    assert held <= still and len(held) > 3
    assert not {row.tobytes() for row in after.train.arrays()[0]} & still
    turned = load(
        write(tmp_path / "c.csv", [*header[::-1], "y"], [[*row[::-1], i] for i, row in enumerate(rows)]), target="y"
    )
    np.testing.assert_array_equal(turned.test.rows, load(write(tmp_path / "d.csv", header, rows)).test.rows)


def test_the_target_may_be_a_number_or_a_class_of_numbers(tmp_path):
    data = load_diabetes()
    rows = np.c_[data.data, data.target]
    numbers = load(write(tmp_path / "diabetes.csv", [*data.feature_names, "progression"], rows), target="progression")
    assert numbers.info.label_kind == "numbers" and numbers.info.label_names == ("progression",)
    np.testing.assert_allclose(numbers.train.labels[:, 0], data.target[numbers.train.rows])
    data = load_breast_cancer()
    spec = write(tmp_path / "cancer.csv", [*data.feature_names, "benign"], np.c_[data.data, data.target])
    classes = load(spec, target="benign")
    assert classes.info.class_names == ("0", "1") and classes.info.shape == (30,)
    np.testing.assert_array_equal(classes.train.labels, data.target[classes.train.rows])
    assert load(spec).info.shape == (31,) and load(spec).train.labels is None


def test_codes_of_categories_and_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    columns = {"size": [1.5, None, 2.5, 4.0], "city": [1, 2, 10, 2], "old": [True, False, None, True]}
    pyarrow.parquet.write_table(arrow.table(columns), tmp_path / "table.parquet")
    source = load(f"table:{tmp_path / 'table.parquet'}", category_columns=("city",))
    (x, _), *_ = (s.arrays() for s, _ in source.stored())
    np.testing.assert_array_equal(
        x, np.float32([[1.5, 1, 1, 0, 0], [np.nan, 0, 0, 0, 1], [2.5, np.nan, 0, 1, 0], [4, 1, 0, 0, 1]])
    )


NUMBERS = [[f"{i}", f"{i * 0.5}"] for i in range(30)]


@pytest.mark.parametrize(
    ("header", "rows", "options", "says"),
    [
        (["a", "b"], NUMBERS, {"target": "c"}, r"no column 'c' for target; it has \[a, b\]"),
        (["a", "b"], NUMBERS, {"category_columns": ("c",)}, "no column 'c' for category_columns"),
        (["a"], [["1"], ["2"]], {"target": "a"}, "no column beside the target 'a'"),
        (["a", "b"], [*NUMBERS, ["?", "1"]], {}, "'a' holds '\\?' beside numbers"),
        (["a", "b"], [[f"name {i}", "1"] for i in range(30)], {}, "'a' has 30 different words in 30 rows"),
        (["a", "b"], [["", "1"], ["", "2"]], {}, "'a' is empty"),
        (["a", "a"], NUMBERS, {}, "two columns 'a'"),
        (["a", "b"], [*NUMBERS, ["1"]], {}, "row 31 has 1 cells"),
        (["a", "b"], [], {}, "is empty"),
        (["a", "b"], [*NUMBERS, ["1e39", "1"]], {}, "'a' holds '1e39'"),
        (["a", "b"], NUMBERS, {"bands": (1,)}, "bands: only used with folder"),
    ],
)
def test_refusals(tmp_path, header, rows, options, says):
    spec = write(tmp_path / "table.csv", header, rows)
    with pytest.raises(InputError, match=says):
        load(spec, **options)


def test_files_that_are_no_tables(tmp_path):
    (tmp_path / "table.csv").write_bytes(b"\xff\xfe\x00a,b\n")
    for name, says in (("table.csv", "cannot be read as CSV"), ("none.csv", "not a file"), ("x.xlsx", "")):
        with pytest.raises(InputError, match=says):
            load(f"table:{tmp_path / name}")
    with pytest.raises(InputError, match="target: only used with table"):
        load("digits", target="a")


# ---- the likelihood


def test_the_likelihood_is_gaussian_for_numbers_and_cross_entropy_for_categories():
    likelihood = distributions.TableColumns(2, [3], [0.5, 0.3, 0.2])
    parameters = np.float32(RNG.normal(size=(4, 5)))
    numbers, classes = np.float32(RNG.normal(size=(4, 2))), np.array([0, 2, 1, 1])
    x = np.concatenate([numbers, np.eye(3)[classes] - [0.5, 0.3, 0.2]], axis=1, dtype="float32")
    crossentropy = keras.losses.sparse_categorical_crossentropy(classes, parameters[:, 2:], from_logits=True)
    squares = 0.5 * ((parameters[:, :2] - numbers) ** 2).sum(axis=1) + np.log(2 * np.pi)
    np.testing.assert_allclose(likelihood.log_prob(parameters, x), -(squares + np.asarray(crossentropy)), rtol=1e-5)
    mask = np.float32([[1, 0, 0, 0, 0]] * 4)
    first = -0.5 * (parameters[:, 0] - numbers[:, 0]) ** 2 - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(likelihood.log_prob(parameters, x, mask), first, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(likelihood.mean(parameters))[:, 2:].sum(axis=1), 0.0, atol=1e-6)


@pytest.mark.parametrize("arguments", [(-1,), (0,), (1, [0]), (1, [2], [0.5])])
def test_sizes_of_the_likelihood_are_checked(arguments):
    with pytest.raises(InputError, match="TableColumns: expected"):
        distributions.TableColumns(*arguments)


# ---- the commands


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("wine")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        wine(Path())
        sizes = ["--widths", "16", "--code", "4", "--epochs", "40", "--batch-size", "16"]
        data = ["--data", "table:wine.csv", "--target", "cultivar"]
        assert cli.main(["train", "plain", *data, "--out", "run", *sizes]) == 0
        assert cli.main(["finetune", "run", "--finetune-epochs", "10", "--no-scratch", "--no-baselines"]) == 0
        assert cli.main(["export", "run/finetune-all", "saved"]) == 0
    return place


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


def test_observed_cells_alone_are_reconstructed(here):
    model, source = kerasae.runs.load_model("run"), load("table:wine.csv", target="cultivar")
    x, _ = source.test.arrays()
    made = np.asarray(model.reconstruct(x))
    assert np.isfinite(made).all() and isinstance(model.likelihood, distributions.TableColumns)
    np.testing.assert_allclose(made[:, 13:].sum(axis=1), 1.0, atol=1e-5)  # probabilities of the colours
    z = (x - np.float32(source.info.mean)) / np.float32(source.info.deviation)
    error = np.nanmean((z - (made - np.float32(source.info.mean)) / np.float32(source.info.deviation)) ** 2)
    figures = kerasae.runs.read_summary("run")
    assert figures["test_mse"] == pytest.approx(error, rel=1e-4) and error < 0.8


def test_a_classifier_predicts_rows_of_a_new_table(here, tmp_path, capsys):
    header, rows, target = wine_rows()
    write(tmp_path / "new.csv", header[::-1], [row[::-1] for row in rows])  # the order of columns is free
    printed = []
    for model in ("run/finetune-all", "saved"):
        assert cli.main(["predict", model, str(tmp_path / "new.csv"), "--format", "json"]) == 0
        printed.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert [line["class"] for line in printed[0]] == [line["class"] for line in printed[1]]
    assert np.mean([line["class"] == y for line, y in zip(printed[0], target, strict=True)]) > 0.85  # 0.4 by chance
    assert printed[0][3]["name"] == f"{tmp_path / 'new.csv'}/3"


def test_other_columns_are_refused_with_both_lists(here, tmp_path, mistake):
    header, rows, _ = wine_rows()
    other, green = tmp_path / "other.csv", tmp_path / "green.csv"
    write(other, ["alcohol", "sugar"], [row[:2] for row in rows])
    for command in (["evaluate", "run", "--data", f"table:{other}"], ["predict", "run", other]):
        line = mistake(*command)
        assert "lacks [alcalinity_of_ash, ash," in line and "has [sugar] besides" in line
        assert "expected [alcalinity_of_ash, alcohol, ash," in line and "received [alcohol, sugar]" in line
    write(green, header, [[*rows[0][:13], "green"]])
    assert "'colour' holds 'green'; known are [red, rosé, white]" in mistake("predict", "run", green)


def test_a_run_on_a_table_whose_columns_changed_is_refused(here, mistake):
    content = Path("wine.csv").read_text(encoding="utf-8")
    try:
        Path("wine.csv").write_text(content.replace("malic_acid", "malic", 1), encoding="utf-8")
        assert "lacks [malic_acid] and has [malic] besides" in mistake("evaluate", "run")
        sizes = ["--widths", "16", "--code", "4", "--epochs", "40", "--batch-size", "16", "--out", "run"]
        line = mistake("train", "plain", "--data", "table:wine.csv", "--target", "cultivar", *sizes)
        assert "the columns of table:wine.csv have changed since run read it: [alcohol, malic_acid, ash," in line
    finally:
        Path("wine.csv").write_text(content, encoding="utf-8")


def test_a_missing_target_is_one_line_and_leaves_nothing(here, tmp_path, mistake):
    tokens = ["train", "plain", "--data", "table:wine.csv", "--target", "year", "--out", tmp_path / "out"]
    assert "has no column 'year' for target" in mistake(*tokens)
    assert not (tmp_path / "out").exists()
