"""Two mirrored replicas train every model as one device does: the loss is divided by their number once."""

import cases
import pytest
import shared_batches
import shared_state
import two_replicas
from processes import printed


@pytest.fixture(scope="module")
def results(request):
    """What `two_replicas.py` printed of the rows that are asked for, by row."""
    cases_asked = (getattr(item, "callspec", None) for item in request.session.items if item.module is request.module)
    asked = [spec.params["case"].id for spec in cases_asked if spec and "case" in spec.params]
    return printed(two_replicas.main, *asked)


@pytest.mark.parametrize("case", cases.first_of_its_family(cases.MODELS))
def test_two_replicas_train_as_one_device_does(case, results):
    found = results[case.id]
    assert found["start"] == 0 and found["moved"] > 1e-3
    assert found["apart"] < 1e-5 * max(1.0, found["moved"])
    assert set(found["two"]) == set(found["one"]) >= {"loss"}
    for name, value in found["one"].items():  # a contrast is a small difference of large energies
        assert found["two"][name] == pytest.approx(value, rel=1e-5, abs=1e-6), name


@pytest.fixture(scope="module")
def epochs():
    """What `shared_batches.py` printed: (figures of the epochs, weights) by kind of run."""
    return printed(shared_batches.main)


def test_an_odd_holdout_and_batch_norm_are_those_of_one_device(epochs):
    """Losses of training and validation, metrics, weights and moving averages."""
    (one, weights), (two, others) = epochs["one"], epochs["two"]
    assert len(one) == 3 and "val_kl" in one[0]
    for row, other in zip(one, two, strict=True):
        assert other == pytest.approx(row, rel=1e-4)
    for mine, theirs in zip(weights, others, strict=True):
        assert theirs == pytest.approx(mine, rel=1e-3, abs=1e-5)


def test_validation_changes_nothing_on_two_devices(epochs):
    assert epochs["seldom"][1] == epochs["two"][1]


def test_a_run_on_two_devices_resumes_to_the_bit(epochs):
    rows, weights = epochs["two"]
    assert epochs["resumed"][1] == weights
    assert epochs["resumed"][0] == rows


@pytest.fixture(scope="module")
def steps():
    """What `shared_state.py` printed: how far apart one device and two end, by model."""
    return printed(shared_state.main)


@pytest.mark.parametrize("name", [build.__name__ for build in shared_state.BUILDS])
def test_codebooks_and_chains_are_those_of_one_device(name, steps):
    assert steps[name]["apart"] < 1e-5 < steps[name]["moved"]


def test_chains_that_devices_cannot_share_are_refused(steps):
    assert "chains must be a multiple of the number of devices" in steps["odd"]
