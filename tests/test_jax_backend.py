"""Keras on JAX, without TensorFlow, gives the same losses and gradients as on TensorFlow, and trains.

Needs JAX: `pip install kerasae[jax]`, or the interpreter of another environment in KERASAE_JAX_PYTHON, which needs no
more than jax, keras and numpy.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import on_jax
import pytest
import tensorflow as tf

ROOT = Path(__file__).parents[1]
PYTHON = os.environ.get("KERASAE_JAX_PYTHON") or (sys.executable if importlib.util.find_spec("jax") else None)
NAMES = ["plain", "mae", "cross", "simmim"]

pytestmark = pytest.mark.skipif(PYTHON is None, reason="JAX is not installed")


class Both:
    """The same models here and in a process on JAX."""

    def __init__(self, folder):
        rng = np.random.default_rng(0)
        self.x = rng.integers(0, 256, (8, 4, 8, 2)).astype("uint8")
        self.noise = rng.uniform(size=(8, 8)).astype("float32")
        self.models = {name: self.build(name, rng) for name in NAMES}
        weights = {f"{n}/{i}": w for n, model in self.models.items() for i, w in enumerate(model.get_weights())}
        np.savez(folder / "in.npz", x=self.x, noise=self.noise, **weights)
        self.found = self.ask_jax(folder / "in.npz", folder / "out.npz")

    def build(self, name, rng):
        keras.utils.set_random_seed(3)
        model = on_jax.build(name)
        for weight in model.trainable_weights:
            weight.assign(weight + 0.2 * rng.normal(size=weight.shape))
        if name != "plain":
            model.adapt_target(rng.integers(0, 256, (40, 4, 8, 2)).astype("uint8"))
        return model

    def ask_jax(self, source, destination):
        on_jax_run("on_jax.py", str(source), str(destination))
        with np.load(destination) as data:
            return dict(data)


def on_jax_run(script, *arguments):
    """What a script of this folder prints in a process with Keras on JAX."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [PYTHON, str(ROOT / "tests" / script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return Both(tmp_path_factory.mktemp("jax"))


@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradients_are_those_of_tensorflow(name, both):
    model = both.models[name]
    with tf.GradientTape() as tape:
        loss = on_jax.loss_of(model, both.x, both.noise)
    assert float(both.found[f"{name}/loss"]) == pytest.approx(float(loss), rel=1e-5)
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for i, (weight, gradient) in enumerate(zip(model.trainable_weights, gradients, strict=True)):
        theirs, ours = both.found[f"{name}/gradient/{i}"], np.asarray(gradient)
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-5, err_msg=weight.path)
        assert np.any(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_tensorflow(name, both):
    for part in ("encode", "reconstruct", "score"):
        ours = np.asarray(getattr(both.models[name], part)(both.x))
        np.testing.assert_allclose(both.found[f"{name}/{part}"], ours, rtol=1e-4, atol=1e-4, err_msg=part)


def test_a_step_is_that_of_tensorflow(both):
    """Of the plain autoencoder, which draws no random numbers."""
    model = both.models["plain"]
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.1))
    loss = model.train_on_batch(both.x, return_dict=True)["loss"]
    assert float(both.found["plain/step"]) == pytest.approx(float(loss), rel=1e-5)
    after = model.get_weights()
    model.set_weights(before)
    for i, weight in enumerate(after):
        np.testing.assert_allclose(both.found[f"plain/after/{i}"], weight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_fit_trains_and_evaluate_averages(name, both):
    history, start = both.found[f"{name}/fit"], both.found[f"{name}/score"].mean()
    assert np.isfinite(history).all() and history[-1] < 0.9 * start
    assert float(both.found[f"{name}/evaluate"]) == pytest.approx(both.found[f"{name}/scores"].mean(), rel=1e-4)


def test_attention_between_even_and_odd_numbers_of_tokens_is_its_equation():
    lines = [line.split() for line in on_jax_run("attention_on_jax.py").splitlines()]
    assert len(lines) == 6
    for how, asking, tokens, difference in lines:
        assert float(difference) < 0.01, (how, asking, tokens)  # bfloat16 has 8 bits
