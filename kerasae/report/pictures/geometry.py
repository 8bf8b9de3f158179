"""Draw the geometry that a model has learned: tangents, fields and manifolds of the plane, maps of codes."""

import math

import numpy as np

import kerasae
from kerasae import plots
from kerasae.report.pictures.autoencoders import Examples, corruption
from kerasae.report.pictures.rendering import Picture, array, picture, plain

MOST_CODES = 512
"""Longest code whose Jacobian is found: each number of the code is a backward pass."""

MOST_VALUES, FEWEST_EXAMPLES = 20_000_000, 50
"""Most values of all examples of a map together, and the fewest examples that make one."""


def manifold_tangents(model, examples: Examples, count=5, directions=7) -> Picture | None:
    """Draw a few examples, each with the directions in which its code changes most."""
    if not model.has_tangents or model.conditional or not 2 <= len(model.example_shape) <= 3:
        return None
    width = math.prod(model.unit_encoder().output_shape[1:])
    if width > MOST_CODES:
        return None
    x = examples.images[:count]
    found, _ = kerasae.evaluate.tangents(model, x, min(directions, width))
    figure = plots.tangents(array(model.restored(model.prepare(x).x)), found)
    caption = (
        "Examples, and the directions of the input in which the code of each changes most, the strongest first: where "
        "the encoder ignores all others, they are tangents of the data's manifold. Mid-grey does not change."
    )
    return picture("Manifold tangents", caption, figure, 0.78)


def plane_manifold(model, source, count=300) -> Picture | None:
    """Draw points of the plane, spoilt as in training where the model does so, and where they are reconstructed."""
    if model.example_shape != (2,) or model.conditional:
        return None
    values, corrupt = model.prepare(some(source, count)[0]).x, corruption(model)
    x = array(model.restored(values))
    noisy = None if corrupt is None else array(model.restored(corrupt(values)))
    figure = plots.manifold(x, array(model.reconstruct(x if noisy is None else noisy)), noisy)
    caption = "Where the model moves examples of the plane: to the manifold that its code describes."
    return picture("Reconstruction in the plane", caption, figure, 0.8)


def denoising_field(model, source, side=21) -> Picture | None:
    """Draw the score of the density that a denoising autoencoder of Gaussian noise has learned, on a grid."""
    noise = corruption(model)
    if model.example_shape != (2,) or model.conditional or not isinstance(noise, kerasae.layers.GaussianCorruption):
        return None
    x = array(model.restored(model.prepare(some(source)[0]).x))
    ends = zip(x.min(axis=0), x.max(axis=0), strict=True)
    axes = [np.linspace(low - 0.15 * (high - low), high + 0.15 * (high - low), side) for low, high in ends]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype("float32")
    scale = model.standardization
    deviation = noise.stddev * (1.0 if scale is None else np.asarray(scale.deviation, np.float32))
    figure = plots.field(grid, kerasae.evaluate.score_field(model, grid, deviation), x)
    caption = "Arrows: the way up the density of the data, (reconstruction − x) / σ². Dots: examples."
    return picture("Denoising field", caption, figure, 0.8)


def map_of_codes(model, source) -> Picture | None:
    """Draw the codes of examples on the plane, beside principal components and distances of the examples themselves."""
    most = min(kerasae.evaluate.plane.MOST, MOST_VALUES // math.prod(model.example_shape))
    if model.conditional or most < FEWEST_EXAMPLES:
        return None
    x, labels = some(source, most)
    if len(x) < FEWEST_EXAMPLES:
        return None
    _, panels = kerasae.evaluate.planar_maps(model, x)
    named = source.info.class_names is not None and labels.ndim == 1 and labels.min() >= 0
    names = [plain(str(name)) for name in source.info.class_names] if named else None
    figure = plots.maps(panels, labels if named else None, names)
    caption = f"{len(x)} examples, drawn at random, by their codes, and by the data alone: principal components, and "
    caption += "distances as nearly as the plane can show them (multidimensional scaling)."
    return picture("Map of codes", caption + (" Colours are classes." if named else ""), figure, 0.8)


def some(source, count=500) -> tuple[np.ndarray, np.ndarray]:
    """Draw test examples at random, and their labels; of ratings the known ones, as both splits have the same rows."""
    split = source.test if source.has_test and source.info.kind != "ratings" else source.train
    rows = np.sort(np.random.default_rng(0).permutation(len(split))[:count])
    x, labels = split.gather(rows)
    return x.numpy(), labels.numpy()
