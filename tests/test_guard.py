"""Steps that are not finite: refused without a trace, named, kept, replayed, and left out or stopped at."""

import csv
import io
import os
import resource
import shutil
import signal
import zipfile
from pathlib import Path

import guarded_replicas
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from processes import printed

import kerasae
from kerasae.errors import InputError
from kerasae.training import incidents, loop
from kerasae.training.checkpoint import Checkpoints, optimizers, state_variables
from kerasae.training.guard import guarded
from kerasae.training.incidents import Incidents
from kerasae.training.loop import Interrupted, Plan, train
from pipelines import replay
from pipelines.command_line import main as cli

BATCH, STEPS, EPOCHS = 16, 5, 2
SCALE = 2.0**127
RNG = np.random.default_rng(0)
X = tf.constant(RNG.random((BATCH, 8, 8, 1)), tf.float32)
Y = tf.constant(np.arange(BATCH) % 10, tf.int64)
PIXEL = tf.scatter_nd([[3, 4, 4, 0]], [np.float32(np.inf)], X.shape)
BAD = X + PIXEL  # one pixel, and not NaN: a fused relu makes 0 of NaN


def networks(normalise=False):
    encoder, decoder = kerasae.networks.dense((8, 8, 1), 5, (12,))
    if normalise:
        encoder = keras.Sequential([keras.Input((8, 8, 1)), encoder, layers.BatchNormalization()])
    return encoder, decoder


def denoiser(optimizer=None, likelihood="bernoulli", normalise=True, **options):
    keras.utils.set_random_seed(3)
    model = kerasae.models.DenoisingAutoencoder(*networks(normalise), likelihood, 16.0)
    model.compile(optimizer or keras.optimizers.Adam(1e-2), **{"jit_compile": False, **options})
    return model


def adversarial():
    keras.utils.set_random_seed(3)
    model = kerasae.models.AdversarialAutoencoder(*networks(), "bernoulli", 16.0)
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    return model


def classifier(freeze=False):
    keras.utils.set_random_seed(3)
    model = kerasae.models.Classifier(networks()[0], 10, dropout=0.3, freeze=freeze, pixel_max=16.0)
    loss = kerasae.models.SmoothedCrossentropy(0.1)
    model.compile(keras.optimizers.Adam(1e-2), loss=loss, metrics=["accuracy"], jit_compile=False)
    return model


BUILDS = {
    "denoiser": denoiser,
    "compiled": lambda: denoiser(jit_compile=True),
    "micro-batches": lambda: denoiser(normalise=False, micro_batches=4),
    "averaging": lambda: denoiser(keras.optimizers.Adam(1e-2, use_ema=True)),
    "clipped": lambda: denoiser(keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.01)),
    "two optimisers": adversarial,
    "classifier": classifier,
    "frozen": lambda: classifier(freeze=True),
}


@keras.saving.register_keras_serializable("tests")
class Rooted(kerasae.models.Autoencoder):
    """Has a finite loss and a gradient that is not a number where the input is zero."""

    terms = ("reconstruction", "root")

    def objective(self, batch, training=False):
        z = self.encode_batch(batch, training)
        root = ops.sqrt(ops.sum((z * batch.x) ** 2, 1))
        return {"reconstruction": self.reconstruction_term(z, batch, training), "root": root}


def overflowing():
    """Its gradients, of the order of 1e5, are ∞ once they are multiplied by the loss scale."""
    adam = keras.optimizers.Adam(1e-2)
    return denoiser(keras.optimizers.LossScaleOptimizer(adam, SCALE), kerasae.distributions.Gaussian(0.01))


def rooted():
    keras.utils.set_random_seed(3)
    model = Rooted(*kerasae.networks.dense((6,), 6, ()), "gaussian")
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    return model


def state(model):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in state_variables(model)]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def given(model, x=X):
    """A batch as the model takes it: with labels or without."""
    return (x, Y) if model.takes_labels else (x,)


def step_of(model):
    return tf.function(guarded(model), jit_compile=model.jit_compile is True)


