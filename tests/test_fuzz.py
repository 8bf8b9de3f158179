"""Hostile input of every class through the command line: one line and an exit status, and nothing else happens.

`make fuzz` draws 10,000 inputs, other ones every time, `make test-slow` 1,000; the test suite draws some two hundred,
always the same. Training and exporting are stopped at their first step (see `arena`): it is what comes before that
input can steer.
"""

import os
import shutil
import sys
from pathlib import Path

import arena
import hostile
import hostile_files
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kerasae
from kerasae.errors import InputError
from kerasae.runs import directory
from kerasae.training import checkpoint
from kerasae.training.loop import Progress
from pipelines.command_line import main as cli

MANY = int(os.environ.get("KERASAE_FUZZ", 0))
"""Inputs in all; 0 for as many as the test suite has time for."""

TRAIN = "train plain --data npz:data.npz --widths 8 --code 2 --epochs 1 --batch-size 20".split()
IMPORT = "weights import --heads 4 --decoder-heads 3".split()
AGAIN = [*TRAIN, "--out", "run"]


def fuzzed(share, few):
    """Run a test on this share of the inputs of a long run, or on a few."""
    known = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    return settings(max_examples=int(share * MANY) if MANY else few, derandomize=not MANY, **known)


@pytest.fixture(scope="module")
def place(tmp_path_factory, request):
    """The arena; at the end the outcomes by class are printed."""
    arena.quiet()
    with pytest.MonkeyPatch.context() as patch, arena.arena(tmp_path_factory.mktemp("arena"), patch) as built:
        yield built
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print()
        for kind in dict.fromkeys(kind for kind, _ in built.counts):
            counts = {status: built.counts[kind, status] for status in (0, 2, 130)}
            print(f"{kind:24} {sum(counts.values()):6} inputs, by exit status: {counts}")


@pytest.fixture(scope="module")
def data():
    """An npz of small images with labels."""
    x = np.random.default_rng(0).integers(0, 256, (60, 4, 4), "uint8")
    return hostile_files.npz(x_train=x, y_train=np.arange(60) % 3, x_test=x[:12], y_test=np.arange(12) % 3)


def trained(place, data, tokens):
    """Empty the arena and train there on these data, for once to the end; the exit status."""
    place.clean()
    (place.cwd / "data.npz").write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directory, "train", sys.modules["kerasae.training.loop"].train)
        return cli.main(tokens)


