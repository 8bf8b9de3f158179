"""A masked autoencoder trains to the same loss in float32 and in bfloat16, compiled by XLA and not."""

import keras
import numpy as np
import pytest

import kerasae

STEPS, LAST = 80, 20


def losses(policy, jit):
    """Mean loss of the last steps on digits."""
    source = kerasae.data.load("digits")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(0)
        sizes = {"width": 32, "depth": 2, "heads": 4, "decoder_width": 32, "decoder_depth": 1, "decoder_heads": 4}
        networks = kerasae.networks.vit((8, 8, 1), 2, mean=0.3, std=0.4, **sizes)
    finally:
        keras.config.set_dtype_policy(before)
    model = kerasae.models.MaskedAutoencoder(*networks, normalize_targets=False, pixel_max=16.0)
    model.compile(kerasae.optimizers.LayerwiseAdamW(3e-3, 0.05, beta_2=0.95), jit_compile=jit)
    batches = kerasae.data.batches(source.train, 64, seed=0).take(STEPS)
    history = [float(model.train_on_batch(x)[0]) for x, _ in batches if model.reset_metrics() is None]
    return history[0], np.mean(history[-LAST:])


@pytest.fixture(scope="module")
def reference():
    """The loss in float32, not compiled by XLA."""
    first, last = losses("float32", False)
    assert last < 0.75 * first  # it learned: agreement of untrained models would show nothing
    return last


@pytest.mark.parametrize(
    ("policy", "jit"),
    [
        ("mixed_bfloat16", True),
        pytest.param("float32", True, marks=pytest.mark.slow),
        pytest.param("mixed_bfloat16", False, marks=pytest.mark.slow),
    ],
)
def test_the_same_loss_whatever_computes_it(policy, jit, reference):
    assert losses(policy, jit)[1] == pytest.approx(reference, rel=0.02)
