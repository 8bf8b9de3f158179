"""Deep belief networks, against sums over all states of a small one."""

import itertools

import keras
import numpy as np
import pytest
from scipy.special import expit

from kerasae import models, networks
from kerasae.errors import InputError

RNG = np.random.default_rng(0)


def all_states(count):
    return np.array(list(itertools.product([0.0, 1.0], repeat=count)))


def machine(visible, hidden, **options):
    rbm = models.RestrictedBoltzmannMachine((visible,), hidden, pixel_max=1.0, **options)
    for weight in rbm.trainable_weights:
        weight.assign(RNG.normal(size=weight.shape))
    return rbm


def parameters(rbm):
    return [np.asarray(w, dtype=float) for w in (rbm.kernel, rbm.visible_bias, rbm.hidden_bias)]


def test_samples_have_the_means_of_the_network():
    """E x under p(h₁) of the last machine, summed over all its states, then p(h₁ | h₂) and p(x | h₁)."""
    bottom, middle, top = machine(3, 4), machine(4, 3), machine(3, 5)
    found = np.asarray(
        models.DeepBeliefNetwork([bottom, middle, top]).sample(20_000, seed=1, batch_size=20_000, steps=40)
    )
    w, b, c = parameters(top)
    above = all_states(3)
    p = np.exp(above @ b + np.logaddexp(0, above @ w + c).sum(1))
    p /= p.sum()
    units = all_states(4)
    w, b, _ = parameters(middle)
    on = expit(above @ w.T + b)
    likely = np.prod(np.where(units[None] == 1, on[:, None], 1 - on[:, None]), axis=-1)  # [8, 16]
    w, b, _ = parameters(bottom)
    means = expit(units @ w.T + b)
    np.testing.assert_allclose(found.mean(0), p @ likely @ means, atol=0.01)
    second = (p @ likely) @ means[:, 0] ** 2  # of the means drawn, so that units are drawn, not passed as means
    assert (found[:, 0] ** 2).mean() == pytest.approx(second, abs=0.01)


def test_codes_are_the_mean_field_of_the_way_up():
    bottom, top = machine(3, 4), machine(4, 2)
    x = all_states(3)
    (w, _, c), (w2, _, c2) = parameters(bottom), parameters(top)
    expected = expit(expit(x @ w + c) @ w2 + c2)
    network = models.DeepBeliefNetwork([bottom, top])
    np.testing.assert_allclose(network.encode(x.astype("float32")), expected, rtol=1e-5)


def test_a_layer_that_is_no_machine_is_named():
    bottom, gaussian = machine(3, 4), machine(4, 2, likelihood="gaussian")
    plain = models.Autoencoder(*networks.dense((4,), 2, ()))
    for layers in ([bottom, gaussian], [bottom, plain]):
        with pytest.raises(InputError, match="layer 2 must be a RestrictedBoltzmannMachine of binary visible units"):
            models.DeepBeliefNetwork(layers)
    with pytest.raises(InputError, match="not conditional"):
        models.DeepBeliefNetwork([bottom]).sample(2, y=1)


def test_the_whole_network_trains_its_machines():
    bottom, top = machine(3, 4), machine(4, 2)
    network = models.DeepBeliefNetwork([bottom, top])
    network.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    before = [np.asarray(rbm.kernel) for rbm in (bottom, top)]
    network.train_on_batch(all_states(3).astype("float32"))
    assert all(np.any(np.asarray(rbm.kernel) != old) for rbm, old in zip((bottom, top), before, strict=True))
