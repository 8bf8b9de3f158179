"""Terms that are statistics of the whole batch: one value and one gradient, however many devices share it."""

import cases
import pytest
import whole_batch_replicas
from processes import printed

from kerasae.errors import InputError

NAMES = {"WassersteinAutoencoder", "SparseAutoencoder", "FactorVariationalAutoencoder"}
ROWS = [case for case in cases.MODELS if case.id in NAMES]


@pytest.fixture(scope="module")
def results():
    """What `whole_batch_replicas.py` printed, by row."""
    return printed(whole_batch_replicas.main)


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


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.id)
def test_micro_batches_are_refused(case):
    with pytest.raises(InputError, match=r"(mmd|sparsity|kl, discriminator|discriminator.*) is a statistic"):
        case.compile(micro_batches=2)
