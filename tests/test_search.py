"""Search: semantic hashing, pairs, mAP with ties, baselines, the index and its commands, by independent sources."""

import csv
import io
import itertools
import json
import re
import shutil

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score
from sklearn.neighbors import NearestNeighbors

import kerasae
from kerasae import applications
from kerasae.applications import SearchIndex, find_duplicates, find_outliers, load_index, save_index, searching
from kerasae.data import NeighbourPairs, RandomAffine, Split
from kerasae.errors import InputError
from kerasae.evaluate import average_precisions, mean_average_precision, pca_itq, random_hyperplanes
from kerasae.evaluate.hashing_baselines import quantising_rotation
from pipelines.command_line import main as cli

RNG = np.random.default_rng(0)


def hashing(noise=2.0):
    networks = kerasae.networks.dense((8, 8, 1), 6, (12,))
    return kerasae.models.SemanticHashingAutoencoder(*networks, "bernoulli", pixel_max=16, noise=noise)


# ---- the model


def test_noise_lies_before_the_sigmoid_in_training_only():
    model, x = hashing(noise=2.0), kerasae.data.load("digits").test.arrays()[0]
    batch = model.prepare(x)
    logits = keras.ops.convert_to_numpy(model.encoder(batch.x))
    noisy = keras.ops.convert_to_numpy(model.encode_batch(batch, training=True)).astype(np.float64)
    noise = np.log(noisy / (1 - noisy)) - logits
    assert abs(noise.mean()) < 0.15 and noise.std() == pytest.approx(2.0, rel=0.05)
    np.testing.assert_allclose(model.encode(x), 1 / (1 + np.exp(-logits)), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(model.hash(x), logits > 0)


def test_noise_makes_bits_of_codes():
    x, far = kerasae.data.load("digits").train.arrays()[0], {}
    for noise in (0.0, 4.0):
        keras.utils.set_random_seed(1)
        model = hashing(noise)
        model.compile(keras.optimizers.Adam(0.01))
        model.fit(x, epochs=8, batch_size=64, verbose=0)
        far[noise] = float(np.abs(2 * np.asarray(model.encode(x)) - 1).mean())  # 1: all codes are 0 or 1
    assert far[4.0] > 0.85 and far[4.0] > far[0.0] + 0.05


def test_an_encoder_with_an_activation_is_refused():
    networks = kerasae.networks.dense((4,), 2, (), code_activation="sigmoid")
    with pytest.raises(InputError, match="must give logits, as the noise comes before the sigmoid"):
        kerasae.models.SemanticHashingAutoencoder(*networks)


# ---- pairs


def test_neighbours_are_those_of_scikit_learn():
    split = kerasae.data.load("digits").test
    flat = split.arrays()[0].reshape(len(split), -1).astype(float)
    theirs = NearestNeighbors(n_neighbors=4).fit(flat).kneighbors()[0]
    table = NeighbourPairs(split, 4).table.numpy()
    ours = np.linalg.norm(flat[:, None] - flat[table], axis=-1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert not (table == np.arange(len(split))[:, None]).any()


def test_pairs_are_a_function_of_the_step_and_only_the_first_is_distorted():
    split = kerasae.data.load("digits").train.subset(np.arange(60))
    pairs = NeighbourPairs(split, 3)
    options = {"seed": 5, "augment": RandomAffine(shift=0.2, rotate=30), "mix": pairs}
    batches = [(x.numpy(), y.numpy()) for x, y in kerasae.data.batches(pairs.numbered, 20, **options).take(5)]
    resumed = next(iter(kerasae.data.batches(pairs.numbered, 20, start_step=4, **options)))
    np.testing.assert_array_equal(batches[4], [part.numpy() for part in resumed])
    plain, numbers = next(iter(kerasae.data.batches(pairs.numbered, 20, seed=5)))
    stored, seen = split.arrays()[0], set()
    for x, y, own, number in zip(*batches[0], plain.numpy(), numbers.numpy(), strict=True):
        which = [i for i, row in enumerate(pairs.table.numpy()[number]) if np.array_equal(stored[row], y)]
        assert len(which) == 1 and not np.array_equal(x, own)
        seen.update(which)
    assert seen == {0, 1, 2}


def test_without_neighbours_an_example_is_its_own_partner():
    pairs = NeighbourPairs(Split.of(np.float32(RNG.normal(size=(12, 4)))), 0)
    x, y = next(iter(kerasae.data.batches(pairs.numbered, 12, seed=0, mix=pairs)))
    np.testing.assert_array_equal(x, y)
    with pytest.raises(InputError, match="neighbours: expected a whole number from 0 to 11"):
        NeighbourPairs(pairs.split, 12)


# ---- mAP


def test_without_ties_it_is_the_average_precision_of_scikit_learn():
    distances, relevant = RNG.normal(size=(5, 40)), RNG.random((5, 40)) < 0.3
    theirs = [average_precision_score(r, -d) for d, r in zip(distances, relevant, strict=True)]
    np.testing.assert_allclose(average_precisions(distances, relevant), theirs, rtol=1e-12)


def in_order(relevant):
    """Average precision of a list in its order, written out."""
    precisions = [sum(relevant[: k + 1]) / (k + 1) for k in range(len(relevant)) if relevant[k]]
    return sum(precisions) / len(precisions)


def test_ties_get_the_mean_over_all_orders():
    distances, relevant = np.array([0, 1, 1, 1, 2, 2, 0]), np.array([0, 1, 0, 1, 1, 0, 1], bool)
    orders = [p for p in itertools.permutations(range(7)) if all(np.diff(distances[list(p)]) >= 0)]
    assert len(orders) == 2 * 6 * 2
    expected = np.mean([in_order(relevant[list(p)]) for p in orders])
    assert average_precisions(distances[None], relevant[None])[0] == pytest.approx(expected, rel=1e-12)


def test_ties_get_the_mean_over_random_orders():
    distances, relevant = RNG.integers(0, 6, 200), RNG.random(200) < 0.2
    drawn = [average_precision_score(relevant, -(distances + RNG.random(200) / 2)) for _ in range(500)]
    expected, error = np.mean(drawn), np.std(drawn) / np.sqrt(500)
    assert average_precisions(distances[None], relevant[None])[0] == pytest.approx(expected, abs=4 * error)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "hamming"])
