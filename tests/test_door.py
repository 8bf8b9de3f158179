"""Where recipes come in: what is resolved, and what is set once around a whole pipeline."""

from contextlib import contextmanager
from dataclasses import replace

import keras
import pytest

from kerasae import runs
from kerasae.training import devices, precision
from pipelines import finetune, quickstart, train
from pipelines.command_line import door


@pytest.fixture
def scopes(monkeypatch):
    """The devices that were opened."""
    found = []

    @contextmanager
    def scope(names):
        found.append(names)
        yield

    monkeypatch.setattr(devices, "scope", scope)
    return found


def test_a_recipe_leaves_with_nothing_to_choose_and_a_run_keeps_what_was_asked(scopes, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "multiply_bfloat16", lambda: True)
    asked = train.Recipe(variant="variational", precision="auto", seed=3)
    with door.entered(asked) as (resolved, source, begin):
        assert resolved == replace(asked, precision="bfloat16", out="runs/variational")
        assert keras.config.dtype_policy().name == "mixed_bfloat16" and len(source.train) == 1437
        first = keras.random.uniform((3,))
        directory = begin("train")
    assert keras.config.dtype_policy().name == "float32"
    assert runs.read_recipe(directory.path)["recipe"]["precision"] == "auto"
    with door.entered(replace(asked, precision="float32")):
        assert keras.ops.all(keras.random.uniform((3,)) == first), "the seed is set on the way in"


def test_a_pipeline_stays_on_the_devices_of_the_one_that_calls_it_and_has_its_own_precision(scopes, monkeypatch):
    outer, inner = (train.Recipe(devices="cpu", precision=kind) for kind in ("bfloat16", "float16"))
    with door.entered(outer):
        with door.entered(inner):
            assert keras.config.dtype_policy().name == "mixed_float16"
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert scopes == ["cpu"]
    with (
        door.entered(quickstart.Recipe()),
        door.entered(inner),
    ):  # the journey names no devices, and takes what is there
        pass
    assert scopes == ["cpu"]
    with door.entered(inner):
        assert scopes == ["cpu", "cpu"]


def test_a_pipeline_that_fails_leaves_the_door_as_it_was(scopes):
    recipe = train.Recipe(data="npz:absent.npz", precision="float16")
    for times in (1, 2):
        with pytest.raises(Exception, match="absent"), door.entered(recipe):
            pass
        assert scopes == ["auto"] * times and keras.config.dtype_policy().name == "float32"


def test_what_starts_from_a_run_has_its_place_in_it(tmp_path):
    runs.Run(tmp_path / "run", "train", train.Recipe(data="digits", center=0.5))
    resolved = finetune.Recipe(run=str(tmp_path / "run"), labels=100).resolved()
    assert (resolved.data, resolved.center, resolved.out) == ("digits", 0.5, f"{tmp_path}/run/finetune-100")


def test_a_model_of_a_run_is_loaded_in_float32_whatever_is_built_around_it(tmp_path):
    import kerasae

    model = kerasae.models.VariationalAutoencoder(*kerasae.networks.dense((4,), 2, (), posterior="gaussian"))
    directory = runs.Run(tmp_path / "run", "train", train.Recipe())
    directory.save_model(model)
    with precision.computing_in("bfloat16"):
        loaded = runs.load_model(tmp_path / "run")
    assert {layer.compute_dtype for layer in loaded._flatten_layers()} == {"float32"}
