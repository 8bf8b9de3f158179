"""Every property of the contract on every model of `cases.py`."""

import inspect
import json
import types
from pathlib import Path
from unittest import mock

import cases
import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasae import distributions, layers, models, networks, ops
from kerasae.errors import InputError

# ---- the table is complete


@pytest.mark.parametrize("room", [models, layers, distributions, networks, ops], ids=lambda room: room.__name__)
def test_every_public_name_has_a_row(room):
    known = {case.target.__name__ for case in cases.ROWS} | cases.ABSTRACT | set(cases.FUNCTIONS)
    public = {name for name in vars(room) if not name.startswith("_")}
    public -= {name for name, value in vars(room).items() if isinstance(value, types.ModuleType)}
    assert set(room.__all__) == public
    assert public - known == set()


def test_every_function_is_named_in_the_file_that_tests_it():
    folder = Path(__file__).parent
    missing = {n: f for n, f in cases.FUNCTIONS.items() if f"{n}(" not in (folder / f).read_text("utf-8")}
    assert missing == {}


def test_every_abstract_class_has_a_child_in_the_table():
    targets = [case.target for case in cases.ROWS if inspect.isclass(case.target)]
    for name in cases.ABSTRACT:
        parent = getattr(layers, name, None) or getattr(distributions, name)
        assert any(issubclass(target, parent) for target in targets)


@pytest.mark.parametrize("case", cases.ROWS, ids=lambda case: case.id)
def test_every_argument_differs_from_its_default(case):
    given, parameters = case.arguments(), cases.parameters_of(case.target)
    expected = set(parameters) - set(case.leaves) - set(case.fixed)
    assert set(given) == expected
    kept = [name for name in given if type(given[name]) is type(parameters[name])
            and given[name] == parameters[name]]  # fmt: skip
    assert kept == []


def test_arguments_that_a_row_leaves_are_given_by_another():
    for case in cases.ROWS:
        others = [row.arguments() for row in cases.ROWS if row.target is case.target]
        assert all(any(name in other for other in others) for name in case.leaves), case.id


# ---- helpers


def values(tensors):
    return [keras.ops.convert_to_numpy(tensor).copy() for tensor in tensors]


def outputs(model, x):
    """What users get from a model, by name."""
    if isinstance(model, models.Autoencoder):
        return {name: np.asarray(getattr(model, name)(x)) for name in ("encode", "reconstruct", "score")}
    return {name: np.asarray(getattr(model, name)(x)) for name in ("encode", "probabilities", "call")}


def eager(model):
    """Let the model step without a graph: tracing costs more than a small model's step."""
    model.run_eagerly, model.train_function = True, None
    return model


def alter_seeds():
    keras.utils.set_random_seed(1234)


def insides(model):
    """Type and arguments, without the name, of every layer inside the model."""
    plain = [layer for layer in model._flatten_layers() if not isinstance(layer, keras.Model)]
    return [(type(layer), {**layer.get_config(), "name": None}) for layer in plain]


class Trained:
    """A model of a row after one step on all of the row's examples."""

    def __init__(self, case):
        self.case, self.model = case, case.compile()
        self.before = values(self.model.trainable_weights)
        with mock.patch.object(self.model, "propose", wraps=self.model.propose) as step:
            self.logs = self.fit(self.model)
        self.traces = step.call_count
        self.after = values(self.model.trainable_weights)

    def fit(self, model):
        size = len(self.case.x)
        history = model.fit(self.case.x, self.case.y, batch_size=size, shuffle=False, verbose=0).history
        return {name: value for name, (value,) in history.items()}


@pytest.fixture(scope="module", params=cases.MODELS, ids=lambda case: case.id)
def trained(request):
    return Trained(request.param)


@pytest.fixture(scope="module", params=cases.AUTOENCODERS, ids=lambda case: case.id)
def autoencoder(request):
    """(row, untrained model), for properties that need no training."""
    return request.param, request.param.compile(run_eagerly=True)


# ---- training