def test_map_ranks_by_the_metric(metric):
    codes, labels = RNG.normal(size=(60, 5)), RNG.integers(0, 3, 60)
    if metric == "hamming":
        codes = codes > 0
    theirs = {"euclidean": "euclidean", "cosine": "cosine", "hamming": "hamming"}[metric]
    search = NearestNeighbors(n_neighbors=50, metric=theirs, algorithm="brute").fit(codes[10:].astype(float))
    distances, rows = search.kneighbors(codes[:10].astype(float))
    by_row = np.take_along_axis(distances, np.argsort(rows), axis=1).round(9)
    relevant = labels[:10, None] == labels[None, 10:]
    expected = average_precisions(by_row, relevant).mean()
    found = mean_average_precision(codes[:10], codes[10:], labels[:10], labels[10:], metric)
    assert found == pytest.approx(expected, rel=1e-5)


def test_unknown_labels_are_relevant_to_nothing():
    bits = np.eye(4, dtype=bool)
    found = mean_average_precision(bits[:2], bits[2:], np.array([-1, 1]), np.array([-1, 1]), "hamming")
    assert found == pytest.approx(0.75)  # of the second query: both are as far, one is right
    with pytest.raises(InputError, match="no query has a relevant example"):
        mean_average_precision(bits[:1], bits[2:], np.array([-1]), np.array([-1, 1]), "hamming")
    with pytest.raises(InputError, match="hamming compares bits"):
        mean_average_precision(2.0 * bits[:1], bits[2:], np.array([1]), np.array([0, 1]), "hamming")


# ---- hashes without a network


def test_itq_finds_a_rotation_that_was_hidden():
    """Corners of a cube, turned: the rotation that loses least turns them back, up to signs and order."""
    corners = np.where(RNG.random((400, 3)) < 0.5, -1.0, 1.0) + 0.05 * RNG.normal(size=(400, 3))
    hidden = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    rotation = quantising_rotation(corners @ hidden)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(np.abs(np.round(hidden @ rotation, 1)).sum(axis=0), np.ones(3))
    bits = pca_itq(corners @ hidden, corners @ hidden, bits=3)[0]
    assert len({tuple(row) for row in bits}) == 8
    with pytest.raises(InputError, match="expected at most 3 for PCA-ITQ"):
        pca_itq(corners, corners, bits=4)


