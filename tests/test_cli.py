"""The command line: what it understands, what it imports to answer, and how it speaks of a mistake."""

import os
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

import kerasae
from kerasae.models import catalogue
from pipelines import recipes
from pipelines.command_line import main as cli

ROOT = Path(__file__).parents[1]
HEAVY = ["tensorflow", "keras", "numpy", "sklearn", "matplotlib", "tensorflow_datasets"]


def kerasae_command(*tokens, **kwargs):
    """Run `kerasae TOKENS` in a process of its own, without the caller's TensorFlow settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "pipelines.command_line.main", *map(str, tokens)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, **kwargs)


def assert_one_line(result, *words):
    assert (result.returncode, result.stdout) == (2, ""), result.stderr
    assert result.stderr.startswith("kerasae: error: ") and result.stderr.count("\n") == 1, result.stderr
    for word in words:
        assert word in result.stderr


# ---- the real commands


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_help_shows_the_usage(command):
    result = kerasae_command(*command.split(), "--help")
    assert result.returncode == 0 and f"Usage: kerasae {command}".strip() in result.stdout, result.stderr


@pytest.mark.parametrize("tokens", [["--help"], ["list"], *([command, "--help"] for command in cli.COMMANDS)])
def test_help_and_list_import_nothing_heavy(tokens):
    code = "import sys; from pipelines.command_line.main import main; "
    code += f"main({tokens}); print(*sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    loaded = result.stderr.split()
    assert "pipelines.command_line.main" in loaded
    assert not set(HEAVY).intersection(loaded)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("trian", ['"trian"', 'id you mean "train"']),
        ("train variatonal", ["variatonal", "id you mean", "variational"]),
        ("train plain --dta digits", ["--dta", "id you mean --data"]),
        ("train plain --seed fast", ["--seed", "fast", "int"]),
        ("train plain --seed 1.5", ["--seed", "1.5", "int"]),
        ("train plain surplus", ["surplus"]),
        ("probe", ["RUN"]),
        ("stacked --recipe sdae-mnits", ["sdae-mnits", 'id you mean "sdae-mnist"']),
    ],
)
def test_a_mistake_is_one_line_that_names_the_nearest(line, words, tmp_path):
    assert_one_line(kerasae_command(*line.split(), cwd=tmp_path), *words)


def test_a_mistake_that_takes_tensorflow_to_find_is_one_line_too(tmp_path):
    result = kerasae_command(*"train plain --data digit".split(), cwd=tmp_path)
    assert_one_line(result, "'digit'", "did you mean digits")


def test_a_run_that_does_not_exist_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["probe", "no/such/run"]) == 2
    assert "no/such/run" in capsys.readouterr().err.splitlines()[-1]


def test_version():
    assert kerasae_command("--version").stdout.strip() == kerasae.__version__


def test_list_has_every_row_of_the_catalogue():
    lines = kerasae_command("list").stdout.splitlines()
    for row in catalogue.ROWS:
        assert any(all(part in line for part in (row.command, row.name, row.paper)) for line in lines), row.command


@pytest.mark.parametrize("row", catalogue.ROWS, ids=lambda row: row.name)
def test_the_example_of_every_row_is_a_command_of_its_pipeline(row):
    _, *tokens = row.example.split()
    assert row.example.startswith(f"kerasae {row.command.split()[0]}")
    assert callable(cli.parse(tokens))


def test_a_reader_that_leaves_early_is_no_error():
    command = [sys.executable, "-m", "pipelines.command_line.main", "list"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (b"", 0)
    process.stderr.close()


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_flag_has_help_and_every_recipe_has_a_docstring(command):
    module = import_module(cli.COMMANDS[command])
    helps = cli.attribute_docstrings(module.Recipe)
    assert [field.name for field in fields(module.Recipe) if not helps.get(field.name)] == []
    for name, function in recipes.of(command).items():
        assert function.__doc__, name
        assert isinstance(function(), module.Recipe), name


def test_importing_tensorflow_prints_nothing():
    code = "from pipelines.command_line.main import prepare_tensorflow; prepare_tensorflow(); "
    code += "import tensorflow as tf; print(tf.ones(3).shape)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (result.stdout, result.stderr) == ("(3,)\n", "")


# ---- what is generated from a Recipe, on a pipeline of our own

TOY = '''
"""Do something with a toy."""

import os
import sys
from dataclasses import dataclass, field
from typing import Literal

from kerasae.errors import InputError


def colours():
    return ["red", "green"]


@dataclass(frozen=True, kw_only=True)
class Shared:
    data: str = "digits"
    """The data."""


@dataclass(frozen=True, kw_only=True)
class Recipe(Shared):
    colour: str = field(metadata={"positional": True, "choices": colours})
    """Its colour."""
    place: str | None = field(default=None, metadata={"positional": True})
    """Where."""
    widths: tuple[int, ...] = (1000, 500)
    """Some widths."""
    rate: float = 0.001
    """A rate."""
    labels: int | None = None
    """A number or none."""
    kind: Literal["dense", "conv"] = "dense"
    """A choice."""
    tied: bool = False
    """A switch."""
    options: dict[str, float] = field(default_factory=dict)
    """Names and numbers."""


def green_toy():
    """A green one."""
    return Recipe(colour="green", widths=(7, 8), labels=100, tied=True, options={"beta": 4.0})


RECIPES = {"green-toy": green_toy}
SEEN = []
RAISE = []


def run(recipe):
    SEEN.append(recipe)
    if RAISE:
        raise RAISE.pop()
'''


@pytest.fixture
def toy(tmp_path, monkeypatch):
    (tmp_path / "toy_pipeline.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "toy_pipeline", raising=False)
    monkeypatch.setattr(cli, "COMMANDS", {"toy": "toy_pipeline"})
    monkeypatch.setattr(cli, "prepare_tensorflow", lambda: None)  # leaves this process as it is
    module = import_module("toy_pipeline")
    monkeypatch.setattr(recipes, "of", lambda command: module.RECIPES)
    return module


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("red", {}),
        ("red there", {"place": "there"}),
        ("red --widths 3", {"widths": (3,)}),
        ("red --widths 3 4 5 --rate 1e-2", {"widths": (3, 4, 5), "rate": 0.01}),
        ("red --widths", {"widths": ()}),
        ("red --tied --data npz:x", {"tied": True, "data": "npz:x"}),
        ("red --kind conv --labels 5", {"kind": "conv", "labels": 5}),
        ("red --labels none", {}),
        ("red --options.beta 4 --options.free-bits 0.5", {"options": {"beta": 4.0, "free_bits": 0.5}}),
    ],
)
def test_flags_become_fields(toy, line, changed):
    assert cli.main(["toy", *line.split()]) == 0
    assert toy.SEEN == [toy.Recipe(colour="red", **changed)]


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("--recipe green-toy", {}),
        ("--recipe=green-toy --labels none", {"labels": None}),
        ("--recipe green-toy --options.free-bits 1", {"options": {"beta": 4.0, "free_bits": 1.0}}),
        ("red --recipe green-toy --widths 1 --no-tied", {"colour": "red", "widths": (1,), "tied": False}),
    ],
)
def test_other_flags_override_a_named_recipe(toy, line, changed):
    assert cli.main(["toy", *line.split()]) == 0
    named = {"colour": "green", "widths": (7, 8), "labels": 100, "tied": True, "options": {"beta": 4.0}}
    assert toy.SEEN == [toy.Recipe(**{**named, **changed})]


def test_help_shows_docstrings_defaults_and_choices(toy, capsys):
    assert cli.main(["toy", "--recipe", "green-toy", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for part in ["Do something", "The data.", "Its colour.", "red, green", "[default: 7 8]", "green-toy"]:
        assert part in text
    assert toy.SEEN == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("toy gren", ["gren", '"green"']),
        ("toy red --kind covn", ["covn", '"conv"']),
        ("toy red --recipe gren-toy", ["gren-toy", '"green-toy"']),
        ("toy red --tide", ["--tide", "--tied"]),
        ("toy red --widths 3 x", ["--widths", '"x"']),
        ("toy red --widths 3 1.5", ["--widths", '"1.5"']),
        ("toy red --labels", ["--labels"]),
        ("toy red there and", ["'and'", "kerasae toy --help"]),
        ("toy --tied", ["COLOUR", "right after `kerasae toy`"]),
        ("toi", ["toi", '"toy"']),
    ],
)
def test_wrong_tokens(toy, capsys, line, words):
    assert cli.main(line.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("kerasae: error: ") and error.count("\n") == 1
    assert [word for word in words if word not in error] == []
    assert toy.SEEN == []


class FakeTensorFlowError(Exception):
    """TensorFlow's errors are no OSErrors; the reason is somewhere in their text."""


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (kerasae.errors.InputError("a: expected b,\n  received c"), 2, "error: a: expected b, received c"),
        (OSError(28, "No space left on device", "x"), 2, "error: [Errno 28] No space left on device: 'x'"),
        (FakeTensorFlowError("Graph:\n\nf; Read-only file system\nat"), 2, "error: f; Read-only file system"),
        (KeyboardInterrupt(), 130, "interrupted; the same command resumes from the last checkpoint"),
    ],
)
def test_what_is_no_bug_is_one_line(toy, capsys, error, status, line):
    toy.RAISE.append(error)
    assert cli.main(["toy", "red"]) == status
    assert capsys.readouterr().err == f"kerasae: {line}\n"


def test_an_interrupted_run_says_how_to_resume(toy, capsys):
    from kerasae.training.loop import Interrupted

    toy.RAISE.append(Interrupted("saved; resume with: kerasae toy red"))
    assert cli.main(["toy", "red"]) == 130
    assert capsys.readouterr().err == "kerasae: saved; resume with: kerasae toy red\n"


@pytest.mark.parametrize("bug", [ValueError("bug"), KeyError("bug"), RuntimeError("bug")])
def test_a_bug_keeps_its_traceback(toy, bug):
    toy.RAISE.append(bug)
    with pytest.raises(type(bug), match="bug"):
        cli.main(["toy", "red"])
