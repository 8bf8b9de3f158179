"""Judge changes of class: test images under the code of their own and another class, by class and by style."""

import numpy as np

import kerasae
from pipelines.building.variants import scale_of
from pipelines.judging.codes import some
from pipelines.judging.samples import as_stored

CHANGED = 2000
"""Most test images whose class is changed."""

CANDIDATES = 20_000
"""Most training images among which the nearest of the asked class is sought."""


def figures_of_changes(model, source, test, seed):
    """Give test images another class and measure what they became, beside real images of that class."""
    info = source.info
    if not (model.conditional and kerasae.evaluate.can_judge(info)) or source.train.labels is None:
        return {}
    test = some(test.labelled(), CHANGED, seed)
    x, old = test.arrays()
    random = np.random.default_rng(seed)
    new = (old + random.integers(1, info.classes, len(old))) % info.classes
    real = real_images(source, x, new, random, seed)
    images = {"changed": decoded(model, x, old, new, info, seed), **real}
    judge = kerasae.evaluate.trained_judge(source)
    found = {f"{name}_class_share": judge.asked_class_share(made, new) for name, made in images.items()}
    found["judge_accuracy"] = judge.asked_class_share(x, old)
    if info.shape[-1] == 1:
        images["restored"] = decoded(model, x, old, old, info, seed)
        found |= figures_of_style(x, old, new, images)
    return found


def decoded(model, x, old, new, info, seed):
    """Decode the codes of images under classes, and store them as the data are stored."""
    codes = np.asarray(model.encode(x, old))
    return as_stored(np.asarray(model.decode(codes, new), np.float32), info, seed)


def real_images(source, x, new, random, seed):
    """Find training images of the asked classes for each image: one at random, and the nearest by pixels."""
    from sklearn.neighbors import NearestNeighbors

    pool = some(source.train.labelled(), CANDIDATES, seed)
    images, labels = pool.arrays()
    nearest, anyone = np.zeros(len(x), int), np.zeros(len(x), int)
    flat, asked = (kerasae.evaluate.raw_input(part, scale_of(source.info)) for part in (images, x))
    for label in np.unique(new):
        of_class, rows = np.flatnonzero(labels == label), np.flatnonzero(new == label)
        search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(flat[of_class])
        nearest[rows] = of_class[search.kneighbors(asked[rows], return_distance=False)[:, 0]]
        anyone[rows] = random.choice(of_class, len(rows))
    return {"nearest": images[nearest], "random": images[anyone]}


def figures_of_style(x, old, new, images):
    """Correlate slant and stroke width of images [N, H, W, 1] with those after the change; name → figure."""
    found = {}
    for measure, name in ((kerasae.evaluate.slant, "slant"), (kerasae.evaluate.stroke_width, "width")):
        before = measure(x[..., 0])
        for which, made in images.items():
            asked = old if which == "restored" else new
            found[f"{which}_{name}_kept"] = kerasae.evaluate.style_kept(before, measure(made[..., 0]), old, asked)
    return found
