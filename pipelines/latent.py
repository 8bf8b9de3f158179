"""Draw the latent space of a run: a map, traversals, paths between examples, classes beside styles."""

from dataclasses import dataclass, field

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import DerivedRecipe
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import within

CODES = 1000
"""Most examples whose codes are looked at."""


@dataclass(frozen=True, kw_only=True)
class Recipe(DerivedRecipe):
    """Settings for pictures of the latent space of an autoencoder of images."""

    examples: int = field(default=6, metadata=within("count"))
    """Test examples, drawn at random, that paths go between, and whose codes traversals and classes start from."""
    stops: int = field(default=9, metadata=within("count"))
    """Images along a path, and values of a dimension of the code."""
    side: int = field(default=20, metadata=within("count"))
    """Images along each side of the map of a latent space of two dimensions."""
    spherical: bool = False
    """Paths along great circles, not straight lines; codes on the sphere always have them."""

    folder = "latent"


def run(recipe: Recipe):
    """Encode test examples, decode what lies between and around their codes, and write the pictures."""
    import numpy as np

    from kerasae import runs

    with door.entered(recipe) as (recipe, source, begin):
        model = runs.load_model(recipe.run, source.info)
        check(model, source, recipe)
        directory = begin("latent", origin=model)
        examples = drawn(source.test if source.has_test else source.train, recipe)
        codes = encoded(model, examples)
        chosen, start = codes[: recipe.examples], codes.mean(0)
        written = {}
        if not model.conditional:
            written |= maps(model, codes, examples, source.info, recipe)
            values = np.linspace(*np.quantile(codes, [0.02, 0.98]), recipe.stops)
            if codes.ndim == 2:
                written["traversals"] = traversals(model, start, values)
            written["paths"], frames = paths(model, chosen, recipe)
            (directory.path / "paths.gif").write_bytes(kerasae.plots.animation(frames))
        else:
            written["classes"] = classes(model, chosen, source.info)
        for name, figure in written.items():
            figure.savefig(directory.path / f"{name}.png", dpi=110)
        return finish(directory, {"pictures": ", ".join(f"{name}.png" for name in written), "examples": len(chosen)})


def check(model, source, recipe):
    """Raise InputError for a model that decodes no images, or too few steps."""
    if len(source.info.shape) != 3 or isinstance(model, kerasae.models.Classifier):
        raise InputError(
            f"run: expected an autoencoder of images [H, W, C]. Received: {recipe.run}, a {type(model).__name__} of "
            f"examples {source.info.shape}"
        )
    for name in ("stops", "side", "examples"):
        if getattr(recipe, name) < 2:
            raise InputError(f"{name}: expected at least 2. Received: {getattr(recipe, name)}")


def drawn(split, recipe):
    """Draw the examples whose codes are looked at."""
    import numpy as np

    rows = np.random.default_rng(recipe.seed).permutation(len(split))[:CODES]
    return split.subset(rows)


def encoded(model, examples):
    """Encode examples: float32 [N, *code_shape]."""
    import numpy as np

    return np.concatenate(list(kerasae.evaluate.embedded(model, examples)))


def maps(model, codes, examples, info, recipe):
    """Draw the map of a plane or a sphere of codes, and where the classes lie on it; nothing for other codes."""
    from kerasae import plots
    from kerasae.applications import on_sphere, plane

    shape = tuple(model.code_shape)
    known = info.classes and examples.labels is not None and (examples.labels >= 0).all()
    colours = (examples.labels, info.class_names) if known else (None, None)
    if shape == (2,) and not on_sphere(model):
        where = plots.maps({"codes": codes}, *colours)
    elif shape == (3,) and on_sphere(model):
        where = plots.sphere(codes, *colours)
    else:
        return {}
    return {"map": plots.mosaic(plane(model, recipe.side)), "codes": where}


def traversals(model, start, values, most=10):
    """Draw the mean code with one dimension changed at a time, at most `most` dimensions."""
    from kerasae import plots
    from kerasae.applications import traversals as traversed

    return plots.mosaic(traversed(model, start, values, most))


def paths(model, codes, recipe):
    """Draw the way from each example to the next, and return the frames of the whole way round too."""
    import numpy as np

    from kerasae import plots
    from kerasae.applications import between, on_sphere

    bent = recipe.spherical or on_sphere(model)
    onward = np.roll(codes, -1, axis=0)
    sheet = between(codes, onward, recipe.stops, bent)
    fine = between(codes, onward, 3 * recipe.stops, bent)[:, :-1]
    images, frames = (decoded(model, z.reshape(-1, *codes.shape[1:])) for z in (sheet, fine))
    return plots.interpolations(images.reshape(*sheet.shape[:2], *images.shape[1:])), frames


def classes(model, codes, info):
    """Draw the code of each example, a row, under every class, a column."""
    from kerasae import plots
    from kerasae.applications import conditions

    return plots.mosaic(conditions(model, codes, info.classes))


def decoded(model, codes):
    """Decode codes to images in [0, 1]."""
    import keras
    import numpy as np

    return np.clip(keras.ops.convert_to_numpy(model.decode(codes)), 0, 1)
