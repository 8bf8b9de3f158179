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
from kerasae.models.contract.terms import logged

# ---- the table is complete


@pytest.mark.parametrize("room", [models, layers, distributions, networks, ops], ids=lambda room: room.__name__)
def test_every_public_name_has_a_row(room):
    known = {case.target.__name__ for case in cases.ROWS} | cases.ABSTRACT | set(cases.FUNCTIONS)
    public = {name for name in vars(room) if not name.startswith("_")}
    public -= {name for name, value in vars(room).items() if isinstance(value, types.ModuleType)}
    if hasattr(room, "HOMES"):  # a room whose names load on first use
        public = set(room.HOMES)
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


def given(case, rows=slice(None), x=None):
    """Some examples of a row, as a model's own methods take them: (x,), or (x, y) where it is conditional."""
    x = case.x if x is None else x
    condition = case.y is not None and case.target not in cases.SUPERVISED
    return (x[rows], case.y[rows]) if condition else (x[rows],)


def outputs(model, examples):
    """What users get from a model for (x,) or (x, y), by name."""
    classifier = isinstance(model, cases.SUPERVISED)
    names = ("encode", "call") if classifier else ("encode", "reconstruct", "score")
    found = {name: getattr(model, name)(*examples) for name in names}
    found |= model.answer(*examples) if classifier else {}
    for discrete in ("labels", "classes"):  # they may all be the same
        found.pop(discrete, None)
    return {name: np.asarray(value) for name, value in found.items()}


def found_terms(model, case, training=False, rows=slice(None)):
    """Name → logged value of the terms of some examples of a row."""
    found = model(model.prepare(*given(case, rows)), training=training)
    return {name: np.asarray(logged(found.terms[name])) for name in model.terms}


def minimised(model):
    """Weight in the loss of every term that the first player minimises."""
    return {name: float(weight) for name, weight in next(iter(model.players().values())).weights.items()}


def eager(model):
    """Let the model step without a graph: tracing costs more than a small model's step."""
    model.run_eagerly, model.train_function, model.test_function = True, None, None
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
    if isinstance(model, cases.SUPERVISED):
        pytest.skip("Keras's own loss")
    assert set(logs) == {"loss", *model.terms} and len(set(model.terms)) == len(model.terms)
    total = sum(weight * logs[name] for name, weight in minimised(model).items())
    assert logs["loss"] == pytest.approx(total, rel=1e-5)


@pytest.fixture(scope="module")
def stepped(trained):
    """An eager model of the row after the same step, from tf.data: (logs, weights before, weights after, model)."""
    case = trained.case
    data = case.x if case.y is None else (case.x, case.y)
    model = case.compile(run_eagerly=True)
    before = values(model.trainable_weights)
    history = model.fit(tf.data.Dataset.from_tensor_slices(data).batch(len(case.x)), shuffle=False, verbose=0).history
    return {name: value for name, (value,) in history.items()}, before, values(model.trainable_weights), model


def test_the_same_seed_gives_the_same_step_from_arrays_or_tf_data_in_a_graph_or_not(trained, stepped):
    logs, before, after, _ = stepped
    assert logs == pytest.approx(trained.logs, rel=1e-5, abs=1e-6)
    for again, first in zip(before, trained.before, strict=True):
        np.testing.assert_array_equal(again, first)
    for again, first in zip(after, trained.after, strict=True):
        np.testing.assert_allclose(again, first, rtol=1e-5, atol=1e-5)


def test_another_seed_gives_other_weights(trained):
    alter_seeds()
    other = trained.case.build()
    kernels = [weight for weight in other.trainable_weights if weight.path.endswith("kernel")]
    firsts = [w for w, kept in zip(trained.before, other.trainable_weights, strict=True)
              if kept.path.endswith("kernel")]  # fmt: skip
    assert all(np.any(a != b) for a, b in zip(values(kernels), firsts, strict=True))


def mean_losses(model, case, jit, draws=64):
    """Name → mean of the loss and of every term over some draws of training."""
    batch = model.prepare(*given(case))

    @tf.function(jit_compile=jit)
    def once():
        loss, terms = model.losses_of(batch, training=True)
        return {"loss": loss, **{name: tf.reduce_mean(term) for name, term in terms.items()}}

    found = [once() for _ in range(draws)]
    return {name: np.mean([float(one[name]) for one in found]) for name in found[0]}


@pytest.mark.parametrize("case", cases.first_of_its_family(cases.MODELS))
def test_jit_compile_trains_the_same(case):
    plain, jitted = case.compile(run_eagerly=True), case.compile(jit_compile=True)
    before = values(plain.trainable_weights)
    # XLA draws other random numbers from the same seed, so that only deterministic objectives agree exactly; of the
    # others the means of some draws do about.
    means = (
        []
        if case.deterministic or case.target in cases.SUPERVISED
        else [mean_losses(model, case, jit) for model, jit in ((plain, False), (jitted, True))]
    )
    logs = [model.train_on_batch(case.x, case.y, return_dict=True) for model in (plain, jitted)]
    expected, found = means or logs
    tolerance = 1e-4 if case.deterministic else 0.5
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(float(value), rel=tolerance, abs=0.05 * (not case.deterministic)), (
            name
        )
    for one, other, start in zip(jitted.trainable_weights, plain.trainable_weights, before, strict=True):
        assert np.isfinite(one).all() and np.any(np.asarray(one) != start)
        if case.deterministic:
            np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", cases.first_of_its_family(cases.MODELS))