def test_random_hyperplanes_part_vectors_as_often_as_their_angle_says():
    a, b = np.array([1.0, 0.0]), np.array([np.cos(1.0), np.sin(1.0)])
    vectors = np.stack([a, b, -a, -b])  # whose mean is 0
    bits = random_hyperplanes(vectors, vectors, bits=20_000)[0]
    assert (bits[0] != bits[1]).mean() == pytest.approx(1.0 / np.pi, abs=0.01)  # Charikar, STOC 2002


# ---- the index


def stored(metric, count=50):
    vectors = RNG.normal(size=(count, 12)).astype(np.float32)
    return vectors > 0 if metric == "hamming" else vectors


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "hamming"])
@pytest.mark.parametrize("exact", [True, False])
def test_the_nearest_rows_are_found_and_come_back_from_disk(metric, exact, tmp_path, monkeypatch):
    for module in (searching, applications.index_files):
        monkeypatch.setattr(module, "EXACT", 1000 if exact else 10)
    vectors, about = stored(metric), {"model_sha256": "ab", "thresholds": [0.5]}
    index = SearchIndex(vectors, metric, [f"é{i}" for i in range(50)], None, about)
    theirs = NearestNeighbors(n_neighbors=5, metric=metric, algorithm="brute").fit(vectors.astype(float))
    expected = theirs.kneighbors(vectors[:7].astype(float))[0] * (12 if metric == "hamming" else 1)
    same = load_index(save_index(index, tmp_path / "index"), "ab")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index"]
    assert (same.graph is None) == exact and same.about == about and list(same.names) == list(index.names)
    for which in (index, same):
        found = which.search(vectors[:7], 5)
        np.testing.assert_allclose(found.distances, expected, atol=1e-3)
        assert found.rows[:, 0].tolist() == list(range(7))
    assert same.search(vectors[:1], 99).rows.shape == (1, 50)


def test_another_model_and_damaged_files_are_refused(tmp_path):
    place = save_index(SearchIndex(stored("cosine"), "cosine", range(50), None, {"model_sha256": "ab"}), tmp_path / "i")
    with pytest.raises(InputError, match="was made by another model"):
        load_index(place, "cd")
    with pytest.raises(InputError, match="is no index"):
        load_index(tmp_path)
    good = {file.name: file.read_bytes() for file in place.iterdir()}
    header = json.loads(good["index.json"])
    broken = {
        "vectors.bin": [good["vectors.bin"][:-4], b"\0" + good["vectors.bin"][1:], b""],
        "names.json": [b"[]"],
        "index.json": [
            b"{",
            b"[]",
            *(
                json.dumps({**header, **change}).encode()
                for change in ({"count": 10**12}, {"files": {}}, {"metric": "x"})
            ),
            json.dumps({**header, "files": {**header["files"], "../outside": "0"}}).encode(),
        ],
    }
    for name, contents in broken.items():
        for content in contents:
            (place / name).write_bytes(content)
            with pytest.raises(InputError, match="damaged"):
                load_index(place, "ab")
        (place / name).write_bytes(good[name])
    assert len(load_index(place, "ab")) == 50
    (place / "names.json").write_text("[]")  # with the hash that it should have
    header["files"]["names.json"] = applications.file_hash(place / "names.json")
    (place / "index.json").write_text(json.dumps(header))
    with pytest.raises(InputError, match="names.json is damaged"):
        load_index(place, "ab")


def test_an_index_replaces_nothing_but_an_index(tmp_path):
    index = SearchIndex(stored("hamming"), "hamming", range(50))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds letter.txt, which is no part of an index"):
        save_index(index, tmp_path / "own")
    save_index(index, tmp_path / "i")
    save_index(SearchIndex(stored("cosine", 9), "cosine", range(9)), tmp_path / "i")
    assert len(load_index(tmp_path / "i")) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i", "own"]


def test_vectors_that_are_no_codes_are_refused():
    with pytest.raises(InputError, match="the model gave NaN"):
        SearchIndex(np.full((3, 2), np.nan), "cosine", range(3))
    with pytest.raises(InputError, match=r"expected bits, bool \[N, Z\]. Received: float64"):
        SearchIndex(np.eye(3), "hamming", range(3))
    with pytest.raises(InputError, match=r"expected \[Q, 3\]"):
        SearchIndex(np.eye(3), "euclidean", range(3)).search(np.eye(2))


# ---- near-duplicates and outliers


