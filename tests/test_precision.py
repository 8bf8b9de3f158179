"""Mixed precision in every training pipeline: what computes in it, how the loss is scaled, what is kept."""

from dataclasses import replace

import cases
import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasae
from kerasae import runs
from kerasae.optimizers import schedules
from kerasae.training import devices, precision
from pipelines import finetune, mae, stacked, train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    source = kerasae.data.load("digits")
    x, y = source.train.subset(kerasae.data.balanced_subset(source.train.labels, 100, 0)).arrays()
    file = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(file, x_train=x * 15, y_train=y, x_test=x[:40] * 15, y_test=y[:40])
    return f"npz:{file}"


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ("fpu avx2", "float32"),
        ("avx512f avx512_vnni", "float32"),
        ("avx512f avx512_bf16 x", "bfloat16"),
        (None, "float32"),
    ],
)
def test_auto_is_what_the_processor_multiplies_faster(flags, wanted, monkeypatch, tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    if flags:
        cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: none\n")
    monkeypatch.setattr(devices, "CPUINFO", cpuinfo)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    asked = train.Recipe(variant="plain", precision="auto")
    assert precision.with_precision_chosen(asked) == replace(asked, precision=wanted)
    assert precision.with_precision_chosen(replace(asked, precision="float16")).precision == "float16"


def test_auto_is_kept_in_the_run_so_that_it_may_move(data, tmp_path, monkeypatch):
    asked = train.Recipe(variant="plain", data=data, epochs=1, precision="auto", out=str(tmp_path / "run"))
    for there in (False, True):
        monkeypatch.setattr(devices, "multiply_bfloat16", lambda found=there: found)
        train.run(asked)
    assert runs.read_recipe(tmp_path / "run")["recipe"]["precision"] == "auto"


@pytest.mark.parametrize(
    ("capability", "wanted"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16"), (None, "float32")]
)
def test_auto_on_gpus_is_what_they_multiply_faster(capability, wanted, monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["one"] if kind == "GPU" else [])
    details = {} if capability is None else {"compute_capability": capability}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    assert precision.with_precision_chosen(train.Recipe(variant="plain", precision="auto")).precision == wanted


@pytest.fixture
def seen(monkeypatch):
    """Stage → (dtypes of the layers' computations, of the weights; whether the loss was scaled; last loss)."""
    found, fit = {}, runs.Run.fit

    def spy(self, stage, model, *args, **kwargs):
        progress = fit(self, stage, model, *args, **kwargs)
        layers = [layer for layer in model._flatten_layers() if layer.weights]
        computes = {layer.compute_dtype for layer in layers}
        scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        weights = {w.dtype for w in model.trainable_weights}
        found[stage] = computes, weights, scaled, self.rows[-1]["loss"]
        return progress

    monkeypatch.setattr(runs.Run, "fit", spy)
    return found


def check(seen, kind):
    """Every stage computed in this type, with weights in float32, and scaled its loss only where it is narrow."""
    for stage, (computes, weights, scaled, loss) in seen.items():
        assert kind in computes and weights == {"float32"}, stage
        assert scaled == (kind == "float16") and np.isfinite(loss), stage


def exact(path):
    """Whether the model that a run keeps computes in float32."""
    return {layer.compute_dtype for layer in runs.load_model(path)._flatten_layers()} == {"float32"}


def test_train_reaches_the_loss_of_float32(data, seen, tmp_path):
    recipe = train.Recipe(data=data, variant="variational", code=4, widths=(32,), epochs=8, batch_size=20, holdout=0.0)
    losses = {}
    for kind in ("float32", "bfloat16", "float16"):
        trained = train.run(replace(recipe, precision=kind, out=str(tmp_path / kind)))
        assert exact(trained.path)
        check(seen, kind)
        losses[kind] = seen["train"][-1]
        assert losses[kind] == pytest.approx(losses["float32"], rel=0.03)
    assert keras.config.dtype_policy().name == "float32"


def test_stacked_layers_joint_training_and_fine_tuning(data, seen, tmp_path):
    recipe = stacked.Recipe(
        baselines=False,
        data=data,
        out=str(tmp_path / "run"),
        precision="float16",
        widths=(12, 6),
        pretrain_epochs=1,
        pretrain_batch=20,
        joint_epochs=1,
        finetune_epochs=1,
        scratch=False,
    )
    trained = stacked.run(recipe)
    assert set(seen) == {"layer-1", "layer-2", "joint", "finetune-1"}
    check(seen, "float16")
    assert exact(trained.path) and exact(trained.path / "finetune-all")
    last = keras.ops.convert_to_numpy(runs.load_model(trained.path).encoder.weights[0])
    assert np.abs(last - last.astype("float16").astype("float32")).max() > 0, "the weights were rounded"


def test_mae_and_the_fine_tuning_of_its_encoder(data, seen, tmp_path):
    recipe = mae.Recipe(
        data=data,
        out=str(tmp_path / "run"),
        precision="float16",
        patch=(4,),
        width=12,
        depth=1,
        heads=2,
        decoder_width=12,
        decoder_depth=1,
        decoder_heads=2,
        epochs=1,
        warmup_epochs=0,
        batch_size=20,
        pictures_every=0,
    )
    trained = mae.run(recipe)
    tuning = finetune.Recipe(
        run=str(trained.path), precision="float16", finetune_epochs=1, ema=0.9, scratch=False, baselines=False
    )
    tuned = finetune.run(tuning)
    check(seen, "float16")
    assert exact(trained.path) and exact(tuned.path)


def test_the_optimiser_scales_the_loss_in_float16_only():
    kinds = {}
    for kind in precision.POLICIES:
        with precision.computing_in(kind):
            kinds[kind] = schedules.build(10, 1e-3)
    scaled = {kind for kind, built in kinds.items() if isinstance(built, keras.optimizers.LossScaleOptimizer)}
    assert scaled == {"float16"}
    assert float(kinds["float16"].learning_rate) == pytest.approx(1e-3)


@pytest.mark.parametrize("case", cases.first_of_its_family(cases.MODELS))
def test_softmax_logarithms_and_means_are_taken_in_float32(case):
    with precision.computing_in("float16"):
        model = case.target(**case.arguments())
    model.compile(**case.compiled())
    batch = [tf.constant(part) for part in (case.x, case.y) if part is not None]
    model.propose(batch)
    step = tf.function(lambda: model.propose(batch).logs).get_concrete_function()
    wide = {"Softmax", "LogSoftmax", "Log", "Log1p", "Softplus", "Mean", "SquaredDifference"}
    operations = [node for node in nodes(step.graph) if node.op in wide]
    assert not [node.name for node in operations if node.attr["T"].type == tf.float16.as_datatype_enum]
    assert operations, "there is no loss"


def nodes(graph):
    """Every operation of a graph and of the functions that it calls."""
    definition = graph.as_graph_def()
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def
