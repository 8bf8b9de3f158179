"""The page of a run: what it shows, in which order, and what it does about missing and hostile things."""

import base64
import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure

import kerasae
from kerasae.errors import InputError
from kerasae.report import page, pictures, sections, wording
from pipelines import report

FINETUNED = {"finetune_accuracy": 0.8847, "finetune_accuracy_std": 0.0255, "scratch_accuracy": 0.8778}
PROBED = {"probe_accuracy": 0.8556, "knn_accuracy": 0.775}
HOSTILE = '<img src=x onerror=alert(1)> & "$x_'


def make_run(path, command, recipe, summary=None, rows=None, model=None):
    """A run directory as the pipelines leave it, without the training."""
    path.mkdir(parents=True, exist_ok=True)
    content = {"command": command, "kerasae": "0", "recipe": {"data": "digits", "seed": 0, **recipe}}
    (path / "recipe.json").write_text(json.dumps(content))
    if summary:
        (path / "summary.json").write_text(json.dumps(summary))
    if rows:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        lines = [columns, *([str(row.get(name, "")) for name in columns] for row in rows)]
        (path / "metrics.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    if model:
        model.save(path / "model.keras", include_optimizer=False)


def variational(shape=(8, 8, 1), pixel_max=16.0):
    networks = kerasae.networks.dense(shape, 4, (12,), posterior="gaussian")
    return kerasae.models.VariationalAutoencoder(*networks, "bernoulli", pixel_max)


def stack():
    bottom = kerasae.networks.dense((8, 8, 1), 10, (), code_activation="sigmoid", tied=True, name="layer1")
    top = kerasae.networks.dense((10,), 6, (), name="layer2")
    corrupt = kerasae.layers.MaskingCorruption(0.5)
    layers = [
        kerasae.models.DenoisingAutoencoder(*bottom, "bernoulli", 16.0, corruption=corrupt),
        kerasae.models.Autoencoder(*top, "gaussian"),
    ]
    return kerasae.models.StackedAutoencoder(layers)


def epochs(stage, **figures):
    return [{"stage": stage, "epoch": e, "step": 10 * e, **{n: v / e for n, v in figures.items()}} for e in (1, 2, 3)]


@pytest.fixture(scope="module")
def journey(tmp_path_factory):
    """A quickstart's run directory, its page as text, and the names of the data sets that were opened for it."""
    root = tmp_path_factory.mktemp("journey") / "quickstart"
    deep = stack()
    classifier = kerasae.models.Classifier(deep.feature_encoder(), 10, pixel_max=16.0)
    loss, tuned = {"loss": 30.0, "reconstruction": 30.0}, {"loss": 2.0, "accuracy": 0.9, "val_accuracy": 0.8}
    make_run(root, "quickstart", {"labels": 100}, {**FINETUNED, "export_max_abs_diff": 3.2e-7})
    make_run(root / "vae", "train", {}, {"test_psnr": 14.118}, epochs("train", **loss, kl=2.0), variational())
    make_run(root / "vae" / "evaluate", "evaluate", {}, {"nll_mean": 25.3312, "nll_standard_error": 0.1242})
    make_run(root / "vae" / "probe-100", "probe", {"labels": 100}, PROBED)
    make_run(root / "stacked", "stacked", {}, FINETUNED, epochs("layer-1", **loss) + epochs("layer-2", **loss), deep)
    for labels in (100, 20):
        stages = [row for n in (1, 2) for kind in ("finetune", "scratch") for row in epochs(f"{kind}-{n}", **tuned)]
        path, recipe = root / "stacked" / f"finetune-{labels}", {"labels": labels, "repeats": 2}
        make_run(path, "finetune", recipe, FINETUNED, stages, classifier)
    opened, load = [], kerasae.data.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kerasae.data, "load", lambda *args, **kwargs: opened.append(args) or load(*args, **kwargs))
        page = report.write(root)
    return root, page.read_text(encoding="utf-8"), opened


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def headings(text):
    """The headings in order, as plain text."""
    found = re.findall(r"<(h[123])>(.*?)</\1>", text, re.S)
    return [(tag, html.unescape(re.sub("<.*?>", "", words))) for tag, words in found]


