"""Export the model of a run as a SavedModel, and verify it in a process without kerasae."""

from dataclasses import dataclass, field
from pathlib import Path

import kerasae
from pipelines.recipe import DerivedRecipe

EXAMPLES = 16  # sent through the model and through the reloaded export


@dataclass(frozen=True, kw_only=True)
class Recipe(DerivedRecipe):
    """Where the export goes, and how exact it must be."""

    dest: str | None = field(default=None, metadata={"positional": True})
    """Folder of the SavedModel; saved_models/NAME OF THE RUN when not given."""
    tolerance: float = 1e-5
    """Largest absolute difference to the model in memory that passes."""


def run(recipe: Recipe):
    """Write the SavedModel and its card, reload it elsewhere, compare."""
    from pipelines import run as runs

    recipe = recipe.inherit("export")
    source = recipe.source()
    model = runs.load_model(recipe.run, source.info)
    dest = Path(recipe.dest or Path("saved_models") / Path(recipe.run).resolve().name)
    kerasae.export.save(model, dest, dtype=source.info.dtype, card=card(recipe, source.info))
    split = source.splits.get("test", source.train)
    examples, _ = split.subset(range(min(EXAMPLES, len(split)))).arrays()
    difference = kerasae.export.verify(model, dest, examples, recipe.tolerance)
    directory = runs.Run(recipe.out, "export", recipe)
    print(f"{dest}: {', '.join(kerasae.export.endpoints(model))}; inspect it with")
    print(f"  saved_model_cli show --dir {dest} --all")
    return directory.finish({"export_max_abs_diff": difference})


def card(recipe, info):
    """Data, recipe and figures of the run, for the card."""
    from pipelines import run as runs

    return {"data": info.as_dict(), "run": runs.read_recipe(recipe.run), "metrics": runs.read_summary(recipe.run)}