def test_one_step_changes_every_trainable_weight(trained):
    paths = [weight.path for weight in trained.model.trainable_weights]
    moved = [np.any(old != new) for old, new in zip(trained.before, trained.after, strict=True)]
    assert len(paths) >= 2 and [path for path, yes in zip(paths, moved, strict=True) if not yes] == []
    assert all(np.isfinite(weight).all() for weight in trained.after)


def test_the_step_is_traced_once(trained):
    assert trained.traces == 1


def test_logs_are_the_loss_and_its_terms(trained):
    model, logs = trained.model, trained.logs
    if isinstance(model, models.Classifier):
        pytest.skip("Keras's own loss")
    assert set(logs) == {"loss", *model.terms} and len(set(model.terms)) == len(model.terms)
    assert set(model.term_weights) <= set(model.terms)
    total = sum(model.term_weights.get(name, 1.0) * logs[name] for name in model.terms)
    assert logs["loss"] == pytest.approx(total, rel=1e-6)


def test_same_seed_gives_the_same_bits(trained):
    model = trained.case.compile()
    assert trained.fit(model) == trained.logs
    for again, first in zip(values(model.trainable_weights), trained.after, strict=True):
        np.testing.assert_array_equal(again, first)


def test_tf_data_with_labels_gives_the_same_weights(trained):
    case = trained.case
    labels = np.arange(len(case.x)) if case.y is None else case.y  # a model without labels ignores them
    dataset = tf.data.Dataset.from_tensor_slices((case.x, labels)).batch(len(case.x))
    model = case.compile(run_eagerly=True)
    model.fit(dataset, shuffle=False, verbose=0)
    for again, first in zip(values(model.trainable_weights), trained.after, strict=True):
        np.testing.assert_allclose(again, first, rtol=1e-5, atol=1e-5)


def test_another_seed_gives_other_weights(trained):
    alter_seeds()
    other = trained.case.build()
    kernels = [weight for weight in other.trainable_weights if weight.path.endswith("kernel")]
    firsts = [w for w, kept in zip(trained.before, other.trainable_weights, strict=True)
              if kept.path.endswith("kernel")]  # fmt: skip
    assert all(np.any(a != b) for a, b in zip(values(kernels), firsts, strict=True))


def test_jit_compile_trains_the_same(trained):
    case = trained.case
    model = case.compile(jit_compile=True)
    logs = model.train_on_batch(case.x, case.y, return_dict=True)
    # XLA draws other random numbers from the same seed, so that only deterministic objectives agree exactly.
    tolerance = 1e-4 if case.deterministic else 0.5
    for name, value in trained.logs.items():
        assert float(logs[name]) == pytest.approx(value, rel=tolerance), name
    for jitted, plain, start in zip(model.trainable_weights, trained.after, trained.before, strict=True):
        assert np.isfinite(jitted).all() and np.any(np.asarray(jitted) != start)
        if case.deterministic:
            np.testing.assert_allclose(jitted, plain, atol=1e-3)


@pytest.fixture(scope="module", params=cases.MODELS, ids=lambda case: case.id)
def exact(request):
    """(row, its losses in float32)."""
    case = request.param
    return case, case.compile(run_eagerly=True).train_on_batch(case.x, case.y, return_dict=True)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_in_float32_losses(exact, policy):
    case, losses = exact
    keras.config.set_dtype_policy(policy)
    model = case.compile(run_eagerly=True)
    before = values(model.trainable_weights)
    logs = model.train_on_batch(case.x, case.y, return_dict=True)
    for name in losses:  # dropout draws other numbers in half precision
        tolerance = 0.5 if isinstance(model, models.Classifier) else 0.1
        assert float(logs[name]) == pytest.approx(float(losses[name]), rel=tolerance, abs=0.02), name

    def moved():
        return all(np.any(old != new) for old, new in zip(before, values(model.trainable_weights), strict=True))

    for _ in range(5 if policy == "mixed_float16" else 0):  # steps may be skipped while the loss scale settles
        if not moved():
            model.train_on_batch(case.x, case.y)
    assert moved()
    assert all(weight.dtype == "float32" for weight in model.trainable_weights)
    assert model.encoder.layers[-1].compute_dtype == policy.removeprefix("mixed_")
    assert type(model).from_config(model.get_config()).dtype_policy.name == policy
    assert all(value.dtype == np.float32 for name, value in outputs(model, case.x).items() if name != "encode")
    if isinstance(model, models.Autoencoder):
        terms = model.objective(model.prepare(case.x), case.y, training=True)
        assert all(term.dtype == "float32" and np.isfinite(term).all() for term in terms.values())