# ---- the page


def test_sections_and_pictures_in_the_order_of_the_journey(journey):
    autoencoder = ["Training", "Reconstructions", "First-layer filters", "Manifold tangents"]
    autoencoder, codes = [("h3", title) for title in autoencoder], ("h3", "Map of codes")
    classifier = [("h3", t) for t in ("Fine-tuning beside training from scratch", "Confusion matrix", "Mistakes")]
    assert headings(journey[1]) == [
        *[("h1", "quickstart"), ("h3", "Accuracies")],
        *[("h2", "stacked"), *autoencoder, codes],
        *[("h2", "stacked / finetune-20"), *classifier],
        *[("h2", "stacked / finetune-100"), *classifier],
        *[("h2", "vae"), *autoencoder, ("h3", "Samples"), ("h3", "Interpolations"), codes],
        *[("h2", "vae / probe-100"), ("h2", "vae / evaluate")],
    ]


def test_figures_have_units_and_meanings(journey):
    text = html.unescape(re.sub(r"<[^>]*>", " ", journey[1])).replace("\N{NO-BREAK SPACE}", " ")
    for words in (
        "88.47 ± 2.55 %",
        "87.78 %",
        "± standard deviation of 2 repeats",
        "14.12 dB",
        "25.33 ± 0.12 nats",
        "negative log-likelihood per example, estimated by importance sampling, ± standard error",
        "3.2e-07",
        "digits: 1,437 train, 360 test examples of 8 × 8 × 1, 10 classes",
        "Classifier: 786 weights, the first of 2 repeats",
        "2 to 3, 4 to 5",
    ):
        assert words in text, words
    assert text.count("1,437 train") == 1 and "_std" not in text and 'class="notes"' not in journey[1]


def test_page_holds_its_pictures_and_fetches_nothing(journey):
    tags = Tags(journey[1])
    images = tags.all("img")
    assert len(images) == 1 + 5 + 2 * 3 + 7
    for image in images:
        kind, data = image["src"].split(",")
        assert kind == "data:image/png;base64"
        height, width, _ = tf.io.decode_png(base64.b64decode(data, validate=True)).shape
        assert 300 < int(image["width"]) <= 1000 < 2.5 * width and height > 100
    assert {tag for tag, _ in tags.found}.isdisjoint({"script", "link", "iframe", "object"})
    assert not re.search(r"https?:|url\(|@import", journey[1])
    ids = {attributes.get("id") for _, attributes in tags.found}
    links = [link["href"] for link in tags.all("a")]
    assert len(links) == 6 and all(link[0] == "#" and link[1:] in ids for link in links)


def test_data_are_opened_once(journey):
    assert journey[2] == [("digits",)]


def test_a_run_has_the_same_pictures_on_a_page_of_its_own(journey):
    def pngs(text):
        return [image["src"] for image in Tags(text).all("img")]

    alone = pngs(report.write(journey[0] / "vae").read_text(encoding="utf-8"))
    assert len(alone) == 8 and alone[1:] == pngs(journey[1])[-7:]


def test_run_prints_where_the_page_is(tmp_path, capsys):
    make_run(tmp_path, "probe", {"labels": None, "options": {"beta": 4.0}, "widths": [5, 4], "tied": True}, PROBED)
    report.run(report.Recipe(run=str(tmp_path)))
    assert capsys.readouterr().out.split() == [str(tmp_path / "report.html")]
    text = (tmp_path / "report.html").read_text()
    assert [words for tag, words in headings(text)] == [tmp_path.name, "Accuracies"]
    recipe = dict(re.findall(r"<div><span>(.*?)</span><span>(.*?)</span></div>", text))
    assert recipe["labels"] == "not given" and recipe["options"] == "beta 4.0" and recipe["tied"] == "yes"
    assert recipe["widths"] == "5 4"


