"""Terms that are statistics of the whole batch: one value and one gradient, however many devices share it."""

import json

import cases
import keras
import numpy as np
import pytest
import whole_batch_replicas
from processes import printed

from kerasae.errors import InputError
from kerasae.models.contract import Statistic

ROWS = [case for case in cases.MODELS if case.id in whole_batch_replicas.NAMES]
WHOLE = [case for case in ROWS if case.note != "l1"]


values = keras.ops.convert_to_numpy


@pytest.fixture(scope="module")
def results():
    """What `whole_batch_replicas.py` printed, by row."""
    return printed("whole_batch_replicas.py")


@pytest.mark.parametrize("name", whole_batch_replicas.NAMES)
def test_two_replicas_take_the_steps_of_one_device(name, results):
    found = results[name]
    assert found["start"] == 0 and found["moved"] > 0.01
    assert found["apart"] < 1e-5 * max(1.0, found["moved"])
    assert found["two"] == pytest.approx(found["one"], rel=1e-5, abs=1e-6)


def test_two_replicas_validate_an_odd_number_of_examples_as_one_device_does(results):
    one, two = results["validated"]["one"], results["validated"]["two"]
    assert len(one) == 2 and {"val_loss", "val_mmd", "val_reconstruction", "mmd"} <= set(one[0])
    for alone, shared in zip(one, two, strict=True):
        assert shared == pytest.approx(alone, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.id)
def test_micro_batches_are_refused(case):
    with pytest.raises(InputError, match=r"(mmd|sparsity|kl, discriminator|discriminator.*) is a statistic"):
        case.compile(micro_batches=2)


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.id)
def test_evaluation_changes_nothing_and_agrees_to_the_bit(case):
    model = case.compile(run_eagerly=True)
    before = [values(v) for v in model.variables]
    first, again = (model.evaluate(case.x, verbose=0, return_dict=True) for _ in range(2))
    assert first == again and all(np.isfinite(value) for value in first.values())
    assert all(map(np.array_equal, before, map(values, model.variables)))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.id)
def test_terms_are_finite_float32_and_every_weight_moves(case, policy):
    keras.config.set_dtype_policy(policy)
    model = case.compile(jit_compile=True)
    before = [values(w) for w in model.trainable_weights]
    terms = model(model.prepare(case.x), training=True).terms
    assert tuple(terms) == model.terms
    for name, term in terms.items():
        value = term.value if isinstance(term, Statistic) else getattr(term, "logged", term)
        shape = () if isinstance(term, Statistic) else (len(case.x),)
        assert tuple(value.shape) == shape and np.isfinite(value).all(), name
        assert keras.backend.standardize_dtype(value.dtype) == "float32", name
        assert not isinstance(term, Statistic) or name in model.statistics
    logs = model.train_on_batch(case.x, return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())
    assert all(np.any(a != b) for a, b in zip(before, map(values, model.trainable_weights), strict=True))


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.id)
def test_a_saved_model_comes_back_and_goes_on(case, tmp_path):
    model = case.compile()
    model.train_on_batch(case.x)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert json.dumps(again.get_config()) == json.dumps(model.get_config())
    for name in ("encode", "reconstruct", "score"):
        np.testing.assert_array_equal(getattr(again, name)(case.x), getattr(model, name)(case.x), err_msg=name)
    if model.generative:
        np.testing.assert_array_equal(again.sample(3, seed=1), model.sample(3, seed=1))
    again.seed_generator.state.assign(model.seed_generator.state)  # the random state is in no Keras file
    for one in (model, again):
        one.train_on_batch(case.x)
    for a, b in zip(model.trainable_weights, again.trainable_weights, strict=True):
        np.testing.assert_array_equal(values(a), values(b), err_msg=a.path)
