"""Every variant of the catalogue as layer of `kerasae stacked`, on a few small patterns."""

import numpy as np
import pytest

import kerasae
from kerasae import models, networks, runs
from kerasae.errors import InputError
from kerasae.models import catalogue
from pipelines import stacked, train

LAYERS = [name for name, row in catalogue.trained().items() if row.load().unstackable is None]
ON_A_SPHERE = {"variant": "variational", "options": {"posterior": "von_mises_fisher"}}


@pytest.fixture(scope="module")
def patterns(tmp_path_factory):
    """Sixty vectors of twelve grey values, light ones and dark ones."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = (rng.uniform(0, 120, (60, 12)) + 120 * y[:, None]).astype("uint8")
    file = tmp_path_factory.mktemp("data") / "patterns.npz"
    np.savez(file, x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    return f"npz:{file}"


def recipe(data, out, **changes):
    given = {"data": data, "out": str(out), "widths": (8, 4), "pretrain_epochs": 1, "pretrain_batch": 20}
    return stacked.Recipe(**{**given, "supervised": False, **changes})


def moves(model, network, *batch):
    """Tell whether a step of a model moves weights of a network."""
    before = [np.asarray(weight) for weight in network.trainable_weights]
    model.train_on_batch(*batch)
    return any(np.any(old != new) for old, new in zip(before, network.trainable_weights, strict=True))


@pytest.mark.parametrize("changes", [*({"variant": name} for name in LAYERS), ON_A_SPHERE], ids=str)
def test_a_variant_is_stacked_saved_and_trained_on(changes, patterns, tmp_path):
    run = stacked.run(recipe(patterns, tmp_path / "run", **changes))
    model, source = runs.load_model(run.path), kerasae.data.load(patterns)
    (x, y), (test_x, _) = source.train.arrays(), source.test.arrays()
    bottom, top = model.autoencoders
    assert type(bottom) is type(top) is catalogue.trained()[changes["variant"]].load()
    z = top.encode(bottom.encode(x))
    np.testing.assert_allclose(model.encode(x), z, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.decode(z), bottom.decode(top.decode(z)), rtol=1e-4, atol=1e-5)
    error = np.square(np.asarray(model.reconstruct(test_x)) - test_x / 255.0).mean()
    assert run.figures["stack_mse"] == pytest.approx(error, rel=1e-3)
    model.compile("adam", run_eagerly=True)
    assert moves(model, model.encoder, x)
    classifier = models.Classifier(model.feature_encoder(), 2)
    classifier.compile("adam", models.SmoothedCrossentropy(), run_eagerly=True)
    assert moves(classifier, classifier.encoder, x, y)


@pytest.mark.slow
@pytest.mark.parametrize("variant", LAYERS)
def test_the_whole_command_runs_on_a_variant(variant, patterns, tmp_path):
    """Joint training, probe, fine-tuning beside a control and baselines; the two groups are easily told apart."""
    labelled = {"labels": 20, "finetune_epochs": 10, "finetune_rate": 0.02, "supervised": True}
    # Two steps of pretraining let one unit win for all examples, where k is a tenth of the units.
    labelled |= {"options": {"k": 3.0}} if variant == "k-sparse" else {}
    run = stacked.run(recipe(patterns, tmp_path / "run", variant=variant, joint_epochs=1, **labelled))
    assert run.figures["finetune_accuracy"] > 0.9 and "probe_accuracy" in run.figures
    assert isinstance(runs.load_model(run.path / "finetune-20"), models.Classifier)


def test_what_is_no_layer_is_refused_by_its_reason(patterns, mistake, tmp_path):
    reasons = {"autorec": "values are missing", "recurrent": "steps of a sequence", "vector-quantized": "a codebook"}
    reasons |= dict.fromkeys(
        ("semi-supervised", "adversarial-classes", "conditional-adversarial"), "learns from labels"
    )
    assert {*LAYERS, *reasons} == set(catalogue.trained())
    for name, reason in reasons.items():
        line = mistake("stacked", "--data", patterns, "--variant", name, "--out", tmp_path / "run")
        assert f"{name!r} cannot be a layer of a stack" in line and reason in line


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--variant variational --activation relu", "the codes of 'variational' are linear"),
        ("--variant gsn --activation relu", "the codes of 'gsn' are tanh"),
        ("--variant dictionary --activation relu", "activation: has no effect on 'dictionary'"),
        ("--variant predictive-sparse --no-tied", "tied: has no effect on 'predictive-sparse'"),
    ],
)
def test_settings_that_layers_cannot_follow_are_refused(flags, words, patterns, mistake, tmp_path):
    assert words in mistake("stacked", "--data", patterns, *flags.split(), "--out", tmp_path / "run")


def test_a_conditional_layer_is_refused():
    layers = [
        models.Autoencoder(*networks.dense((6,), 4, ())),
        models.Autoencoder(*networks.dense((4,), 2, (), condition=3)),
    ]
    with pytest.raises(InputError, match="layer 2 is conditional"):
        models.StackedAutoencoder(layers)


def test_a_dictionary_at_the_bottom_makes_the_stack_gaussian():
    """Squared error is half of −log p of a Gaussian of variance 1, but for a constant."""
    bottom = models.SparseDictionary((6,), 5, pixel_max=1.0)
    stack = models.StackedAutoencoder([bottom, models.Autoencoder(*networks.dense((5,), 3, ()))])
    x = np.random.default_rng(1).uniform(size=(7, 6)).astype("float32")
    away = np.square(x - np.asarray(stack.reconstruct(x))).sum(1)
    np.testing.assert_allclose(stack.score(x), away / 2 + 3 * np.log(2 * np.pi), rtol=1e-5)


def test_the_command_builds_codes_on_a_sphere(patterns):
    source = kerasae.data.load(patterns)
    model = train.build(train.Recipe(**ON_A_SPHERE, code=3, widths=()), source.info)
    norms = np.linalg.norm(model.encode(source.train.arrays()[0]), axis=1)
    np.testing.assert_allclose(norms, 1.0, rtol=1e-5)