PROBES = """probe,kind,features,labels,repeats,accuracy,accuracy_std,balanced_accuracy,protocol
sgd,features,192,{first},2,0.5,0.01,,SGD on <b>192</b> features
"raw input, nearest neighbour",baseline,,{second},2,0.75,,,"k=1, 64 raw values"
"""


def test_a_figure_of_a_probe_stands_with_its_protocol(tmp_path):
    figures = {"sgd_probe_accuracy": 0.5, "raw_nearest_accuracy": 0.75, "probe_worth_points": -25.0}
    make_run(tmp_path, "probe", {"labels": [100]}, figures)
    (tmp_path / "probes.csv").write_text(PROBES.format(first=100, second=100))
    text = report.write(tmp_path).read_text()
    assert '<th scope="row">sgd</th><td class="value">50.00 ± 1.00 %</td>' in text
    assert '<td class="meaning">SGD on &lt;b&gt;192&lt;/b&gt; features</td>' in text and 'class="notes"' not in text
    assert "-25.0 points" in text and "a linear layer on the frozen code" not in text
    assert "What pretraining is worth" not in text, "one number of labels is no curve"
    (tmp_path / "probes.csv").write_text("nothing\nof the kind\n")
    assert "probes.csv is damaged" in notes(tmp_path)


def test_a_verdict_is_a_sentence_above_the_figures(tmp_path):
    figures = {"finetune_accuracy": 0.5, "finetune_verdict": "Pretraining <pays>."}
    make_run(tmp_path, "pretrain", {"labels": 10}, figures)
    text = report.write(tmp_path).read_text()
    assert '<p class="sentence"><strong>Fine-tuning.</strong> Pretraining &lt;pays&gt;.</p>' in text
    assert "finetune_verdict" not in text and 'class="notes"' not in text


@pytest.mark.parametrize(
    ("command", "recipe", "unit"),
    [
        ("train", {"variant": "variational"}, "nats"),
        ("mae", {"decoder": "deep"}, "squared error"),
        ("mae", {"decoder": "linear"}, "absolute error"),
        ("finetune", {}, "nats"),
        ("train", {"variant": "mine:Own"}, ""),
    ],
)
def test_losses_stand_in_the_unit_of_their_variant(command, recipe, unit):
    section = sections.Section(path=None, title="", depth=0, command=command, recipe=recipe)
    assert page.units_of(section) == unit
    picture = kerasae.plots.curves(epochs("train", loss=2.0), ["loss"], {"loss": page.units_of(section)})
    assert picture.axes[0].get_ylabel() == (f"loss ({unit})" if unit else "loss")


def test_a_baseline_that_runs_share_stands_once(tmp_path):
    def section(name, **figures):
        summary = {f"{figure}_accuracy": value for figure, value in figures.items()}
        return sections.Section(path=tmp_path / name, title=name, depth=1, command="probe", recipe={}, summary=summary)

    a = section("a", probe=0.5, raw_nearest=0.9, pca_probe=0.7, untrained_probe=0.4)
    b = section("b", probe=0.6, raw_nearest=0.9, pca_probe=0.8)
    expected = {"a: linear probe": 0.5, "a: untrained encoder": 0.4, "b: linear probe": 0.6}
    expected |= {"raw input, nearest neighbour": 0.9}
    expected |= {"a: PCA, logistic regression": 0.7, "b: PCA, logistic regression": 0.8}
    assert page.accuracies([a, b]) == expected and list(page.accuracies([a, b])) == list(expected)