def test_copies_and_outliers_that_were_planted_are_found():
    codes = RNG.normal(size=(80, 6))
    codes[10], codes[20], codes[21] = codes[3], codes[4] + 1e-3, codes[4]
    codes[50] += 30
    found = find_duplicates(codes)
    assert {tuple(pair) for pair in found.pairs.tolist()} == {(3, 10), (4, 20), (4, 21), (20, 21)}
    gaps = np.linalg.norm(codes[:, None] - codes, axis=-1) + np.diag(np.full(80, np.inf))
    assert found.limit == pytest.approx(0.25 * np.median(gaps.min(axis=1)), rel=1e-4)
    rows, means = find_outliers(codes, 2)
    assert rows[0] == 50 and means[0] == pytest.approx(np.sort(gaps[50])[:5].mean(), rel=1e-4)


# ---- the commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with photos of two classes, one of them twice, a run on them, and an index of its bits."""
    folder = tmp_path_factory.mktemp("search")
    images, labels = kerasae.data.load("digits").train.arrays()
    for i in range(60):
        place = folder / "photos" / ("odd" if labels[i] % 2 else "even")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(images[i, ..., 0] * 15.9)).save(place / f"{i:02}.png")
    shutil.copy(folder / "photos" / "even" / "00.png", folder / "photos" / "odd" / "copy.png")
    words = f"train semantic-hashing --data folder:{folder / 'photos'} --epochs 2 --network conv --filters 4 --code 8"
    words += f" --batch-size 16 --neighbours 3 --augment affine --holdout 0 --out {folder / 'run'}"
    assert cli.main(words.split()) == 0
    assert cli.main(["index", str(folder / "run"), "--bits", "--to", str(folder / "bits")]) == 0
    return folder


