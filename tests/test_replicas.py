"""Two mirrored replicas train every model as one device does: the loss is divided by their number once."""

import cases
import pytest
from processes import printed


@pytest.fixture(scope="module")
def results(request):
    """What `two_replicas.py` printed of the rows that are asked for, by row."""
    cases_asked = (getattr(item, "callspec", None) for item in request.session.items if item.module is request.module)
    asked = [spec.params["case"].id for spec in cases_asked if spec and "case" in spec.params]
    return printed("two_replicas.py", *asked)


@pytest.mark.parametrize("case", cases.first_of_its_family(cases.MODELS))
def test_two_replicas_train_as_one_device_does(case, results):
    found = results[case.id]
    assert found["start"] == 0 and found["moved"] > 1e-3
    assert found["apart"] < 1e-3 * found["moved"]
    assert set(found["two"]) == set(found["one"]) >= {"loss"}
    for name, value in found["one"].items():
        assert found["two"][name] == pytest.approx(value, rel=1e-5), name


@pytest.fixture(scope="module")
def shared_batches():
    """What `shared_batches.py` printed: (figures of the epochs, weights) by kind of run."""
    return printed("shared_batches.py")


def test_an_odd_holdout_and_batch_norm_are_those_of_one_device(shared_batches):
    """Losses of training and validation, metrics, weights and moving averages."""
    (one, weights), (two, others) = shared_batches["one"], shared_batches["two"]
    assert len(one) == 3 and "val_kl" in one[0]
    for row, other in zip(one, two, strict=True):
        assert other == pytest.approx(row, rel=1e-4)
    for mine, theirs in zip(weights, others, strict=True):
        assert theirs == pytest.approx(mine, rel=1e-3, abs=1e-5)


def test_validation_changes_nothing_on_two_devices(shared_batches):
    assert shared_batches["seldom"][1] == shared_batches["two"][1]


def test_a_run_on_two_devices_resumes_to_the_bit(shared_batches):
    rows, weights = shared_batches["two"]
    assert shared_batches["resumed"][1] == weights
    assert shared_batches["resumed"][0] == rows


@pytest.fixture(scope="module")
def shared_state():
    """What `shared_state.py` printed: how far apart one device and two end, by model."""
    return printed("shared_state.py")


@pytest.mark.parametrize("name", ["quantized", "diverging", "persistent"])
def test_codebooks_and_chains_are_those_of_one_device(name, shared_state):
    assert shared_state[name]["apart"] < 1e-5 < shared_state[name]["moved"]


def test_chains_that_devices_cannot_share_are_refused(shared_state):
    assert "chains must be a multiple of the number of devices" in shared_state["odd"]
