"""Masks, conditions, spheres and learned priors: two mirrored replicas take the step of one device."""

import pytest
from processes import printed

NAMES = ("auto_rec", "recurrent", "vamp_prior", "conditional", "hyperspherical")


@pytest.fixture(scope="module")
def results():
    return printed("mask_and_prior_replicas.py")


@pytest.mark.parametrize("name", NAMES)
def test_two_replicas_take_the_step_of_one_device(name, results):
    found = results[name]
    assert found["updated"] and found["moved"] > 1e-3
    assert found["apart"] < 1e-5 and found["loss"] < 1e-5