def test_mixed_precision_trains_in_float32_losses(case, policy):
    losses = case.compile(run_eagerly=True).train_on_batch(case.x, case.y, return_dict=True)
    keras.config.set_dtype_policy(policy)
    model = case.compile(run_eagerly=True)
    before = values(model.trainable_weights)
    logs = model.train_on_batch(case.x, case.y, return_dict=True)
    for name in losses:  # dropout draws other numbers in half precision
        tolerance = 0.5 if isinstance(model, cases.SUPERVISED) else 0.1
        assert float(logs[name]) == pytest.approx(float(losses[name]), rel=tolerance, abs=0.02), name

    def moved():
        return all(np.any(old != new) for old, new in zip(before, values(model.trainable_weights), strict=True))

    for _ in range(5 if policy == "mixed_float16" else 0):  # steps may be skipped while the loss scale settles
        if not moved():
            model.train_on_batch(case.x, case.y)
    assert moved()
    assert all(weight.dtype == "float32" for weight in model.trainable_weights)
    assert model.compute_dtype == policy.removeprefix("mixed_")
    assert type(model).from_config(model.get_config()).dtype_policy.name == policy
    assert all(value.dtype == np.float32 for name, value in outputs(model, given(case)).items() if name != "encode")
    if not isinstance(model, cases.SUPERVISED):
        terms = found_terms(model, case, training=True)
        assert all(term.dtype == "float32" and np.isfinite(term).all() for term in terms.values())


def test_evaluate_averages_over_examples_not_over_batches(trained):
    case, model = trained.case, trained.model
    logs = model.evaluate(case.x, case.y, batch_size=3, verbose=0, return_dict=True)  # 3 + 3 + 2
    assert set(logs) == set(trained.logs) and all(np.isfinite(value) for value in logs.values())
    if not isinstance(model, cases.SUPERVISED):
        total = sum(weight * logs[name] for name, weight in minimised(model).items())
        assert logs["loss"] == pytest.approx(total, rel=1e-5)
        if (case.deterministic or case.evaluates_alike) and case.per_example:
            terms = {name: np.mean(term) for name, term in found_terms(model, case).items()}
            assert {name: logs[name] for name in terms} == pytest.approx(terms, rel=1e-5)


def test_evaluation_changes_nothing(stepped, trained):
    *_, model = stepped
    before = values(model.variables)
    first, again = (eager(model).evaluate(trained.case.x, trained.case.y, verbose=0) for _ in range(2))
    assert first == again
    for old, new in zip(before, values(model.variables), strict=True):
        np.testing.assert_array_equal(old, new)


def test_predict_is_call(trained):
    if len(given(trained.case)) > 1:
        pytest.skip("predict of Keras takes no condition; reconstruct does")
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
    arguments, (model, again) = trained.case.arguments(), loaded
    assert type(again) is type(model) and again.name == arguments["name"]
    assert json.dumps(again.get_config()) == json.dumps(model.get_config())  # JSON has lists, no tuples
    assert set(again.get_config()) >= set(arguments)
    for name, value in arguments.items():
        if isinstance(value, bool | int | float) and hasattr(model, name):
            assert getattr(again, name) == value, name
    assert insides(again) == insides(model)


def test_loading_brings_every_weight_and_every_output_back(trained, loaded):
    model, again = loaded
    for old, new in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(old), np.asarray(new), err_msg=old.path)
    expected, found = (outputs(one, given(trained.case)) for one in (model, again))
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
    examples = given(trained.case)
    first = outputs(trained.model, examples)
    alter_seeds()
    for name, value in outputs(trained.model, examples).items():
        np.testing.assert_array_equal(value, first[name], err_msg=name)
        assert np.ptp(value) > 0 and np.isfinite(value).all()


def test_stored_integers_are_divided_and_floats_are_not(trained):
    model, (x, *y) = trained.model, given(trained.case)
    expected = outputs(model, (x, *y))
    most = trained.case.arguments().get("pixel_max", 15.0)
    if isinstance(most, layers.Standardization) or model.ids:  # which takes both as they are
        most = 1.0
    for kind in ("float32", "float64", "int32", "int64"):
        stored = (x / most if "float" in kind else x).astype(kind)
        for name, value in outputs(model, (stored, *y)).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-5, err_msg=f"{kind} {name}")


def test_outputs_do_not_depend_on_the_batch(trained):
    whole = outputs(trained.model, given(trained.case))
    for name, value in outputs(trained.model, given(trained.case, slice(2, 3))).items():
        np.testing.assert_allclose(value, whole[name][2:3], rtol=1e-4, atol=1e-5, err_msg=name)