def test_several_numbers_of_labels_are_a_curve(tmp_path):
    make_run(tmp_path, "probe", {"labels": [10, 20]}, {"labels_10_probe_accuracy": 0.5})
    lines = PROBES.format(first=10, second=10) + PROBES.format(first=20, second=20).partition("\n")[2]
    (tmp_path / "probes.csv").write_text(lines)
    text = report.write(tmp_path).read_text()
    assert "<h3>What pretraining is worth</h3>" in text and "<h3>Accuracies</h3>" not in text


def test_text_from_outside_is_escaped(tmp_path):
    for name in (HOSTILE, "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(10):
            pixels = np.random.default_rng(i).integers(0, 256, (6, 6, 3), np.uint8)
            (tmp_path / "data" / name / f"{i}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    data, path = {"data": f"folder:{tmp_path}/data", "note": HOSTILE}, tmp_path / HOSTILE
    model = variational((6, 6, 3), 255.0)
    make_run(path, "train", data, {"place": HOSTILE, HOSTILE: 1.0}, epochs(HOSTILE, loss=1.0), model)
    classifier = kerasae.models.Classifier(model.feature_encoder(), 2)
    make_run(path / HOSTILE, HOSTILE, data, {**PROBED, f"{HOSTILE}_accuracy": 0.5}, model=classifier)
    text = report.write(path).read_text(encoding="utf-8")
    tags = Tags(text)
    assert len(tags.all("img")) == text.count("<img") == 1 + 6 + 2
    assert all(image["src"].startswith("data:image/png") for image in tags.all("img"))
    assert text.count(html.escape(HOSTILE).replace("&quot;", "&#34;")) >= 8
    assert headings(text)[0] == ("h1", HOSTILE)


# ---- what is missing or damaged


def notes(path):
    """The notes on the page of a run."""
    text = report.write(path).read_text(encoding="utf-8")
    return "\n".join(html.unescape(re.sub("<.*?>", "", part)) for part in re.findall(r"<li>(.*?)</li>", text, re.S))


def test_a_run_that_only_began_says_what_is_missing(tmp_path):
    make_run(tmp_path, "train", {})
    found = notes(tmp_path)
    assert found.count("\n") == 2
    for words in ("no summary.json yet", "no epoch in metrics.csv", "no model.keras"):
        assert words in found


def test_damage_is_named_and_leaves_the_rest(tmp_path):
    make_run(tmp_path, "train", {"data": "npz:/not/there.npz"}, rows=epochs("train", loss=1.0), model=variational())
    make_run(tmp_path / "evaluate", "evaluate", {})
    (tmp_path / "evaluate" / "summary.json").write_text("[1, 2")
    (tmp_path / "evaluate" / "confusion.json").write_text('{"matrix": [[1, 2]], "classes": ["a"]}')
    (tmp_path / "evaluate" / "metrics.csv").write_bytes(b"stage,epoch,loss\n\xff\xfe,1,2\n")
    make_run(tmp_path / "finetune", "finetune", {})
    (tmp_path / "finetune" / "model.keras").write_bytes(b"half")
    (tmp_path / "finetune" / "metrics.csv").write_text("stage,epoch,loss\n,,\nfinetune-1,1,x,y\nfinetune-1,2,0.5\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "recipe.json").write_text("{")
    found = notes(tmp_path)
    for words in ("/not/there.npz", "summary.json is damaged", "confusion.json is damaged", "metrics.csv is damaged"):
        assert words in found, words
    assert "model.keras cannot be loaded" in found and "other is not a run directory" in found
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [words for tag, words in headings(text) if tag == "h3"] == ["Training", "Fine-tuning"]
    assert "VariationalAutoencoder: code of 4" in text


def test_data_that_no_longer_fit_the_model(tmp_path):
    make_run(tmp_path, "train", {}, PROBED, epochs("train", loss=1.0), variational((6, 6, 1)))
    assert "(6, 6, 1)" in notes(tmp_path) and "(8, 8, 1)" in notes(tmp_path)


def test_no_run(tmp_path):
    with pytest.raises(InputError, match="not a run directory"):
        report.write(tmp_path)
    assert not any(tmp_path.iterdir())


# ---- the numbers behind the pictures


def test_bars_take_each_accuracy_from_the_run_that_measured_it(journey):
    found = sections.find(journey[0])
    for section in found:
        section.summary = json.loads(file.read_text()) if (file := section.path / "summary.json").exists() else {}
    assert page.accuracies(found) == {
        "stacked/finetune-20: fine-tuned": 0.8847,
        "stacked/finetune-20: from scratch": 0.8778,
        "stacked/finetune-100: fine-tuned": 0.8847,
        "stacked/finetune-100: from scratch": 0.8778,
        "vae/probe-100: linear probe": 0.8556,
        "vae/probe-100: nearest neighbours": 0.775,
    }
    assert page.accuracies(found[:1]) == {"fine-tuned": 0.8847, "from scratch": 0.8778}


@pytest.mark.parametrize(
    ("name", "value", "spread", "text"),
    [
        ("vae_probe_accuracy", 0.8556, None, "85.56 %"),
        ("error", 0.0128, 0.0003, "1.28 ± 0.03 %"),
        ("test_mse", 0.038712, None, "0.03871"),
        ("nll_mean", 89.8, float("nan"), "89.80 ± – nats"),
        ("test_psnr", float("inf"), None, "– dB"),
        ("training_seconds", 12.52, None, "12.5 s"),
        ("nll_examples", 10000, None, "10,000"),
        ("bits_per_dimension", 1.50712, None, "1.507 bits"),
        ("active_units", 12, None, "12 units"),
        ("anything", 3, None, "3"),
        ("place", "saved_models/vae", None, "saved_models/vae"),
    ],
)
def test_quantities(name, value, spread, text):
    assert wording.quantity(value, spread, wording.meaning_of(name)[0]) == text


def test_every_unit_of_a_figure_can_be_written():
    units = {unit for unit, _ in [*kerasae.evaluate.MEANINGS.values(), *wording.MEANINGS.values()]}
    assert units <= set(wording.QUANTITIES)


def test_repeats_are_averaged_epoch_by_epoch():
    rows = [
        {"stage": f"{kind}-{n}", "epoch": str(e), "loss": str(base * n / e)}
        for kind, base in (("finetune", 1.0), ("scratch", 10.0))
        for n in (1, 3)
        for e in (1, 2)
    ]
    axes = Figure().subplots()
    pictures.draw_repeats(axes, rows, "finetune", "loss", "-", "k")
    pictures.draw_repeats(axes, rows, "finetune", "accuracy", "-", "k")
    (line,), (band,) = axes.lines, axes.collections
    np.testing.assert_allclose(line.get_xydata(), [[1, 2.0], [2, 1.0]])
    assert line.get_label() == "fine-tuned, training labels"
    corners = band.get_paths()[0].vertices
    np.testing.assert_allclose([corners[:, 1].min(), corners[:, 1].max()], [0.5, 3.0])


def test_a_term_that_is_the_whole_loss_is_not_drawn_twice(monkeypatch):
    rows = epochs("a", loss=2.0, reconstruction=2.0000001, val_loss=3.0, val_reconstruction=3.0)
    rows += epochs("b", loss=2.0, reconstruction=1.5, kl=0.5)
    drawn = []
    monkeypatch.setattr(kerasae.plots, "curves", lambda rows, *args: drawn.extend(rows) or Figure())
    pictures.training_curves(rows)
    assert all(set(row) == {"stage", "epoch", "step", "loss", "val_loss"} for row in drawn[:3])
    assert all(set(row) == {"stage", "epoch", "step", "loss", "reconstruction", "kl"} for row in drawn[3:])


def test_examples_are_of_every_class_in_turn():
    labels = np.array([2, 2, 0, 2, 1, 0])
    assert pictures.varied(labels, 6, 5).tolist() == [2, 4, 0, 5, 1]
    assert pictures.varied(None, 100, 3).tolist() == [0, 49, 99]
    assert pictures.varied(None, 2, 10).tolist() == [0, 1]


def test_interpolations_begin_and_end_at_the_reconstructions(monkeypatch):
    model, drawn = variational(), []
    examples = pictures.Examples.of(kerasae.data.load("digits"))
    assert examples.names == list("0123456789") and examples.unseen
    monkeypatch.setattr(kerasae.plots, "interpolations", lambda images: drawn.append(images) or Figure())
    pictures.interpolations(model, examples)
    expected = model.reconstruct(examples.images).numpy()
    assert drawn[0].shape == (5, 9, 8, 8, 1)
    np.testing.assert_allclose(drawn[0][:, 0], expected[0::2], atol=1e-6)
    np.testing.assert_allclose(drawn[0][:, -1], expected[1::2], atol=1e-6)
    halfway = model.decode((model.encode(examples.images[:1]) + model.encode(examples.images[1:2])) / 2)
    np.testing.assert_allclose(drawn[0][0, 4], halfway[0], atol=1e-6)


def test_reconstructions_are_those_of_the_corrupted_inputs(monkeypatch):
    model, drawn = stack(), []
    examples = pictures.Examples.of(kerasae.data.load("digits"))
    monkeypatch.setattr(kerasae.plots, "reconstructions", lambda *rows: drawn.append(rows) or Figure())
    for _ in range(2):
        pictures.reconstructions(model, examples)
    x, x_hat, corrupted = drawn[0]
    np.testing.assert_allclose(x, examples.images / 16.0)
    kept = corrupted != 0
    np.testing.assert_array_equal(corrupted[kept], x[kept])
    assert 0.4 < np.mean(kept[x != 0]) < 0.6
    np.testing.assert_allclose(x_hat, model.reconstruct(corrupted), atol=1e-6)
    np.testing.assert_array_equal(corrupted, drawn[1][2])


def test_filters_come_largest_first(monkeypatch):
    model, drawn = variational(), []
    kernel = np.random.default_rng(0).choice([-1.0, 1.0], (64, 12)).astype("float32") * np.arange(12)
    model.encoder.layers[2].kernel.assign(kernel)
    monkeypatch.setattr(kerasae.plots, "filters", lambda *args: drawn.append(args) or Figure())
    pictures.first_layer_filters(model, None, count=5)
    shown, shape, count = drawn[0]
    np.testing.assert_array_equal(shown, kernel[:, ::-1])
    assert shape == (8, 8, 1) and count == 5


def plane_source(tmp_path, count=60):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 2)).astype("float32") * [3.0, 0.5]
    np.savez(tmp_path / "plane.npz", x_train=x, x_test=x)
    return kerasae.data.load(f"npz:{tmp_path / 'plane.npz'}")


def denoising(source, noise):
    scale = kerasae.layers.Standardization(source.info.mean, source.info.deviation)
    networks = kerasae.networks.dense((2,), 3, (8,))
    return kerasae.models.DenoisingAutoencoder(*networks, pixel_max=scale, corruption=noise)


def test_a_model_of_the_plane_is_drawn_in_the_plane(tmp_path, monkeypatch):
    source, drawn = plane_source(tmp_path), []
    model = denoising(source, kerasae.layers.GaussianCorruption(0.2))
    monkeypatch.setattr(kerasae.plots, "field", lambda *args: drawn.append(args) or Figure())
    pictures.denoising_field(model, source)
    grid, arrows, x = drawn[0]
    np.testing.assert_allclose(x, source.test.arrays()[0], atol=1e-5)
    noise = 0.2 * np.array(source.info.deviation)
    np.testing.assert_allclose(arrows, (model.reconstruct(grid) - grid) / noise**2, rtol=1e-3, atol=1e-3)
    assert (grid.min(axis=0) < x.min(axis=0)).all() and (grid.max(axis=0) > x.max(axis=0)).all()
    monkeypatch.setattr(kerasae.plots, "manifold", lambda *args: drawn.append(args) or Figure())
    pictures.plane_manifold(model, source)
    x, made, noisy = drawn[1]
    np.testing.assert_allclose(made, model.reconstruct(noisy), atol=1e-5)
    assert 0.1 < np.std((noisy - x) / source.info.deviation) < 0.3
    assert pictures.reconstructions(model, pictures.Examples.of(source)) is None


def test_a_map_shows_the_same_examples_in_every_panel_in_the_colours_of_their_classes(monkeypatch):
    model, source, drawn = variational(), kerasae.data.load("digits"), []
    monkeypatch.setattr(kerasae.plots, "maps", lambda *args: drawn.append(args) or Figure())
    pictures.map_of_codes(model, source)
    panels, labels, names = drawn[0]
    assert list(panels) == ["codes, PCA", "data, PCA", "data, MDS"] and names == list("0123456789")
    assert {points.shape for points in panels.values()} == {(360, 2)}  # every test example, in order
    np.testing.assert_array_equal(labels, source.test.labels)


def test_geometry_is_left_out_where_there_is_none(tmp_path):
    """Of classes that a condition gives, of codes that jump, of noise that is not Gaussian, of few examples."""
    source = plane_source(tmp_path, 20)
    assert pictures.denoising_field(denoising(source, kerasae.layers.MaskingCorruption(0.2)), source) is None
    digits, model = kerasae.data.load("digits"), variational()
    assert pictures.plane_manifold(model, digits) is None and pictures.denoising_field(model, digits) is None
    assert pictures.map_of_codes(denoising(source, None), source) is None  # too few examples
    networks = kerasae.networks.dense((8, 8, 1), 4, (), posterior="gaussian", condition=10)
    conditional = kerasae.models.VariationalAutoencoder(*networks, "bernoulli", 16.0)
    assert pictures.map_of_codes(conditional, digits) is None
    examples = pictures.Examples.of(digits)
    assert pictures.manifold_tangents(conditional, examples) is None
    pair = kerasae.networks.shape_code(*kerasae.networks.dense((8, 8, 1), 8, ()), (4, 2))
    jumping = kerasae.models.VectorQuantizedAutoencoder(*pair, "bernoulli", 16.0, entries=5)
    assert pictures.manifold_tangents(jumping, examples) is None


def test_mistakes_are_wrong_answers_and_the_surest_come_first(monkeypatch):
    source, drawn = kerasae.data.load("digits"), []
    classifier = kerasae.models.Classifier(variational().feature_encoder(), 10, pixel_max=16.0)
    result = kerasae.evaluate.classify(classifier, source.test)
    monkeypatch.setattr(kerasae.plots, "image_grid", lambda *args: drawn.append(args) or Figure())
    pictures.mistakes(classifier, source, result)
    images, _, titles = drawn[0]
    probabilities = np.array(classifier.probabilities(images))
    truth, answers = zip(*(map(int, title.split(" → ")) for title in titles), strict=True)
    assert list(answers) == probabilities.argmax(axis=1).tolist() and not any(np.equal(truth, answers))
    assert np.all(np.diff(probabilities.max(axis=1)) <= 1e-6)
    x, y = source.test.arrays()
    every = np.array(classifier.probabilities(x))
    assert every[every.argmax(axis=1) != y].max() == pytest.approx(probabilities.max())
    right = kerasae.evaluate.measure_classification(y, y)
    assert pictures.mistakes(classifier, source, right) is None


def test_text_for_matplotlib_is_drawn_as_it_is():
    figure = Figure()
    text = figure.text(0, 0, pictures.plain("a$b$ \ud800\n_^{"))
    figure.draw_without_rendering()
    assert text.get_text() == r"a\$b\$ ? _^{" and pictures.short("automobile") == "automobi…"