# ---- one step


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_a_finite_step_is_the_step_of_fit_and_one_that_is_not_leaves_no_trace(build):
    ours, theirs = build(), build()
    step, plain = step_of(ours), tf.function(theirs.train_step, jit_compile=theirs.jit_compile is True)
    for _ in range(3):
        found = step(given(ours))
        plain(given(ours))
        assert found["finite"] and found["updated"] and found["norm"] > 0
    before = state(ours)
    for a, b in zip(before, state(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    found = step(given(ours, BAD))
    assert not found["finite"] and not found["updated"]
    assert_same(before, state(ours))
    assert step(given(ours))["updated"]
    assert any(np.any(a != b) for a, b in zip(before, state(ours), strict=True))


def test_a_gradient_alone_is_enough():
    model = rooted()
    step, zeros = step_of(model), tf.zeros((4, 6))
    step((tf.ones((4, 6)),))
    before = state(model)
    terms = model.objective(model.prepare(zeros))
    assert all(np.isfinite(term).all() for term in terms.values())
    assert not step((zeros,))["finite"]
    assert_same(before, state(model))
    assert incidents.examine(model, (zeros,)).cause().startswith("the gradient of dense_encode")
    assert_same(before, state(model))


@pytest.mark.parametrize("scaled", [False, True])
def test_the_norm_is_that_of_the_gradients_before_clipping(scaled):
    """Plain gradient descent with a rate of 1 moves the weights by the gradient."""
    optimizer, clipped = keras.optimizers.SGD(1.0), keras.optimizers.SGD(1.0, global_clipnorm=0.01)
    free, held = (
        denoiser(keras.optimizers.LossScaleOptimizer(o, 2.0**10) if scaled else o) for o in (optimizer, clipped)
    )
    moved = []
    for model in (free, held):
        before = [w.numpy() for w in model.trainable_weights]
        norm = float(step_of(model)((X,))["norm"])
        pairs = zip(model.trainable_weights, before, strict=True)
        moved.append(np.sqrt(sum(np.square(w.numpy() - b, dtype=float).sum() for w, b in pairs)))
        assert norm == pytest.approx(moved[0], rel=1e-4)
    assert moved[1] == pytest.approx(0.01, rel=1e-3)


def test_a_loss_scale_that_is_too_high_is_halved_and_counted_but_is_no_mistake():
    model = overflowing()
    step, before = step_of(model), [w.numpy() for w in model.trainable_weights]
    found = step((X,))
    assert found["finite"] and not found["updated"]
    assert float(model.optimizer.dynamic_scale) == SCALE / 2 and int(model.optimizer.iterations) == 0
    assert_same(before, [w.numpy() for w in model.trainable_weights])
    found = step((BAD,))
    assert not found["finite"] and float(model.optimizer.dynamic_scale) == SCALE / 2


class RunningMean(layers.Layer):
    """A layer that writes state in its forward pass, whether it is frozen or not."""

    def build(self, shape):
        self.mean = self.add_weight(shape=(), initializer="zeros", trainable=False, name="mean")

    def call(self, x):
        self.mean.assign(0.5 * self.mean + 0.5 * ops.mean(x))
        return x


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_the_state_of_a_frozen_layer_is_put_back(compiled):
    encoder, decoder = networks()
    frozen = RunningMean(trainable=False)
    encoder = keras.Sequential([keras.Input((8, 8, 1)), frozen, encoder])
    model = kerasae.models.Autoencoder(encoder, decoder, "bernoulli", 16.0)
    model.compile("adam", jit_compile=compiled)
    step = tf.function(guarded(model), jit_compile=compiled)
    assert step((X,))["finite"]
    before = float(frozen.mean)
    assert before > 0 and not step((BAD,))["finite"]
    assert float(frozen.mean) == before


def test_a_step_of_its_own_is_refused():
    class Own(kerasae.models.Autoencoder):
        def train_step(self, data):
            return super().train_step(data)

    with pytest.raises(InputError, match="write it as `propose`"):
        guarded(Own(*networks()))


@pytest.fixture(scope="module")
def replicas():
    """What `guarded_replicas.py` printed, by model."""
    return printed(guarded_replicas.main)


@pytest.mark.parametrize("name", ["autoencoder", "adversarial", "classifier"])
def test_replicas_decide_together_and_clip_what_they_have_summed(name, replicas):
    found = replicas[name]
    assert all(found["two"]["updated"]) and found["apart"] < 1e-6
    assert found["two"]["norms"][::2] == found["two"]["norms"][1::2]
    assert found["two"]["norms"][::2] == pytest.approx(found["one"]["norms"], rel=1e-5)
    assert found["two"]["refused"] == [True, True] and found["two"]["moved"] == 0


# ---- the loop


@pytest.fixture(scope="module")
def split():
    return kerasae.data.load("digits").train.subset(np.arange(BATCH * STEPS))


def batches(split, bad=(), left_out=()):
    """As `train` wants them, in floats; the steps `bad` have a pixel that is no number, `left_out` do not exist."""

    def at(start):
        data = kerasae.data.batches(split, BATCH, seed=1, labels=False).enumerate()
        for step in left_out:
            data = data.filter(lambda i, batch, step=step: i != step)

        def poison(i, batch):
            hurt = tf.reduce_any(i == tf.constant([-1, *bad], tf.int64))
            return (tf.cast(batch[0], tf.float32) / 16.0 + tf.where(hurt, np.nan, 0.0),)

        return data.skip(start).map(poison)

    return at


def run(model, data, folder, plan=None, policy="stop", **options):
    incidents = Incidents(folder / "nonfinite" / "train", policy, seed=1)
    checkpoints = Checkpoints(folder / "checkpoints")
    return train(model, data, plan or Plan(EPOCHS, STEPS), checkpoints, incidents=incidents, **options)


@pytest.fixture(scope="module")
def stopped(split, tmp_path_factory):
    """A run that met a batch that is no number at step 7: folder and message."""
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "recipe.json").write_text('{"command": "train", "recipe": {}}')
    with pytest.raises(InputError) as error:
        run(denoiser(), batches(split, bad=[7]), folder)
    return folder, str(error.value)


def test_stops_with_the_term_the_step_the_batch_and_what_to_do(stopped):
    folder, message = stopped
    for words in (
        "reconstruction became nan at step 7 (batch 2 of epoch 2)",
        "the last good checkpoint is that of step 7",
        str(folder / "nonfinite" / "train" / "step-000000007.npz"),
        f"`kerasae replay {folder}`",
        "--on-nonfinite skip",
    ):
        assert words in message, message
    assert "\n" not in message


def test_is_left_at_the_step_before_and_goes_on_from_there(stopped, split, tmp_path):
    """The state is the one of a run that was stopped there by hand, and so is the end."""
    folder, _ = stopped
    seven, whole = denoiser(), denoiser()
    seven.optimizer.build(seven.trainable_variables)
    assert Checkpoints(folder / "checkpoints").restore(seven)["step"] == 7

    def interrupt(progress, wait):
        if progress.step == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(loop, "CHUNK_SECONDS", 0.0)  # one step at a time
        run(whole, batches(split), tmp_path, on_chunk=interrupt)
    assert_same(state(seven), state(whole))


def test_the_batch_is_kept_as_it_was(stopped, split):
    folder, _ = stopped
    with np.load(folder / "nonfinite" / "train" / "step-000000007.npz", allow_pickle=False) as kept:
        content = dict(kept)
    (images,) = next(iter(batches(split, bad=[7])(7)))
    np.testing.assert_array_equal(content["images"], images)
    assert "labels" not in content
    assert content["terms"].tolist() == ["reconstruction", "loss"] and np.isnan(content["values"]).all()
    assert (content["step"], content["seed"]) == (7, 1) and len(content["gradients"])


def test_replay_repeats_the_step_from_the_files_alone(stopped, capsys):
    found = replay.run(replay.Recipe(run=str(stopped[0])))
    page = capsys.readouterr().out
    assert np.isnan(found.terms["reconstruction"])
    for words in ("step-000000007.npz: 16 examples, met after 7 steps", "reconstruction became nan", "1024 of 1024"):
        assert words in page, page
    assert {values.name for values in found.gradients if values.bad} >= {"dense_encode_1/kernel"}
    assert not [values for values in found.weights if values.bad]


def test_replay_finds_the_example_in_the_batch():
    assert replay.examples(kerasae.models.Autoencoder(*networks()), (BAD,)) == [3]
    assert replay.examples(classifier(), (BAD, Y)) == [3]


def test_examining_measures_a_step_and_changes_nothing():
    """The loss is that of the batch alone, and values that are not finite are counted beside the largest others."""
    model = denoiser()
    model.train_step((X,))
    before = state(model)
    found = incidents.examine(model, (X,))
    assert_same(before, state(model))
    model.reset_metrics()
    assert found.terms["loss"] == pytest.approx(float(model.train_step((X,))["loss"]), rel=1e-5)
    values = incidents.Values.of("x", np.array([[1.0, -7.0], [np.nan, -np.inf]]))
    assert (values.bad, values.size, values.largest) == (2, 4, 7.0)


def test_skipping_is_as_if_the_batches_had_never_been_there(split, tmp_path):
    rows, others = [], []
    model, without = denoiser(), denoiser()
    data = batches(split, bad=[0, 3, 4, 7])
    progress = run(model, data, tmp_path / "a", policy="skip", on_epoch=rows.append)
    assert progress.step == STEPS * EPOCHS
    assert [row["skipped"] for row in rows] == [3, 1]
    plan = Plan(1, STEPS * EPOCHS - 4)
    run(without, batches(split, left_out=[0, 3, 4, 7]), tmp_path / "b", plan, on_epoch=others.append)
    weights = [state(m)[: len(m.variables)] + [v.numpy() for o in optimizers(m).values() for v in o.variables]
               for m in (model, without)]  # fmt: skip
    assert_same(*weights)
    assert [p.name for p in incidents.files(tmp_path / "a" / "nonfinite" / "train")] == [
        f"step-{step:09d}.npz" for step in (0, 3, 4)
    ], "only the first few are kept"
    assert all(np.isfinite(list(row.values())).all() for row in rows)


@pytest.mark.parametrize("stop_after", [3, 8])
def test_a_run_that_skips_resumes_to_the_bit(stop_after, split, tmp_path):
    rows, resumed_rows = [], []
    data = batches(split, bad=[2, 6])
    whole, again = denoiser(), denoiser()
    run(whole, data, tmp_path / "whole", policy="skip", on_epoch=rows.append)

    def interrupt(progress, wait):
        if progress.step >= stop_after:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        run(denoiser(), data, tmp_path / "cut", policy="skip", on_chunk=interrupt, on_epoch=resumed_rows.append)
    run(again, data, tmp_path / "cut", policy="skip", on_epoch=resumed_rows.append)
    assert_same(state(whole), state(again))
    names = ("epoch", "loss", "gradient_norm", "skipped")
    assert [[row[n] for n in names] for row in rows] == [[row[n] for n in names] for row in resumed_rows]


def test_skipping_everything_ends(split, tmp_path):
    bad = list(range(incidents.LIMIT + 5))
    with pytest.raises(InputError, match="the last 100 updates were left out"):
        run(denoiser(), batches(split, bad=bad), tmp_path, Plan(50, STEPS), policy="skip")


def test_weights_that_are_not_finite_are_not_saved(split, tmp_path):
    """An update that overflows shows in the next step; the run stands where its weights were sound."""
    model = denoiser(keras.optimizers.SGD(1e38))
    with pytest.raises(InputError, match="there is no checkpoint"):
        run(model, batches(split), tmp_path)
    assert not list((tmp_path / "checkpoints").glob("*.npz"))
    page = incidents.examine(model, next(iter(batches(split)(1))))
    assert [values for values in page.weights if values.bad or values.largest > 1e30]


def test_overflows_of_the_loss_scale_are_counted_in_the_loop(split, tmp_path):
    rows = []
    model = overflowing()
    progress = run(model, batches(split), tmp_path, Plan(30, STEPS), on_epoch=rows.append)
    assert progress.step == 30 * STEPS and rows[0]["skipped"] == STEPS and "gradient_norm" not in rows[0]
    assert rows[-1]["skipped"] == 0 and 0 < rows[-1]["gradient_norm"] < 1e9
    total = sum(row["skipped"] for row in rows)
    assert int(model.optimizer.iterations) == progress.step - total
    assert not (tmp_path / "nonfinite").exists()


# ---- the command line


@pytest.fixture
def kerasae_command(capfd, monkeypatch, tmp_path):
    """Run a command in a folder of its own: exit status, what it printed, what it complained of."""
    monkeypatch.chdir(tmp_path)

    def run(*tokens):
        status = cli.main([str(token) for token in tokens])
        return status, *capfd.readouterr()

    return run


TRAIN = ["train", "variational", "--out", "run", "--epochs", "2", "--widths", "8", "--code", "2", "--holdout", "0"]


def test_a_run_that_diverges_stops_with_one_line_and_can_be_replayed(kerasae_command, tmp_path):
    status, _, error = kerasae_command(*TRAIN, "--learning-rate", "1e18", "--schedule", "constant")
    assert status == 2 and error.count("\n") == 1 and "kerasae: error: " in error and " at step " in error, error
    status, page, error = kerasae_command("replay", "run")
    assert (status, error) == (0, "") and "largest weights" in page and "gradient norm" in page
    status, _, error = kerasae_command("replay", "run", "--stage", "layer-1")
    assert status == 2 and "has not recorded this step; it has --stage train --step" in error
    skipping = [*TRAIN, "--learning-rate", "1e18", "--schedule", "constant", "--on-nonfinite", "skip"]
    status, _, error = kerasae_command(*skipping)
    assert "another recipe" not in error and ("left out" in error or status == 0), error


def test_files_that_cannot_be_replayed(stopped, kerasae_command, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(stopped[0], folder)
    kept = folder / "nonfinite" / "train"
    for file in (kept / "state" / "step-000000007.npz", kept / "model.keras", kept / "step-000000007.npz"):
        file.write_bytes(file.read_bytes()[:200])
        status, _, error = kerasae_command("replay", folder)
        assert status == 2 and error.count("\n") == 1 and str(kept) in error, error
    shutil.rmtree(folder / "nonfinite")
    status, _, error = kerasae_command("replay", folder)
    assert status == 2 and "has recorded no step that was not finite" in error
    status, _, error = kerasae_command("replay", tmp_path / "nowhere")
    assert status == 2 and "not a run directory" in error


def written(array):
    """The bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("labels", [b"no array", written(np.array(["three"]))], ids=["bytes", "words"])
def test_labels_that_are_no_numbers_are_not_replayed(labels, stopped, kerasae_command, tmp_path):
    """NumPy hands a member of a file that is no array over as its bytes; the model would not miss its labels."""
    folder = tmp_path / "run"
    shutil.copytree(stopped[0], folder)
    file = folder / "nonfinite" / "train" / "step-000000007.npz"
    with np.load(file) as archive:
        content = dict(archive)
    np.savez(file, **content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("labels.npy", labels)
    status, _, error = kerasae_command("replay", folder)
    assert status == 2 and error.count("\n") == 1 and "its images or labels are not numbers" in error, error


def test_a_run_records_norms_memory_and_what_was_left_out(kerasae_command, tmp_path):
    assert kerasae_command(*TRAIN)[0] == 0
    with open("run/metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["gradient_norm"]) > 0 for row in rows] == [True, True]
    assert [int(row["skipped"]) for row in rows] == [0, 0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert peak / 2 < float(rows[-1]["memory_mib"]) <= peak + 1
    events = b"".join(path.read_bytes() for path in Path("run/tensorboard").rglob("events.*"))
    for name in ("gradient_norm", "learning_rate", "examples_per_second", "data_wait", "memory_mib", "skipped"):
        assert name in rows[0] and name.encode() in events


@pytest.mark.parametrize(
    ("flags", "words"),
    [("--on-nonfinite ignore", ["ignore", "skip"]), ("--precision float8", ["float8", "bfloat16"])],
)
def test_unknown_values_are_named(flags, words, kerasae_command):
    status, _, error = kerasae_command(*TRAIN, *flags.split())
    assert status == 2 and error.count("\n") == 1 and all(word in error for word in words), error
