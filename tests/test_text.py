"""Lines of text: bags against scikit-learn, classes, hold-out, the way to an export, refusals."""

import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

import kerasae
from kerasae.data import load
from kerasae.data.text import WORD
from kerasae.errors import InputError
from pipelines import evaluate, export, predict, probe, train

GOOD = [f"A fine film, number {i}: it's really warm and good {'x' * (i % 7)}" for i in range(40)]
BAD = [f"A dull film, number {i}: cold and bad {'y' * (i % 5)}" for i in range(40)]


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        (folder / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    return f"text:{folder}"


def test_bags_are_those_of_scikit_learn(tmp_path):
    source = load(write(tmp_path, bad=BAD, good=GOOD), words=25)
    names = [column.name for column in source.info.columns]
    kept = [*BAD, *GOOD]
    x = np.zeros((80, 26), np.uint8)
    for part in ("train", "test"):
        split = source.split(part)
        x[split.rows] = split.arrays()[0]
    counter = CountVectorizer(token_pattern=WORD.pattern, binary=True).fit(kept)
    train = [kept[row] for row in source.split("train").rows]
    frequency = dict(zip(counter.get_feature_names_out(), counter.transform(train).toarray().sum(axis=0), strict=True))
    assert names[:-1] == sorted((w for w in frequency if frequency[w]), key=lambda word: (-frequency[word], word))[:25]
    own = CountVectorizer(token_pattern=WORD.pattern, binary=True, vocabulary=names[:-1])
    np.testing.assert_array_equal(x[:, :-1], own.transform(kept).toarray())
    every = counter.transform(kept).toarray().sum(axis=1)
    np.testing.assert_array_equal(x[:, -1] == 1, every > x[:, :-1].sum(axis=1))
    assert source.info.class_names == ("bad", "good") and "it's" in names and source.info.kind == "text"


def test_more_lines_move_none_and_equal_lines_stay_together(tmp_path):
    def held(lines):
        source = load(write(tmp_path / "a", only=lines))
        return {lines[row] for row in source.test.rows}, source.test.labels

    first, labels = held(GOOD)
    more, _ = held([*BAD, *GOOD, *GOOD])
    assert first and first == {line for line in more if line in GOOD} and labels is None


def test_folders_are_classes_and_lines_without_words_are_counted(tmp_path):
    for name, lines in (("up", GOOD), ("down", [*BAD, "", "  ...  "])):
        write(tmp_path / name / "deeper", a=lines[:20], b=lines[20:])
    info = load(f"text:{tmp_path}").info
    assert info.class_names == ("down", "up") and sum(info.counts.values()) == 80
    assert "2 lines without words left out" in info.notes[0]


def test_from_lines_to_an_export_that_reads_lines(tmp_path):
    data = write(tmp_path / "films", bad=BAD, good=GOOD)
    run = train.run(train.Recipe(data=data, words=30, code=4, widths=(), epochs=2, out=str(tmp_path / "run"))).path
    found = probe.run(probe.Recipe(run=str(run), labels=(20,), baselines=False)).figures
    assert "probe_accuracy" in found and evaluate.run(evaluate.Recipe(run=str(run))).figures["mse"] > 0
    export.run(export.Recipe(run=str(run), dest=str(tmp_path / "served")))
    (tmp_path / "new.txt").write_text("a warm film\n\nan unheard-of story", encoding="utf-8")
    columns = kerasae.runs.table_columns(run)
    x = kerasae.data.text.read_lines(tmp_path / "new.txt", columns)
    expected = np.asarray(kerasae.runs.load_model(run).score(x))
    for model in (run, tmp_path / "served"):
        to = tmp_path / "out.jsonl"
        predict.run(predict.Recipe(model=str(model), inputs=(str(tmp_path / "new.txt"),), to=str(to), format="json"))
        scores = [json.loads(line)["score"] for line in to.read_text().splitlines()]
        np.testing.assert_allclose(scores, expected, rtol=1e-4)
    assert x[:, -1].tolist() == [0, 0, 1] and x[1].sum() == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda at: f"text:{at / 'none'}", "does not exist"),
        (lambda at: write(at), "has no .txt file"),
        (lambda at: write(at, a=["one line", "..."]), "has 1 lines with words"),
        (lambda at: (write(at / "b", c=BAD), write(at, a=GOOD))[1], "beside folders of them, 'b'"),
    ],
)
def test_texts_that_cannot_be_read(tmp_path, make, says):
    with pytest.raises(InputError, match=says):
        load(make(tmp_path))


def test_bytes_that_are_no_text_are_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"fine\nna\xefve")
    with pytest.raises(InputError, match=r"a\.txt is not UTF-8 at byte 7"):
        load(f"text:{tmp_path}")


def test_lines_end_where_editors_end_them(tmp_path):
    """A form feed, or Unicode's own separators, end no line: one example stays one."""
    (tmp_path / "a.txt").write_bytes("one\x0ctwo\u2028three\x85four\r\nfive\rsix\n\nseven".encode())
    assert kerasae.data.text.lines(tmp_path / "a.txt") == ["one\x0ctwo\u2028three\x85four", "five", "six", "", "seven"]


def test_words_belong_to_texts_only(tmp_path):
    with pytest.raises(InputError, match="words: only used with text"):
        load("digits", words=5)
    with pytest.raises(InputError, match="words"):
        load(write(tmp_path, a=GOOD), words=0)


def test_a_model_of_something_else_takes_no_text(tmp_path):
    (tmp_path / "new.txt").write_text("a warm film")
    intake = kerasae.data.Intake((4,), "float32", 1.0)
    with pytest.raises(InputError, match=r"is text, but the model takes examples \[4\]"):
        intake.lines(tmp_path / "new.txt")