def test_evaluate_averages_over_examples_not_over_batches(trained):
    case, model = trained.case, trained.model
    logs = model.evaluate(case.x, case.y, batch_size=3, verbose=0, return_dict=True)  # 3 + 3 + 2
    assert set(logs) == set(trained.logs) and all(np.isfinite(value) for value in logs.values())
    if isinstance(model, models.Autoencoder):
        total = sum(model.term_weights.get(name, 1.0) * logs[name] for name in model.terms)
        assert logs["loss"] == pytest.approx(total, rel=1e-6)
        if case.deterministic and case.per_example:
            terms = model.objective(model.prepare(case.x), case.y)
            assert {name: logs[name] for name in terms} == pytest.approx(
                {name: np.mean(term) for name, term in terms.items()}, rel=1e-5
            )


def test_predict_is_call(trained):
    predicted = trained.model.predict(trained.case.x, batch_size=3, verbose=0)
    np.testing.assert_allclose(predicted, trained.model(trained.case.x), rtol=1e-5, atol=1e-6)


# ---- saving


@pytest.fixture(scope="module")
def loaded(trained, tmp_path_factory):
    """The trained model, and itself after a round trip through a file."""
    path = tmp_path_factory.mktemp("saved") / f"{trained.case.id}.keras"
    trained.model.save(path)
    alter_seeds()
    return trained.model, keras.saving.load_model(path, safe_mode=True)


def test_loading_brings_every_argument_back(trained, loaded):
    given, (model, again) = trained.case.arguments(), loaded
    assert type(again) is type(model) and again.name == given["name"]
    assert json.dumps(again.get_config()) == json.dumps(model.get_config())  # JSON has lists, no tuples
    assert set(again.get_config()) >= set(given)
    for name, value in given.items():
        if isinstance(value, bool | int | float) and hasattr(model, name):
            assert getattr(again, name) == value, name
    assert insides(again) == insides(model)


def test_loading_brings_every_weight_and_every_output_back(trained, loaded):
    model, again = loaded
    for old, new in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(old), np.asarray(new), err_msg=old.path)
    expected, found = (outputs(one, trained.case.x) for one in (model, again))
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_loaded_model_goes_on_training_exactly(trained, loaded):
    case, (model, again) = trained.case, loaded
    for state, copy in zip(model.variables, again.variables, strict=True):
        if "seed" in state.path:  # the random state is in no Keras file
            copy.assign(state)
    weights = values(model.trainable_weights)
    logs = [eager(m).train_on_batch(case.x, case.y, return_dict=True) for m in (model, again)]
    assert {k: float(v) for k, v in logs[1].items()}.keys() == {k: float(v) for k, v in logs[0].items()}.keys()
    for old, new, start in zip(model.trainable_weights, again.trainable_weights, weights, strict=True):
        np.testing.assert_array_equal(np.asarray(old), np.asarray(new), err_msg=old.path)
        assert np.any(np.asarray(new) != start)


# ---- using


def test_public_outputs_are_deterministic(trained):
    x = trained.case.x
    first = outputs(trained.model, x)
    alter_seeds()
    for name, value in outputs(trained.model, x).items():
        np.testing.assert_array_equal(value, first[name], err_msg=name)
        assert np.ptp(value) > 0 and np.isfinite(value).all()


