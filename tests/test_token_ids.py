"""Lines of text as ids in their order: against the bags, hold-out, cutting, characters, refusals."""

import json

import numpy as np
import pytest
from test_text import BAD, GOOD, write

import kerasae
from kerasae.data import load
from kerasae.data.text import WORD, read_lines
from kerasae.data.token_ids import RESERVED, spell
from kerasae.errors import InputError
from pipelines import evaluate, export, predict, probe, train


def test_ids_say_what_the_bags_say_in_order(tmp_path):
    data = write(tmp_path, bad=BAD, good=GOOD)
    bags, ids = load(data, words=25), load(data, words=25, text_as="words", steps=20)
    names = [column.name for column in ids.info.columns]
    assert names == [*RESERVED, *(column.name for column in bags.info.columns[:-1])]
    assert ids.info.kind == "tokens" and ids.info.max_value == 27 and ids.info.dtype == "uint16"
    for part in ("train", "test"):
        np.testing.assert_array_equal(ids.split(part).rows, bags.split(part).rows)
        x, bag = ids.split(part).arrays()[0], bags.split(part).arrays()[0]
        found = np.stack([np.bincount(row, minlength=28) > 0 for row in x])
        np.testing.assert_array_equal(found[:, 3:], bag[:, :-1] == 1)
        np.testing.assert_array_equal(found[:, 1], bag[:, -1] == 1)
    kept, lines = [*BAD, *GOOD], spell(ids.train.arrays()[0], ids.info.columns)
    for row, line in zip(ids.train.rows, lines, strict=True):
        words = [word if word in names else "<unknown>" for word in WORD.findall(kept[row].lower())]
        assert line == " ".join(words)


def test_long_lines_are_cut_and_counted(tmp_path):
    source = load(write(tmp_path, a=["one two three four", "one two", *GOOD]), text_as="words", steps=3)
    assert source.info.shape == (3,) and "41 longer lines cut" in source.info.notes[0]


def test_characters_are_tokens_too(tmp_path):
    source = load(write(tmp_path, a=["Ab a!", *["b a"] * 9]), text_as="characters", steps=6)
    names = {column.name for column in source.info.columns[3:]}
    assert names <= set("Ab a!") and "b a" in spell(source.train.arrays()[0], source.info.columns)


def test_the_vocabulary_is_that_of_the_training_lines(tmp_path):
    lines = [f"common{i % 3} rare{i}" for i in range(60)]
    source = load(write(tmp_path, a=lines), text_as="words")
    known = {column.name for column in source.info.columns}
    assert {f"rare{row}" for row in source.train.rows} <= known
    assert not known & {f"rare{row}" for row in source.test.rows}
    assert (source.test.arrays()[0][:, 1] == 1).all()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"steps": 5}, "steps: only used with text_as, not with bags of words"),
        ({"text_as": "words", "steps": 0}, "steps: expected a whole number from 1"),
        ({"text_as": "letters"}, "text_as: expected words or characters; received 'letters'"),
        ({"text_as": "words", "words": 1}, "expected two or more different tokens in the training lines; received 1"),
        ({"text_as": "words", "words": 70_000}, "words: expected a whole number from 1 to 65533"),
    ],
)
def test_arguments_that_fit_no_text(tmp_path, arguments, says):
    with pytest.raises(InputError, match=says):
        load(write(tmp_path, a=GOOD), **arguments)


def test_the_vocabulary_of_a_model_of_another_kind_is_refused(tmp_path):
    data = write(tmp_path, a=GOOD)
    known = {kind: load(data, text_as=kind).info.columns for kind in (None, "words", "characters")}
    for kind, columns in known.items():
        assert load(data, text_as=kind, columns=columns).info.columns == columns
        for other in known.keys() - {kind}:
            with pytest.raises(InputError, match="text_as: the model has learned from"):
                load(data, text_as=other, columns=columns)
            with pytest.raises(InputError, match="text_as: the model has learned from"):
                read_lines(tmp_path / "a.txt", columns, other)


def test_ids_belong_to_texts_only():
    for arguments in ({"text_as": "words"}, {"steps": 5}):
        with pytest.raises(InputError, match="only used with text, not with digits"):
            load("digits", **arguments)


def test_lines_of_a_file_are_cut_with_a_warning(tmp_path, caplog):
    columns = load(write(tmp_path, a=GOOD), text_as="words").info.columns
    (tmp_path / "new.txt").write_text("a fine film it's\n\nunheard of")
    with caplog.at_level("WARNING", "kerasae"):
        x = kerasae.data.text.read_lines(tmp_path / "new.txt", columns, "words", 3)
    assert spell(x, columns) == ["a fine film", "", "<unknown> <unknown>"] and "1 line longer than 3" in caplog.text


