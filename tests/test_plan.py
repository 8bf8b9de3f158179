"""What a plan counts, against Keras and against the operations of a traced step; and what it says."""

import importlib
import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasae
from kerasae.errors import InputError
from kerasae.networks import vit_pair
from kerasae.training import loop, precision
from kerasae.training.checkpoint import pack, state_variables
from pipelines import mae, recipes
from pipelines.planner import cost, plan, wire
from pipelines.planner import job as jobs

BATCH = 11  # divides no width, so that what is per image can be told from what is not
SHAPE = (16, 24, 3)
SMALL = {
    "patch": (4,),
    "width": 48,
    "depth": 2,
    "heads": 3,
    "decoder_width": 32,
    "decoder_depth": 3,
    "decoder_heads": 2,
}


def recipe(**changes):
    return mae.Recipe(**{**SMALL, **changes})


def model_of(chosen, shape=SHAPE):
    info = type("Info", (), {"shape": shape, "max_value": 255.0, "standardized": False})
    with precision.computing_in(chosen.precision):
        return mae.build(chosen, info, {"mean": 0.5, "std": 0.25})


def counted(chosen, shape=SHAPE):
    return jobs.network(chosen, shape)


# ---- weights, against Keras

VARIANTS = [
    {"mask_group": 2, "mask_ratio": 0.7, "learned_positions": True},
    {"decoder": "shallow", "patch": (4, 8), "mask_ratio": 0.4, "low_variance": 0.5},
    {"decoder": "cross", "prediction_ratio": 0.4, "mask_ratio": 0.5, "learned_positions": True},
    {"decoder": "cross"},
    {"decoder": "linear"},
    {"decoder": "linear", "mask_ratio": 0.3, "learned_positions": True},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_weights_and_tokens_are_those_of_keras(changes):
    model, net = model_of(recipe(**changes)), counted(recipe(**changes))
    assert net.trained + net.fixed == model.count_params()
    assert net.trained == sum(math.prod(w.shape) for w in model.trainable_weights)
    assert net.encoder_weights == model.encoder.count_params()
    assert (net.patches, net.values) == model.patches_shape
    assert net.visible == model.visible
    assert net.predictions == model.predicted


@pytest.mark.parametrize("size", cost.SIZES)
def test_sizes_are_those_of_the_networks(size):
    """Blocks beyond the first two of encoder and decoder are left out, to build ViT-H in a moment."""
    shape, patch = (28, 28, 3), 14
    few = {"depth": 2, "decoder_depth": 2}
    encoder, decoder = getattr(kerasae.networks, f"vit_{size}")(shape, patch, **few)
    net = counted(mae.Recipe(size=size, patch=(patch,), **few), shape)
    assert net.trained + net.fixed == encoder.count_params() + decoder.count_params()
    heads = [layer.heads for layer in (*encoder.layers, *decoder.layers) if hasattr(layer, "heads")]
    assert heads == 2 * [net.heads] + 2 * [net.decoder_heads]


@pytest.mark.parametrize("size", cost.SIZES)
def test_depths_are_those_of_the_networks(size, monkeypatch):
    asked = {}
    monkeypatch.setattr(vit_pair, "vit", lambda *args, **options: asked.update(options))
    getattr(kerasae.networks, f"vit_{size}")((28, 28, 3), 14)
    theirs = {"decoder_width": 512, "decoder_depth": 8, "decoder_heads": 16, **asked}
    assert theirs == cost.SIZES[size]


@pytest.mark.parametrize(("size", "patch", "millions"), [("base", 16, 85.8), ("large", 16, 303.3), ("huge", 14, 630.8)])
def test_published_sizes(size, patch, millions):
    """ViT-B, -L and -H without a head, Dosovitskiy et al., arXiv 2010.11929, table 1: 86, 307 and 632 million."""
    net = counted(jobs.published(size, patch), (224, 224, 3))
    assert net.encoder_weights / 1e6 == pytest.approx(millions, abs=0.05)


# ---- products and what backward keeps, against a traced step


class Traced:
    """Forward and backward of a step, traced: its operations, and which of them are forward's."""

    def __init__(self, chosen):
        model = model_of(chosen)
        model.compile(kerasae.optimizers.LayerwiseAdamW(1e-3))

        @tf.function
        def step(x):
            with tf.GradientTape() as tape:
                loss, _ = model.losses_of(model.prepare(x), training=True)
            self.forward = {op.name for op in tf.compat.v1.get_default_graph().get_operations()}
            return tape.gradient(loss, model.players()["model"].trainable_weights)

        graph = step.get_concrete_function(tf.zeros((BATCH, *SHAPE), "uint8")).graph
        self.operations = graph.get_operations()

    def flops(self):
        """2 m n k of every product of matrices."""
        return sum(2 * math.prod(size) for size in map(product, self.operations) if size)

    def kept(self):
        """Bytes per image of what forward makes and backward reads, each buffer once."""
        kept = {}
        for operation in self.operations:
            if operation.name not in self.forward:
                for tensor in map(self._origin, operation.inputs):
                    if tensor.op.name in self.forward and tensor.shape.rank and tensor.shape[0] % BATCH == 0:
                        kept[tensor.name] = math.prod(tensor.shape) * tensor.dtype.size
        return sum(kept.values()) / BATCH

    def _origin(self, tensor):
        """The tensor whose buffer this one shares."""
        while tensor.op.name in self.forward and tensor.op.type in ("Reshape", "Identity", "IdentityN", "ExpandDims"):
            tensor = tensor.op.inputs[tensor.value_index]
        return tensor


def product(operation):
    """(examples, rows, columns, inner) of a product of matrices, as (…, m, n · k); None for other operations."""
    if operation.type not in ("MatMul", "BatchMatMulV2"):
        return None
    flipped = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
    inner = operation.inputs[0].shape[-2 if flipped else -1]
    *examples, rows, columns = operation.outputs[0].shape
    return (*examples, rows, columns * inner)


TRACED = [
    {"precision": "float32"},
    {"precision": "bfloat16"},
    {"decoder": "shallow", "precision": "float32"},
    {"decoder": "cross", "precision": "bfloat16"},
    {"decoder": "linear", "precision": "float32"},
]


@pytest.fixture(scope="module", params=TRACED, ids=str)
def traced(request):
    chosen = recipe(**request.param)
    return Traced(chosen), counted(chosen), 2 if chosen.precision == "bfloat16" else 4


def test_flops_are_those_of_the_traced_products(traced):
    step, net, _ = traced
    assert step.flops() == BATCH * net.flops


def test_kept_bytes_are_those_that_backward_reads(traced):
    """All but masks and permutations, a few bytes of a patch."""
    step, net, value_bytes = traced
    few = 16 * net.patches
    assert net.kept(value_bytes) <= step.kept() <= net.kept(value_bytes) + few


def test_flops_of_a_linear_layer_by_hand():
    """One token of 3 values to 5: 15 multiplications forward, 15 for the weights' gradient, 15 for the input's."""
    assert (cost.Linear(1, 3, 5).products, cost.Linear(1, 3, 5, first=True).products) == (45, 30)


def test_a_checkpoint_is_as_large_as_counted():
    chosen = recipe()
    model, net = model_of(chosen), counted(chosen)
    model.compile(kerasae.optimizers.LayerwiseAdamW(1e-3))
    model.optimizer.build(model.trainable_variables)
    arrays = {str(i): keras.ops.convert_to_numpy(v) for i, v in enumerate(state_variables(model))}
    size, per_array = len(pack(arrays, {"step": 0})), 400
    assert net.checkpoint <= size <= net.checkpoint + per_array * len(arrays)


def test_memory_grows_with_images_and_with_nothing_else():
    net = counted(recipe())
    one, ten = net.memory(1), net.memory(10)
    assert ten["kept for backward"] == 10 * one["kept for backward"] == 10 * net.kept()
    assert one["gradients"] == ten["gradients"] == 4 * net.trained
    assert sum(one[name] for name in ("weights", "gradients", "AdamW's moments")) == 16 * net.trained + 4 * net.fixed
    assert net.memory(1, 2)["weights"] == 6 * net.trained + 4 * net.fixed
    assert net.memory(1, accumulated=True)["gradients"] == 8 * net.trained


# ---- the wire, data and checkpoints


def ringed(members, size):
    """Values that one member sends when chunks really go round: first sums, then the finished chunks."""
    chunks = np.array_split(np.arange(size), members)
    values, sent = [np.full(size, float(i)) for i in range(members)], 0
    for turn in range(2 * (members - 1)):
        before = [v.copy() for v in values]
        for i in range(members):
            chunk, after = chunks[(i - turn) % members], (i + 1) % members
            summing = turn < members - 1
            values[after][chunk] = before[i][chunk] + (before[after][chunk] if summing else 0.0)
            sent += len(chunk) if i == 0 else 0
    assert all((v == sum(range(members))).all() for v in values)
    return sent


@pytest.mark.parametrize("members", [2, 3, 8])
def test_a_ring_sends_what_is_counted(members):
    size = 24 * members
    assert ringed(members, size) == wire.ring(size, members)


def planned(name="vit-b", **changes):
    chosen = plan.Recipe(recipe=name, **changes)
    return chosen, jobs.Job.of(chosen)


def test_one_gpu_sends_nothing_and_hosts_only_what_they_must():
    chosen, job = planned(gpus=1)
    assert wire.all_reduce(chosen, 1e9) == (0.0, 0.0, 0.0)
    chosen, job = planned(gpus=8, hop_seconds=0, link_rate=1e9)
    seconds, sent, between = wire.all_reduce(chosen, 1e9)
    assert (seconds, sent, between) == pytest.approx((1.75, 1.75e9, 0))
    chosen, job = planned(gpus=64, hop_seconds=0, link_rate=1e9, network_rate=1e8)
    assert wire.all_reduce(chosen, 1e9)[0] == pytest.approx(1.75 + 17.5)


def test_delays_add_up_once_per_hop():
    chosen, _ = planned(gpus=64, hop_seconds=1.0, link_rate=1e30, network_rate=1e30)
    assert wire.all_reduce(chosen, 1e9)[0] == pytest.approx(2 * 7 + 2 * 7)


def test_backward_hides_no_more_than_it_lasts():
    chosen, job = planned(gpus=64, overlap=1.0, network_rate=1e8)
    slow = wire.update(chosen, job)
    assert slow.hidden == pytest.approx(2 / 3 * slow.computing)
    fast = wire.update(replace(chosen, network_rate=1e12), job)
    assert fast.hidden == pytest.approx(fast.reducing) and fast.exposed == pytest.approx(0)


def test_an_update_is_the_sum_of_its_parts():
    only_products = {"memory_rate": 1e30, "block_seconds": 0, "link_rate": 1e30, "hop_seconds": 0}
    chosen, job = planned(gpus=8, rate_share=1.0, decode_rate=1e9, storage_rate=1e15, **only_products)
    update = wire.update(chosen, job)
    assert update.seconds == pytest.approx(512 * job.network.flops / chosen.bfloat16_rate)
    assert wire.update(replace(chosen, rate_share=0.5), job).seconds == pytest.approx(2 * update.seconds)


def test_slow_data_rule():
    chosen, job = planned(gpus=8, decode_rate=1.0, host_cores=10)
    update = wire.update(chosen, job)
    assert update.rate == pytest.approx(10) and update.bottleneck.startswith("Data loading")
    chosen, job = planned(gpus=8, storage_rate=115e3 * 7)
    assert wire.update(chosen, job).rate == pytest.approx(7)


def test_the_bottleneck_is_the_largest_part():
    assert wire.update(*planned(gpus=512, network_rate=1e8)).bottleneck.startswith("Communication")
    assert wire.update(*planned(gpus=512, network_rate=1e15, link_rate=1e15, hop_seconds=0)).bottleneck.startswith(
        "Starting"
    )
    assert wire.update(*planned(gpus=1)).bottleneck.startswith("Computing")


def test_checkpoints_are_as_far_apart_as_the_training_loop_writes_them():
    defaults = plan.Recipe(recipe="vit-b")
    rule = (defaults.checkpoint_seconds, defaults.checkpoint_share, defaults.checkpoint_patience)
    assert rule == (loop.CHECKPOINT_SECONDS, loop.CHECKPOINT_SHARE, loop.CHECKPOINT_PATIENCE)
    chosen, job = planned(gpus=8)
    kept, seconds = wire.checkpoints(chosen, job), wire.update(chosen, job).seconds * job.updates
    assert kept.seconds == job.network.checkpoint / 1e9
    assert kept.every == pytest.approx(200 * kept.seconds) and kept.count == math.ceil(seconds / kept.every)
    assert wire.checkpoints(replace(chosen, checkpoint_seconds=777.0), job).every == 777
    assert wire.checkpoints(replace(chosen, checkpoint_patience=33.0), job).every == 33
    assert wire.checkpoints(replace(chosen, checkpoint_seconds=1e9), job).count == 1


def test_the_fit_finds_what_points_were_made_from(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    scale_fit = importlib.import_module("scale_fit")
    rows = [scale_fit.row("float32", *point) for point in scale_fit.FITTED]
    made_of = [1 / 3e11, 1 / 8e9, 2e-3]
    seconds = [sum(c * m for c, m in zip(counted, made_of, strict=True)) for counted in rows]
    found = scale_fit.fit(rows, seconds, [1 / 4e11, 1 / 2e10, 0.0])
    assert found == pytest.approx(made_of, rel=1e-4)
    limited = scale_fit.fit(rows, seconds, [1 / 2e11, 1 / 2e10, 0.0])
    assert limited[0] == pytest.approx(1 / 2e11)


def test_hours_are_those_of_all_parts():
    chosen, job = planned(gpus=8, failure_hours=100.0)
    total, update = wire.total(chosen, job), wire.update(chosen, job)
    assert total.training == pytest.approx(800 * (1_281_167 // 4096) * update.seconds / 3600)
    assert total.failures == pytest.approx((total.training + total.checkpoints) * 8 / 100)
    assert total.hours == total.training + total.checkpoints + total.lost and total.lost > 0


# ---- what a user asks for, and what is printed


@pytest.mark.parametrize("name", [*recipes.of("mae"), *jobs.PUBLISHED])
def test_every_recipe_of_mae_can_be_planned(name, capsys):
    plan.run(plan.Recipe(recipe=name))
    text = capsys.readouterr().out
    assert name in text and "GPU hours" in text and "--rate-share 0.4" in text


def test_passes_keep_the_effective_batch(capsys):
    (_, one), (_, four) = planned(gpus=8), planned(gpus=8, accumulate=4)
    assert (one.batch, four.batch) == (4096, 4096) and (one.at_once(8), four.at_once(8)) == (512, 128)
    chosen, job = planned("vit-h", gpus=8, gpu_memory=30e9)
    remedy = [line for line in plan.verdicts(chosen, job) if "does not fit" in line]
    passes = int(remedy[0].split("--accumulate ")[1].split()[0])
    held = [sum(wire.memory(*planned("vit-h", gpus=8, accumulate=n)).values()) for n in (passes // 2, passes)]
    assert held[0] > 30e9 >= held[1]


def test_what_is_too_large_for_any_passes_is_said():
    chosen, job = planned("vit-h", gpus=8, gpu_memory=5e9)
    assert any("no number of passes" in line for line in plan.verdicts(chosen, job))


def test_a_run_is_planned_by_what_it_recorded(tmp_path, capsys):
    write(tmp_path, "mae", {**asdict(recipe(data="npz:x.npz", mask_group=2, batch_size=32)), "from_a_later_version": 1})
    given = {"images": 640, "image_size": (16, 24), "channels": 1}
    job = jobs.Job.of(plan.Recipe(recipe=str(tmp_path), gpus=2, **given))
    assert job.network == counted(recipe(mask_group=2), (16, 24, 1))
    assert (job.images, job.updates_per_epoch, job.batch) == (640, 20, 32)


def write(path, command, values):
    (path / "recipe.json").write_text(json.dumps({"command": command, "recipe": values}))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["recipe.json", "readable"]),
        ('{"command": "mae", "recipe": 3}', ["recipe.json", "readable"]),
        ('{"command": "stacked", "recipe": {}}', ["stacked", "only runs of `mae`"]),
        ('{"command": "mae", "recipe": {"epochs": -1}}', ["epochs", "-1"]),
        ('{"command": "mae", "recipe": {"epochs": "many"}}', ["recipe.json", "values"]),
        ('{"command": "mae", "recipe": {"size": "giant"}}', ["recipe.json", "values"]),
        ('{"command": "mae", "recipe": {"data": {}}}', ["recipe.json", "values"]),
        ('{"command": "mae", "recipe": {"mask_ratio": 0.99}}', ["mask_ratio", "0.99"]),
        ('{"command": "mae", "recipe": {"data": "npz:x.npz"}}', ["npz:x.npz", "--images", "--image-size"]),
    ],
)
def test_runs_that_cannot_be_planned(content, words, tmp_path):
    (tmp_path / "recipe.json").write_text(content)
    assert_refused(words, recipe=str(tmp_path))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"recipe": "mae-mnits"}, ["mae-mnits", "did you mean mae-mnist"]),
        ({"recipe": "no/such/run"}, ["no/such/run", "mae-cifar10", "vit-h"]),
        ({"recipe": "sdae-mnist"}, ["sdae-mnist", "`stacked`"]),
        ({"recipe": "vit-b", "gpus": 12}, ["gpus", "hosts of 8", "12"]),
        ({"recipe": "mae-mnist", "gpus": 512}, ["gpus", "256", "512"]),
        ({"recipe": "vit-b", "gpus": 8, "accumulate": 3}, ["4096", "3", "--accumulate"]),
        ({"recipe": "vit-b", "image_size": (230,)}, ["patch", "230"]),
        ({"recipe": "vit-b", "image_size": (224, 224, 3)}, ["image_size", "height and width"]),
        ({"recipe": "vit-b", "gpus": 0}, ["gpus", "from 1 up"]),
        ({"recipe": "vit-b", "overlap": 1.5}, ["overlap", "from 0 to 1"]),
    ],
)
def test_mistakes_name_what_to_do(given, words):
    assert_refused(words, **given)


def assert_refused(words, **given):
    with pytest.raises(InputError) as raised:
        plan.run(plan.Recipe(**given))
    assert "\n" not in str(raised.value)
    for word in words:
        assert word in str(raised.value)
