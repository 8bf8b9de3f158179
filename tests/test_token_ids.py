"""Lines of text as ids in their order: against the bags, hold-out, cutting, characters, refusals."""

import numpy as np
import pytest
from test_text import BAD, GOOD, write

import kerasae
from kerasae.data import load
from kerasae.data.text import WORD, read_lines
from kerasae.data.token_ids import RESERVED, spell
from kerasae.errors import InputError


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