def test_from_lines_to_an_export_that_reads_lines(tmp_path):
    """A masked language model with a code for every word: trained, probed by their mean, exported, used."""
    data = write(tmp_path / "films", bad=BAD, good=GOOD)
    options = {"network": "transformer", "widths": (8,), "heads": 2, "blocks": 1, "code": 4, "pooling": "none"}
    recipe = train.Recipe(
        variant="denoising", data=data, text_as="words", steps=12, epochs=1, out=str(tmp_path / "run"), **options
    )
    run = train.run(recipe).path
    model, columns = kerasae.runs.load_model(run), kerasae.runs.table_columns(run)
    assert isinstance(model.corruption, kerasae.layers.TokenCorruption) and model.ids == len(columns)
    source = load(data, text_as="words", steps=12)
    found = evaluate.run(evaluate.Recipe(run=str(run))).figures
    x = source.test.arrays()[0]
    assert found["token_accuracy"] == pytest.approx(np.mean((np.asarray(model.reconstruct(x)) == x)[x > 0]))
    assert found["nats_per_token"] == pytest.approx(np.sum(model.score(x)) / np.sum(x > 0), rel=1e-5)
    means = [codes[row > 0].mean(axis=0) for codes, row in zip(np.asarray(model.encode(x)), x, strict=True)]
    np.testing.assert_allclose(kerasae.evaluate.features(model, source.test), means, rtol=1e-5, atol=1e-6)
    figures = probe.run(probe.Recipe(run=str(run), labels=(20,), baselines=False)).figures
    bags = kerasae.evaluate.bags_of_ids(source.test, len(columns))
    np.testing.assert_array_equal(bags[:, 3:], load(data).test.arrays()[0][:, :-1])
    assert 0 <= figures["probe_accuracy"] <= 1

    export.run(export.Recipe(run=str(run), dest=str(tmp_path / "served")))
    (tmp_path / "new.txt").write_text("a warm film\n\nan unheard-of story", encoding="utf-8")
    expected = np.asarray(model.score(read_lines(tmp_path / "new.txt", columns, "words", 12)))
    for place in (run, tmp_path / "served"):
        to = tmp_path / "out.jsonl"
        predict.run(predict.Recipe(model=str(place), inputs=(str(tmp_path / "new.txt"),), to=str(to), format="json"))
        scores = [json.loads(line)["score"] for line in to.read_text().splitlines()]
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)

    again = train.Recipe(variant="denoising", data=data, start=str(run / "model.keras"))
    assert again.known_columns() == columns  # words keep their vectors when training goes on


def test_pipelines_refuse_what_tokens_cannot_be_used_for(tmp_path):
    shared = {"data": write(tmp_path, a=GOOD, b=BAD), "text_as": "words", "steps": 6, "out": str(tmp_path / "run")}
    for options, says in (
        ({}, "dense does not read tokens in their order; give --network lstm, gru, transformer"),
        ({"network": "gru", "likelihood": "gaussian"}, "gaussian is of values, but text:.* holds tokens"),
        ({"network": "gru", "variant": "variational"}, "gru has no gaussian codes"),
        ({"network": "gru", "variant": "denoising", "corruption": "gaussian"}, "gaussian is of values, not of tokens"),
        ({"network": "transformer", "widths": (8, 8)}, "widths: expected one"),
        ({"network": "gru", "heads": 2}, "heads: has no effect"),
        ({"network": "gru", "variant": "contractive", "activation": "tanh"}, "has no effect"),
    ):
        with pytest.raises(InputError, match=says):
            train.run(train.Recipe(**shared, **options))


def test_sequences_of_values_are_trained_too(tmp_path):
    """Arrays [N, T, D] of an .npz, which are kept as [T, D, 1], of any range."""
    x = np.random.default_rng(0).normal(5, 3, (60, 6, 2)).astype("float32")
    np.savez(tmp_path / "x.npz", x_train=x)
    options = {"network": "transformer", "widths": (8,), "code": 3, "epochs": 1, "out": str(tmp_path / "run")}
    run = train.run(train.Recipe(data=f"npz:{tmp_path / 'x.npz'}", **options))
    assert run.figures["test_prd"] > 0
    assert kerasae.runs.load_model(run.path).reconstruct(x[..., None]).shape == (60, 6, 2, 1)