def test_stored_integers_are_divided_and_floats_are_not(trained):
    model, x = trained.model, trained.case.x
    expected = outputs(model, x)
    for kind in ("float32", "float64", "int32", "int64"):
        given = (x / trained.case.arguments().get("pixel_max", 15.0) if "float" in kind else x).astype(kind)
        for name, value in outputs(model, given).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-5, err_msg=f"{kind} {name}")


def test_outputs_do_not_depend_on_the_batch(trained):
    x = trained.case.x
    whole = outputs(trained.model, x)
    for name, value in outputs(trained.model, x[2:3]).items():
        np.testing.assert_allclose(value, whole[name][2:3], rtol=1e-4, atol=1e-5, err_msg=name)


def test_shapes(autoencoder):
    case, model = autoencoder
    size, shape = len(case.x), case.x.shape[1:]
    assert model.example_shape == shape
    found = {name: value.shape for name, value in outputs(model, case.x).items()}
    assert found == {
        "encode": (size, *model.code_shape),
        "reconstruct": (size, *shape),
        "score": (size,),
    }
    np.testing.assert_array_equal(model(case.x), model.reconstruct(case.x))
    decoded = model.decode(model.encode(case.x))
    assert decoded.shape == case.x.shape
    assert np.array_equal(decoded, model(case.x)) == case.decodes_its_code


def test_decoded_values_lie_in_the_range_of_the_input(autoencoder):
    case, model = autoencoder
    z = np.random.default_rng(0).normal(scale=50, size=(30, *model.code_shape)).astype("float32")
    x = np.asarray(model.decode(z))
    assert x.dtype == np.float32 and x.shape == (30, *case.x.shape[1:])
    assert 0 <= x.min() < x.max() <= 1 + 1e-6


def test_sampling(autoencoder):
    case, model = autoencoder
    if not model.generative:
        with pytest.raises(InputError, match=type(model).__name__):
            model.sample(3)
        return
    first, other, free = (np.asarray(model.sample(5, seed)) for seed in (1, 2, None))
    alter_seeds()
    np.testing.assert_array_equal(first, np.asarray(model.sample(5, 1)))
    assert first.shape == other.shape == free.shape == (5, *case.x.shape[1:])
    assert np.any(first != other) and np.any(free != np.asarray(model.sample(5)))
    assert 0 <= first.min() and first.max() <= 1 + 1e-6


def test_terms_are_one_finite_number_per_example(autoencoder):
    case, model = autoencoder
    x = model.prepare(case.x)
    for training in (True, False):
        terms = model.objective(x, case.y, training=training)
        assert tuple(terms) == model.terms
        for term in map(np.array, terms.values()):
            assert term.shape == (len(x),) and term.dtype == np.float32 and np.isfinite(term).all()
    if (case.deterministic or case.evaluates_alike) and case.per_example:
        for name, term in model.objective(x[3:4], case.y).items():
            np.testing.assert_allclose(term, terms[name][3:4], rtol=1e-4, atol=1e-5)


def test_objective_is_deterministic_where_the_row_says_so(autoencoder):
    case, model = autoencoder
    x = model.prepare(case.x)
    first, again = (values(model.objective(x, case.y).values()) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True)) == (
        case.deterministic or case.evaluates_alike
    )


def test_feature_encoder_is_encode_with_shared_weights(autoencoder):
    case, model = autoencoder
    features = model.feature_encoder()
    np.testing.assert_allclose(features(model.prepare(case.x)), model.encode(case.x), rtol=1e-6, atol=1e-6)
    assert {id(w) for w in features.weights} <= {id(w) for w in model.weights}


def test_a_loss_of_ones_own_is_refused(autoencoder):
    case, _ = autoencoder
    model = case.build()
    with pytest.raises(InputError, match="loss"):
        model.compile("adam", loss="mse")
    with pytest.raises(InputError, match="loss"):
        model.compile("adam", "mse")


def test_sample_weights_are_refused(autoencoder):
    case, model = autoencoder
    with pytest.raises(InputError, match="sample weights"):
        model.train_on_batch(case.x, case.y, sample_weight=np.ones(len(case.x)))
