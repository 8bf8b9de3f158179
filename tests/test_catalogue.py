"""The catalogue agrees with the classes, with README, and with what Keras finds by name."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest

from kerasae import models
from kerasae.models import catalogue
from kerasae.registration import StandIn, stand_ins

ROOT = Path(__file__).parents[1]


def test_every_public_model_has_exactly_one_row():
    public = [getattr(models, name) for name in models.__all__]
    trained = [cls.__name__ for cls in public if issubclass(cls, keras.Model)]
    assert sorted(trained) == sorted(row.name for row in catalogue.ROWS)


def test_no_command_trains_two_models():
    commands = [row.command for row in catalogue.ROWS]
    assert len(set(commands)) == len(commands)


@pytest.mark.parametrize("row", catalogue.ROWS, ids=lambda row: row.name)
def test_a_row_agrees_with_its_class(row):
    cls = row.load()
    assert cls is getattr(models, row.name) and cls.__module__ == row.module
    assert (getattr(cls, "units", row.units), getattr(cls, "posterior_name", None)) == (row.units, row.posterior)
    assert [name for name in catalogue.CAPABILITIES if getattr(cls, name, False)] == list(row.capabilities)


@pytest.mark.parametrize("row", catalogue.ROWS, ids=lambda row: row.name)
def test_a_row_is_complete_and_its_class_cites_its_paper(row):
    authors = row.paper.split(",")[0]
    assert all((row.family, row.equation, row.units, row.example))
    source = Path(sys.modules[row.load().__module__].__file__).read_text(encoding="utf-8")
    assert authors.split()[0] in source, f"{row.name}: the docstring does not cite {row.paper}"


def test_readme_has_the_table():
    assert catalogue.table() in (ROOT / "README.md").read_text(encoding="utf-8")


def fresh(code, *arguments):
    """Run code in a process that has imported nothing; return what it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout.split()


def test_importing_kerasae_and_its_models_costs_nothing():
    loaded = fresh("import sys, kerasae; kerasae.models.ROWS; print(*sys.modules)")
    assert "kerasae.models.catalogue" in loaded and not {"keras", "tensorflow", "numpy"} & set(loaded)


def test_keras_is_told_of_all_classes_that_register_themselves():
    code = """
import importlib, pkgutil, kerasae, keras
for room in ("layers", "distributions", "networks", "optimizers", "models", "detectors"):
    package = importlib.import_module(f"kerasae.{room}")
    for module in pkgutil.walk_packages(package.__path__, f"kerasae.{room}."):
        importlib.import_module(module.name)
print(*(name for name in keras.saving.get_custom_objects() if name.startswith("kerasae>")))
print("later", *(n for n, x in keras.saving.get_custom_objects().items() if type(x).__name__ == "StandIn"))
"""
    *names, _ = found = fresh(code)
    assert set(names[: found.index("later")]) == set(stand_ins()) and found[-1] == "later"


@pytest.mark.parametrize(
    "imports",
    [
        "kerasae, keras",
        "kerasae, tensorflow, keras",
        pytest.param("kerasae.layers, keras", marks=pytest.mark.slow),
    ],
)
def test_keras_loads_a_file_in_a_process_that_only_imported_kerasae(imports, tmp_path):
    layer = models.DenoisingAutoencoder(*__import__("kerasae").networks.dense((4, 4, 1), 3, (), tied=True))
    models.StackedAutoencoder([layer]).save(tmp_path / "model.keras")
    code = f"import {imports}, sys; print(type(keras.saving.load_model(sys.argv[1])).__module__)"
    assert fresh(code, tmp_path / "model.keras") == ["kerasae.models.stacked"]


def test_a_stand_in_builds_what_its_class_does():
    made = StandIn("kerasae.layers", "GaussianCorruption").from_config({"stddev": 0.25})
    assert type(made).__name__ == "GaussianCorruption" and made.stddev == 0.25
