"""Named recipes by data set; their docstrings give command, hardware, minutes and measured score."""

import importlib
from collections.abc import Callable
from typing import Any

DATA_SETS = ("digits", "mnist", "mnist_1000", "cifar10", "imagenet", "onehot")
"""The modules of this package, in the order in which recipes are listed."""

COMMANDS = {"train", "prior", "stacked", "mae", "finetune", "probe"}
"""Commands that have named recipes."""


def of(command: str) -> dict[str, Callable[[], Any]]:
    """Collect the named recipes of a command: name → function that returns a `Recipe`."""
    if command not in COMMANDS:
        return {}
    tables = (importlib.import_module(f"{__name__}.{name}").RECIPES for name in DATA_SETS)
    return {name: recipe for table in tables for name, recipe in table.get(command, {}).items()}