@pytest.fixture(scope="module")
def run(place, data):
    """Name → bytes of the files of a finished run on these data."""
    assert trained(place, data, AGAIN) == 0
    shutil.rmtree("run/tensorboard")
    files = [path for path in Path("run").rglob("*") if path.is_file()]
    return {path.relative_to("run").as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def diverged(place, data):
    """Name → bytes of what a run keeps of a step that was not finite, and of its recipe."""
    assert trained(place, data, [*AGAIN, "--learning-rate", "1e30", "--schedule", "constant"]) == 2
    files = [Path("run/recipe.json"), *(path for path in Path("run/nonfinite").rglob("*") if path.is_file())]
    return {path.as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def fresh(place, run, data):
    """A function that empties the arena, writes the run and its data, and changes the files that it is given."""

    def write(changes):
        place.clean()
        for name, content in {"data.npz": data, **{f"run/{n}": c for n, c in run.items()}, **changes}.items():
            path = place.cwd / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    return write


def test_what_is_damaged_below_was_whole(place, fresh, diverged):
    fresh(diverged)
    assert place.run("nothing damaged", ["replay", "run"], ())[0] == 0
    fresh({f"pictures/{i}.{kind}": hostile.picture(kind) for i in range(3) for kind in hostile.PICTURES})
    for tokens in (TRAIN, ["train", "plain", "--data", "folder:pictures"]):
        assert place.run("nothing damaged", tokens)[0] == 130, "stopped before the first step"
    for words in (["report"], ["evaluate"], ["probe", "--no-baselines"]):
        assert place.run("nothing damaged", [*words, "run"], ["run"])[0] == 0
    for kind, content in hostile_files.good_weights(place.temporary / "weights").items():
        (place.clean() / f"file.{kind}").write_bytes(content)
        assert place.run("nothing damaged", [*IMPORT, f"file.{kind}"])[0] == 0


# ---- what is typed


@fuzzed(0.16, 20)
@given(tokens=hostile.command_lines())
def test_command_lines(tokens, place, fresh):
    fresh({})
    tables = [os.path.splitext(token)[0] + ".csv" for token in tokens]  # beside pages
    place.run("command lines", tokens, ["runs", "saved_models", "run", *tokens, *tables])


@fuzzed(0.06, 10)
@given(spec=hostile.specs(), size=st.lists(hostile.integers(), max_size=3))
def test_names_of_data_sets(spec, size, place, fresh):
    fresh({})
    os.mkfifo("pipe")
    tokens = ["train", "plain", "--data", spec, *(["--image-size", *size] if size else [])]
    place.run("names of data sets", tokens, ["runs", "saved_models", place.root / arena.DATA_SETS])


# ---- data


@fuzzed(0.12, 20)
@given(kind_and_bytes=hostile.pictures(), skip=st.booleans())
def test_pictures(kind_and_bytes, skip, place):
    kind, content = kind_and_bytes
    folder = place.clean() / "pictures"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.png").write_bytes(hostile.picture("png"))
    (folder / f"x.{kind}").write_bytes(content)
    place.run("pictures", ["train", "plain", "--data", "folder:pictures", *["--skip-broken"] * skip, "--epochs", "1"])


@fuzzed(0.14, 25)
@given(drawn=st.data())
def test_arrays(drawn, place, data):
    made = st.one_of(
        hostile.mutated(data), hostile_files.repacked(data), hostile_files.arrays(place.canary), hostile_files.claims()
    )
    (place.clean() / "data.npz").write_bytes(drawn.draw(made))
    place.run("npz", TRAIN)


# ---- models and weights


@fuzzed(0.12, 20)
@given(drawn=st.data())
def test_models(drawn, place, run, fresh):
    good = run["model.keras"]
    made = st.one_of(hostile.mutated(good), hostile_files.repacked(good), hostile_files.configured(good, place.canary))
    fresh({"run/model.keras": drawn.draw(made)})
    place.run("model.keras", ["evaluate", "run"], ["run/evaluate"])


@fuzzed(0.1, 15)
@given(drawn=st.data())
def test_weights(drawn, place):
    kind, content, beside = drawn.draw(hostile_files.weights(place))
    place.clean()
    (place.cwd / f"file.{kind}").write_bytes(content)
    if beside is not None:
        (place.cwd / "config.json").write_bytes(beside)
    place.run("weights", [*IMPORT, f"file.{kind}"])


# ---- runs


@fuzzed(0.18, 25)
@given(drawn=st.data())
def test_files_of_a_run(drawn, place, run, fresh):
    confusion = b'{"classes": ["a", "b"], "matrix": [[1, 2], [3, 4]]}'
    good = {**run, "probes.csv": b"probe,protocol\nlinear,x\n", "confusion.json": confusion}
    names = ["recipe.json", "recipe.json", "data.json", "metrics.csv", "summary.json", "probes.csv", "confusion.json"]
    name = drawn.draw(st.sampled_from(names))
    made = hostile.mutated(good[name])
    if name.endswith(".json"):
        made = st.one_of(made, hostile_files.rewritten(good[name]))
    fresh({f"run/{name}": drawn.draw(made)})
    commands = [["report"], ["report"], ["evaluate"], ["probe"], ["finetune"], ["export"], ["weights", "export"]]
    commands += [["plan", "--gpus", "8"]]
    shown = [[command, "run", "--to", "drawn.html"] for command in ("map", "duplicates", "index", "edit")]
    tokens = drawn.draw(st.sampled_from([*([*command, "run"] for command in commands), *shown, AGAIN]))
    place.run("files of a run", tokens, ["run", "saved_models", "drawn.html", "drawn.csv"])


@fuzzed(0.05, 10)
@given(drawn=st.data())
def test_steps_to_replay(drawn, place, diverged):
    place.clean()
    name = drawn.draw(st.sampled_from([name for name in diverged if name.endswith((".keras", ".npz"))]))
    good = diverged[name]
    made = [hostile.mutated(good)]
    if "state" in name:
        body = good.partition(b"\n")[2]
        changed = st.one_of(hostile.mutated(body), hostile_files.repacked(body), hostile_files.rewritten_progress(body))
        made = [changed.map(lambda b: checkpoint.hashlib.sha256(b).hexdigest().encode() + b"\n" + b)]
    elif name.endswith(".npz"):
        made += [hostile_files.repacked(good), hostile_files.arrays(place.canary), hostile_files.claims()]
    else:
        made += [hostile_files.repacked(good), hostile_files.configured(good, place.canary)]
    for path, content in {**diverged, name: drawn.draw(st.one_of(made))}.items():
        (place.cwd / path).parent.mkdir(parents=True, exist_ok=True)
        (place.cwd / path).write_bytes(content)
    place.run("steps to replay", ["replay", "run"], ())


@fuzzed(0.02, 5)
@given(drawn=st.data())
def test_links_and_pipes_in_a_run(drawn, place, run, fresh, diverged):
    fresh(diverged)
    kept = [name.removeprefix("run/") for name in diverged if "nonfinite" in name]
    names = [
        *run,
        *kept,
        ".recipe.json.tmp",
        ".report.html.tmp",
        ".model.tmp.keras",
        "report.html",
        "evaluate",
        "checkpoints",
    ]
    name = drawn.draw(st.sampled_from(names))
    goals = ["../../neighbour/precious", "../../neighbour", "../../new", "../../../../home/precious", name, "/dev/zero"]
    goal = drawn.draw(st.sampled_from(goals))
    path = place.cwd / "run" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    os.mkfifo(path) if drawn.draw(st.booleans()) else path.symlink_to(goal)
    commands = [["report", "run"], ["evaluate", "run"], ["export", "run"], ["replay", "run"], AGAIN]
    tokens = drawn.draw(st.sampled_from([["replay", "run"]] if name in kept else commands))
    place.run("links and pipes", tokens, ["run"])


@fuzzed(0.1, 30)
@given(drawn=st.data())
def test_checkpoints(drawn, place):
    """Read as a resumed training reads them; with a checksum that agrees, so that more than damage is tried."""
    folder = place.clean() / "checkpoints"
    model = kerasae.models.Autoencoder(*kerasae.networks.dense((3,), 2, ()))
    model.compile("adam")
    model.build_training()
    kept = checkpoint.Checkpoints(folder)
    kept.save(model, vars(Progress(step=4, epoch=1)))
    (file,) = folder.glob("step-*")
    body = file.read_bytes().partition(b"\n")[2]
    made = [
        hostile.mutated(body),
        hostile_files.repacked(body),
        hostile_files.rewritten_progress(body),
        hostile_files.arrays(place.canary),
    ]
    body = drawn.draw(st.one_of(made))
    agrees = checkpoint.hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    file.write_bytes(drawn.draw(st.one_of(st.just(agrees), st.just(agrees), hostile.mutated(agrees))))
    before = model.get_weights()
    try:
        found, other = kept.restore(model), False
    except InputError as error:  # one that says that another version wrote it
        found, other = None, "was written by kerasae" in str(error)
    assert not place.canary.exists()
    assert isinstance(found, dict) or other or kept.damaged == [file.name]
    if found is None:
        assert all(map(np.array_equal, before, model.get_weights()))
    place.counts["checkpoints", 2 if found is None else 0] += 1