def test_an_image_finds_itself(folder, capsys):
    names = ["odd/copy.png", "even/00.png"]
    files = [str(folder / "photos" / name) for name in names]
    capsys.readouterr()
    assert cli.main(["search", str(folder / "bits"), *files, "--n", "61"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 61 * len(files)
    for name, file in zip(names, files, strict=True):
        own = [row for row in rows if row["query"] == file]
        assert [row["distance"] for row in own if row["name"] == name] == ["0"]
        assert [float(row["distance"]) for row in own] == sorted(float(row["distance"]) for row in own)
        assert {row["name"]: row["class"] for row in own}[name] == name.split("/")[0]


def test_the_index_tells_its_map_beside_baselines(folder, capsys):
    capsys.readouterr()
    assert cli.main(["index", str(folder / "run"), "--to", str(folder / "codes"), "--metric", "cosine"]) == 0
    printed = capsys.readouterr().out
    model = kerasae.runs.load_model(folder / "run")
    source = kerasae.data.load(f"folder:{folder / 'photos'}")
    (x, y), (q, asked) = source.train.arrays(), source.test.arrays()
    expected = mean_average_precision(model.encode(q), model.encode(x), asked, y, "cosine")
    flat = [part.reshape(len(part), -1) / 255 for part in (q, x)]
    for name, value in (
        ("codes of the run, 8 numbers", expected),
        ("raw, 64 numbers", mean_average_precision(*flat, asked, y)),
    ):
        (told,) = re.findall(rf"  {name} +([0-9.]+)", printed)
        assert float(told) == pytest.approx(value, abs=3e-3)  # rounding parts what would be as far
    header = json.loads((folder / "codes" / "index.json").read_text())
    assert header["about"]["model_sha256"] == applications.file_hash(folder / "run" / "model.keras")


def forbidden(page):
    """What a browser would fetch or run."""
    return re.findall(r"<(?:script|link|img|iframe)|(?:src|href)=|url\((?!\"data:image/webp)", page)


def test_pages_show_thumbnails_and_run_nothing(folder):
    query = str(shutil.copy(folder / "photos" / "even" / "00.png", folder / "<b>&.png"))
    assert cli.main(["search", str(folder / "bits"), query, "--n", "4", "--to", str(folder / "found.html")]) == 0
    page = (folder / "found.html").read_text(encoding="utf-8")
    assert page.count('<li class="cell') == page.count('<u class="thumb') == 5
    assert "&lt;b&gt;&amp;.png" in page and forbidden(page) == []


def test_duplicates_lists_the_copy(folder, capsys):
    capsys.readouterr()
    words = [
        "duplicates",
        str(folder / "run"),
        "--to",
        str(folder / "dup.html"),
        "--outliers",
        "4",
        "--closeness",
        "1e-6",
    ]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    rows = list(csv.DictReader((folder / "dup.csv").open(encoding="utf-8")))
    pairs = [row for row in rows if row["kind"] == "duplicate"]
    assert len(pairs) == 1 and "copy.png" in pairs[0]["name"] + pairs[0]["other"]
    assert [row["kind"] for row in rows[1:]] == ["outlier"] * 4
    assert "raw values give 1 pairs by the same rule, 1 of them the same" in printed
    page = (folder / "dup.html").read_text(encoding="utf-8")
    assert page.count('<u class="thumb') == 2 + 4 and forbidden(page) == []


@pytest.mark.parametrize("kind", ["table", pytest.param("text", marks=pytest.mark.slow)])
def test_rows_of_tables_and_lines_of_text_are_found(kind, tmp_path, capsys):
    numbers = RNG.normal(size=(40, 3)).round(3)
    (tmp_path / "t.csv").write_text("a,b,c\n" + "\n".join(",".join(map(str, row)) for row in numbers) + "\n")
    lines = [" ".join(RNG.permutation("red green blue one two three four".split())[:4]) for _ in range(40)]
    (tmp_path / "t.txt").write_text("\n".join(lines) + "\n")
    file, run = tmp_path / {"table": "t.csv", "text": "t.txt"}[kind], str(tmp_path / "run")
    words = f"train plain --data {kind}:{file} --epochs 1 --widths 8 --code 3 --batch-size 10 --out {run}"
    assert cli.main(words.split()) == 0
    assert cli.main(["index", run, "--to", f"{run}.index"]) == 0
    capsys.readouterr()
    assert cli.main(["search", f"{run}.index", str(file), "--n", "1"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 40 and max(float(row["distance"]) for row in rows) < 1e-3


@pytest.mark.slow
def test_pairs_resume_exactly(tmp_path):
    """Two epochs at once, and one and then another, end in the same weights."""
    words = "train semantic-hashing --widths 8 --code 4 --neighbours 2 --augment affine --holdout 0 --schedule constant"
    for out, epochs in (("both", "2"), ("first", "1"), ("first", "2")):
        assert cli.main([*words.split(), "--epochs", epochs, "--out", str(tmp_path / out)]) == 0
    models = [kerasae.runs.load_model(tmp_path / out) for out in ("both", "first")]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mistakes_are_one_line_and_leave_no_file(folder, mistake, tmp_path):
    run, query, before = folder / "run", folder / "photos" / "even" / "00.png", sorted(folder.iterdir())
    other = shutil.copytree(run, tmp_path / "other")
    model = kerasae.runs.load_model(run)
    model.noise = 1.0
    model.save(other / "model.keras")
    assert "was made by another model" in mistake("search", folder / "bits", query, "--run", other)
    assert "holds no model.keras" in mistake("search", folder / "bits", query, "--run", tmp_path)
    assert "is no index" in mistake("search", run, query)
    odd = shutil.copytree(folder / "bits", tmp_path / "odd")
    header = json.loads((odd / "index.json").read_text())
    for change in ({"run": 3}, {"data": []}, {"thresholds": None}, {"thresholds": [0.5]}):
        (odd / "index.json").write_text(json.dumps({**header, "about": {**header["about"], **change}}))
        assert "does not say what kerasae index writes" in mistake("search", odd, query)
    assert "does not exist" in mistake("search", folder / "bits", "nothing.png")
    assert "ends in .csv or .html" in mistake("search", folder / "bits", query, "--to", folder / "a.png")
    assert "is not free: it holds" in mistake("index", run, "--to", folder / "photos")
    assert "there is no folder" in mistake("index", run, "--to", folder / "no" / "index")
    assert "leave it out" in mistake("index", run, "--bits", "--metric", "cosine", "--to", folder / "new")
    assert "ends in .html" in mistake("duplicates", run, "--to", folder / "dup.png")
    assert "has no split 'dev'" in mistake("duplicates", run, "--to", folder / "new.html", "--split", "dev")
    (tmp_path / "own.csv").write_text("name,age\n")
    assert "would be lost" in mistake("duplicates", run, "--to", tmp_path / "own.html")
    out = ("--out", tmp_path / "refused")
    assert "reconstructs nothing but its input" in mistake("train", "rbm", "--neighbours", "3", *out)
    assert "need images" in mistake("train", "plain", "--data", "onehot:8", "--augment", "affine", *out)
    assert sorted(folder.iterdir()) == before
