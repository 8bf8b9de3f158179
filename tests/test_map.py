"""`kerasae map`: places, clusters, the table, the page and the picture, against scikit-learn and by hand."""

import csv
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.metrics import normalized_mutual_info_score

import kerasae
from kerasae.errors import InputError
from kerasae.evaluate import place, trust
from kerasae.plots import square, thumbnails
from kerasae.plots.placed import apart
from kerasae.report import page_of_map
from pipelines.command_line import main as cli

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run on digits, and its map by principal components as a page."""
    folder = tmp_path_factory.mktemp("map")
    words = f"train plain --epochs 1 --widths 8 --code 3 --holdout 0 --out {folder / 'run'}"
    assert cli.main(words.split()) == 0
    return folder


def mapped(folder, to, *more):
    assert cli.main(["map", str(folder / "run"), "--to", str(folder / to), *more]) == 0
    with open((folder / to).with_suffix(".csv"), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_places_and_clusters_are_those_of_scikit_learn(folder, capsys):
    rows = mapped(folder, "map.html", "--method", "pca", "--examples", "60", "--seed", "5")
    printed = capsys.readouterr().out
    test = kerasae.data.load("digits").test
    at = {int(row): i for i, row in enumerate(test.rows)}
    chosen = [at[int(row["name"])] for row in rows]
    assert len(rows) == 60 and sorted(chosen) == chosen
    x, y = (part[chosen] for part in test.arrays())
    codes = np.asarray(kerasae.runs.load_model(folder / "run").encode(x))
    expected = PCA(2).fit_transform(codes)
    found = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-3, atol=1e-4)
    clusters = KMeans(10, n_init=5, random_state=5).fit_predict(codes)
    assert [row["cluster"] for row in rows] == [str(c) for c in clusters]
    assert [row["class"] for row in rows] == [str(label) for label in y]
    raw = KMeans(10, n_init=5, random_state=5).fit_predict(x.reshape(60, -1) / np.float32(16))
    for name, theirs in (("codes", clusters), ("raw, 64 values", raw)):
        assert f"{name:24} {normalized_mutual_info_score(y, theirs):6.3f}" in printed
    assert f"keeps all: pca {trustworthiness(codes, expected, n_neighbors=12):.3f}" in printed


class Dots(HTMLParser):
    """The dots of a page, and everything that a browser would fetch or run."""

    def __init__(self, text):
        super().__init__()
        self.dots, self.forbidden = 0, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.dots += attrs.get("class", "").startswith("dot")
        if tag in ("script", "link", "img", "iframe") or {"src", "href"} & set(attrs):
            self.forbidden.append(tag)


def test_the_page_has_a_dot_for_each_example_and_fetches_and_runs_nothing(folder):
    text = (folder / "map.html").read_text(encoding="utf-8")
    page = Dots(text)
    assert page.dots == 60 and page.forbidden == []
    assert all(url.startswith('"data:image/webp') for url in re.findall(r"url\((.{20})", text))


def test_names_cannot_become_markup():
    hostile = ["</b><script>alert(1)</script>", 'a"onclick="x']
    page = page_of_map("<x>", np.eye(2), hostile, {"cluster": np.array([0, -1])}, {"cluster": ["<i>", "noise"]})
    found = Dots(page.decode())
    assert found.dots == 2 and found.forbidden == [] and b"<i>" not in page


def test_the_picture_is_a_png_and_noise_is_named(folder):
    rows = mapped(folder, "map.png", "--method", "pca", "--examples", "40", "--clusters", "hdbscan")
    with Image.open(folder / "map.png") as picture:
        assert picture.size == (1400, 1400) and len(picture.getcolors(10**6)) > 10
    assert "noise" in {row["cluster"] for row in rows}


def test_thumbnails_never_overlap_and_keep_proportions():
    places = RNG.uniform(size=(80, 2))
    chosen = places[apart(places, 0.1)]
    gaps = np.abs(chosen[:, None] - chosen[None]).max(-1) + np.eye(len(chosen))
    assert 10 < len(chosen) < 80 and gaps.min() >= 0.1
    unit = square(np.array([[0.0, 5.0], [4.0, 7.0]]))
    np.testing.assert_allclose(unit, [[0, 0.25], [1, 0.75]])
    (image,) = thumbnails(np.zeros((1, 2)), np.zeros((1, 30, 60, 3)), np.array([0])).axes[0].images
    left, right, bottom, top = image.get_extent()
    assert (right - left) / (top - bottom) == pytest.approx(68 / 38)


@pytest.mark.parametrize("method", ["mds", "tsne"])
def test_points_that_lie_in_a_plane_are_found_there(method):
    """Places of three groups that lie in a plane of six dimensions: groups stay together."""
    flat = RNG.normal(size=(45, 2)) + 20 * np.array([[0, 0], [1, 0], [0, 1]]).repeat(15, axis=0)
    codes = flat @ np.linalg.qr(RNG.normal(size=(6, 6)))[0][:2]
    found = place(codes, method)
    assert trust(codes, found, 5) > 0.95
    distances = np.linalg.norm(found[:, None] - found[None], axis=-1)
    group = np.arange(45) // 15
    assert distances[group[:, None] == group].max() < distances[group[:, None] != group].min()
    if method == "mds":  # distances of the plane can be kept exactly
        np.testing.assert_allclose(distances, np.linalg.norm(flat[:, None] - flat[None], axis=-1), atol=0.02)


def test_impossible_maps_are_refused(monkeypatch):
    for codes, method, words in (
        (np.eye(7), "pca", "examples: expected 8 to 10000 for a map. Received: 7"),
        (np.full((9, 2), np.nan), "pca", "expected finite"),
        (np.ones((9, 3)), "tsne", "the encoder has collapsed"),
        (np.eye(9), "isomap", "expected one of pca, mds, tsne, umap. Received: 'isomap'"),
    ):
        with pytest.raises(InputError, match=words):
            place(codes, method)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InputError, match=r'umap needs umap-learn; pip install "kerasae\[maps\]"'):
        place(np.eye(9), "umap")


def test_mistakes_are_one_line_and_leave_no_file(folder, mistake):
    run, before = folder / "run", sorted(folder.iterdir())
    assert "ends in .png or .html. Received" in mistake("map", run, "--to", folder / "map.svg")
    assert "there is no folder" in mistake("map", run, "--to", folder / "no" / "map.png")
    assert "has no split 'dev'" in mistake("map", run, "--to", folder / "new.png", "--split", "dev")
    assert "k: expected from 1 to 20" in mistake(
        "map", run, "--to", folder / "new.png", "--method", "pca", "--examples", "20", "--k", "30"
    )
    assert "expected 8 to 10000" in mistake("map", run, "--to", folder / "new.png", "--examples", "3")
    assert sorted(folder.iterdir()) == before
    (folder / "own.csv").write_text("name,age\n")
    assert "is no table of a map, and would be lost" in mistake("map", run, "--to", folder / "own.png")
