"""Every command of README and of the pages in docs/ is one that the command line takes, flag by flag."""

import re
import shlex
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from kerasae.errors import InputError
from pipelines.command_line import main as cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = "|<>$*…"
"""Characters of shells and of ellipses: such a line is not taken word for word."""


def commands(text):
    """Find the commands in indented lines of code, each on one line, without remarks."""
    joined = re.sub(r"\\\n\s*", "", text)
    found = (re.sub(r"\s#\s.*", "", line) for line in joined.splitlines())
    return [line.strip() for line in found if re.match(r" {4,}kerasae ", line) and not set(line) & set(OTHERS)]


LINES = {page.stem: commands(page.read_text(encoding="utf-8")) for page in PAGES}


def test_commands_are_found_over_several_lines_and_without_remarks():
    text = "    kerasae train plain \\\n        --code 2   # a remark\n\nkerasae is a word.\n    kerasae list | head"
    assert commands(text) == ["kerasae train plain --code 2"]
    assert sum(map(len, LINES.values())) > 150


@pytest.mark.parametrize("page", [name for name, lines in LINES.items() if lines])
def test_documented_commands_are_understood(page, monkeypatch):
    monkeypatch.setattr(cli, "execute", lambda run, recipe: recipe)
    for line in LINES[page]:
        try:
            cli.parse(shlex.split(line)[1:])()
        except (InputError, CycloptsError) as error:
            pytest.fail(f"{line}: {cli.explain(error)}")