def test_batches_of_a_method_are_joined(autoencoder):
    case, model = autoencoder
    for name, value in outputs(model, given(case)).items():
        parts = getattr(model, name)(*given(case), batch_size=3)
        np.testing.assert_allclose(parts, value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_shapes(autoencoder):
    case, model = autoencoder
    size, shape = len(case.x), case.x.shape[1:]
    assert model.example_shape == shape
    found = {name: value.shape for name, value in outputs(model, given(case)).items()}
    assert found == {
        "encode": (size, *model.code_shape),
        "reconstruct": (size, *shape),
        "score": (size,),
    }
    _, *y = given(case)
    decoded = model.decode(model.encode(*given(case)), *y)
    assert decoded.shape == case.x.shape
    assert np.array_equal(decoded, model.reconstruct(*given(case))) == case.decodes_its_code
    if not y:
        np.testing.assert_array_equal(model(case.x), model.reconstruct(case.x))


def test_decoded_values_lie_in_the_range_of_the_input(autoencoder):
    case, model = autoencoder
    if not case.bounded:
        pytest.skip("its values have no range")
    z = np.random.default_rng(0).normal(scale=50, size=(30, *model.code_shape)).astype("float32")
    condition = [np.resize(y, 30) for y in given(case)[1:]]
    x = np.asarray(model.decode(z, *condition))
    assert x.dtype == np.float32 and x.shape == (30, *case.x.shape[1:])
    assert x.min() < x.max() and (model.standardization or 0 <= x.min() < x.max() <= 1 + 1e-6)


def test_sampling(autoencoder):
    case, model = autoencoder
    if not model.generative:
        with pytest.raises(InputError, match=type(model).__name__):
            model.sample(3)
        return
    y = case.y[0] if len(given(case)) > 1 else None
    first, other, free = (np.asarray(model.sample(5, y, seed=seed)) for seed in (1, 2, None))
    alter_seeds()
    np.testing.assert_array_equal(first, np.asarray(model.sample(5, y, seed=1)))
    assert first.shape == other.shape == free.shape == (5, *case.x.shape[1:])
    assert np.any(first != other) and np.any(free != np.asarray(model.sample(5, y)))
    assert 0 <= first.min() and first.max() <= 1 + 1e-6


def test_terms_are_one_finite_number_per_example_or_of_the_batch(autoencoder):
    case, model = autoencoder
    for training in (True, False):
        terms = found_terms(model, case, training)
        assert tuple(terms) == model.terms
        for name, term in terms.items():
            assert term.shape in ((len(case.x),), ()) and term.dtype == np.float32 and np.isfinite(term).all()
            assert term.shape or name in model.statistics
    if (case.deterministic or case.evaluates_alike) and case.per_example:
        for name, term in found_terms(model, case, rows=slice(3, 4)).items():
            np.testing.assert_allclose(term, terms[name][3:4], rtol=1e-4, atol=1e-5)


def test_training_draws_anew_where_the_row_says_so_and_evaluation_never_does(autoencoder):
    case, model = autoencoder
    for training in (True, False):
        first, again = (found_terms(model, case, training) for _ in range(2))
        same = all(np.array_equal(first[name], again[name]) for name in first)
        assert same == (case.deterministic or not training)


def test_feature_encoder_is_encode_with_shared_weights(autoencoder):
    case, model = autoencoder
    examples = (case.x,) if model.infers_labels else given(case)
    if len(examples) > 1 and model.conditional_encoder:
        with pytest.raises(InputError, match="condition"):
            model.feature_encoder()
        return
    features = model.feature_encoder()
    stored = model.restored(model.prepare(*examples).x)
    np.testing.assert_allclose(features(stored), model.encode(*examples), rtol=1e-6, atol=1e-6)
    assert {id(w) for w in features.weights} <= {id(w) for w in model.weights}


def test_a_loss_of_ones_own_is_refused(autoencoder):
    case, _ = autoencoder
    model = case.build()
    with pytest.raises(InputError, match="loss"):
        model.compile("adam", loss="mse")
    with pytest.raises(InputError, match="loss"):
        model.compile("adam", "mse")


def test_sample_weights_weigh_the_examples(autoencoder):
    case, model = autoencoder
    weight = np.linspace(0, 2, len(case.x)).astype("float32")
    x, *y = given(case)
    batch = model.prepare(x, *(y or [None]), weight)
    loss, terms = model.losses_of(batch, training=False)
    plain, _ = model.losses_of(batch._replace(weight=None), training=False)
    if model.statistics:
        pytest.skip("a number of the whole batch has no weights")
    expected = sum(w * np.mean(terms[name] * weight) for name, w in minimised(model).items())
    penalties = float(plain) - sum(w * np.mean(terms[name]) for name, w in minimised(model).items())
    assert float(loss) == pytest.approx(expected + penalties, rel=1e-4, abs=1e-4)
