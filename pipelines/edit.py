"""Edit images in the space of codes: along a direction between two groups, or on the way from one image to another.

`--with A --without B` learns the direction from the images of two folders, `--label-a 3 --label-b 8` from two classes
of the run's data; it is applied to files, or to test images of the second class. `--between a.png b.png` goes from one
image to the other instead. The folder that is written holds a sheet, every image, and animations.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import kerasae
from kerasae.errors import InputError
from pipelines.command_line.ranges import check, within

GROUP = 2000
"""Most images of a group, drawn at random."""

ON_SHEET = 12
"""Most files on the sheet and in the animation."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings: the run, the groups or the two ends, the files, and where the results go."""

    run: str = field(metadata={"positional": True})
    """Directory of the run of an autoencoder of grey or colour images."""
    inputs: tuple[str, ...] = field(default=(), metadata={"positional": True, "may_be_empty": True})
    """Image files, folders of images, or .npz files to edit; test images of the class --label-b when not given."""
    to: str
    """Folder to write, which must be free: it appears when it is whole."""
    with_: str | None = None
    """Folder, or .npz file, of images that have the property."""
    without: str | None = None
    """Folder, or .npz file, of images that lack it."""
    label_a: str | None = None
    """Class of the run's data, by its name or number, in place of --with."""
    label_b: str | None = None
    """Class of the run's data in place of --without."""
    strength: tuple[float, ...] = field(default=(-2.0, -1.0, 0.0, 1.0, 2.0), metadata=within("strength"))
    """How far along: 1 is the distance from the mean of the images without the property to that with it."""
    between: tuple[str, ...] | None = None
    """Two image files, to go from the first to the second: in pixels, and by codes on a line and on a great circle."""
    steps: int = field(default=9, metadata=within("count"))
    """Images of such a path, both ends included."""
    examples: int = field(default=8, metadata=within("count"))
    """Test images that are edited where no files are given."""
    format: Literal["gif", "webp"] = "gif"
    """Kind of the animations: GIF, of 256 colours a frame, or WebP."""
    data_dir: str | None = None
    """Folder in which TensorFlow Datasets keeps its data sets; that of the run when not given."""
    seed: int = field(default=0, metadata=within("seed"))
    """Seed of the images that are held out, and of those that are drawn."""

    def __post_init__(self):
        check(self)
        check_mode(self)


def check_mode(recipe) -> None:
    """Raise InputError unless the recipe names two folders, two classes, or two ends, and what goes with them."""
    pairs = {
        "--with, --without": (recipe.with_, recipe.without),
        "--label-a, --label-b": (recipe.label_a, recipe.label_b),
        "--between": (recipe.between,),
    }
    given = [name for name, values in pairs.items() if any(value is not None for value in values)]
    if len(given) != 1:
        raise InputError(f"edit: expected one of {'; '.join(pairs)}. Received: {'; '.join(given) or 'none'}")
    if None in pairs[given[0]]:
        raise InputError(f"edit: expected both of {given[0]}. Received: one")
    if recipe.between is None:
        if recipe.with_ is not None and not recipe.inputs:
            raise InputError("input: expected files to edit, after the run. Received: none")
        return
    if len(recipe.between) != 2 or recipe.inputs:
        given = [*recipe.between, *recipe.inputs]
        raise InputError(f"between: expected two image files and no other. Received: {' '.join(given)}")
    if recipe.steps < 2:
        raise InputError(f"steps: expected at least 2. Received: {recipe.steps}")


class Images(NamedTuple):
    """Images with their names."""

    names: list[str]
    x: Any
    """As stored, [N, H, W, C]."""


def run(recipe: Recipe) -> Path:
    """Edit, write the folder, and print how good the direction is."""
    from kerasae import runs
    from pipelines.sample import new_folder

    place = Path(recipe.to)
    with new_folder(place) as folder:
        model = runs.load_model(recipe.run)
        refuse_model(recipe.run, model)
        intake = runs.intake(recipe.run, model)
        lines = path(folder, model, intake, recipe) if recipe.between else edits(folder, model, intake, recipe)
    print("\n".join([f"{place}: {lines[0]}", *lines[1:]]))
    return place


def refuse_model(path, model) -> None:
    """Raise InputError for a model that does not decode codes to pictures, or needs a class for it."""
    from kerasae.applications import is_picture

    if not hasattr(model, "reconstruct") or getattr(model, "has_tokens", False) or not is_picture(model):
        found = f"{path}, a {type(model).__name__} of examples {tuple(model.example_shape)}"
        raise InputError(f"run: expected an autoencoder that decodes codes to grey or colour images. Received: {found}")
    if model.conditional:
        raise InputError(f"run: {path} is conditional, and draws classes by itself; see kerasae sample and latent")


def read(name_or_names, intake) -> Images:
    """Read image files, folders and .npz files as the run has read its data."""
    import numpy as np

    from pipelines.predict import examples, refuse_missing

    inputs = (name_or_names,) if isinstance(name_or_names, str) else name_or_names
    refuse_missing(inputs)
    names, values = [], []
    for name, row in examples(inputs, intake):
        try:
            values.append(intake.file(name) if row is None else intake.row(row, name))
        except kerasae.data.BrokenImage as error:
            raise InputError(f"input: {name} cannot be read as an image ({error}); repair or remove it") from None
        names.append(kerasae.results.encodable(name))
    return Images(names, np.stack(values))


def encoded(model, x):
    """Encode images: float32 [N, *code_shape]."""
    import keras
    import numpy as np

    return np.asarray(keras.ops.convert_to_numpy(model.encode(x)), np.float32)


def shown(model, x):
    """Bring stored images into [0, 1]."""
    import keras
    import numpy as np

    return np.asarray(keras.ops.convert_to_numpy(model.restored(model.prepare(x).x)), np.float32)


# ---- along a direction


def edits(folder, model, intake, recipe) -> list[str]:
    """Learn the direction, edit the files, write them, and return what to print."""
    import numpy as np

    from kerasae import applications
    from pipelines.latent import decoded

    present, absent, files = grouped(model, intake, recipe)
    codes = [encoded(model, x) for x in (present, absent, files.x)]
    direction = applications.learn_direction(codes[0], codes[1], recipe.seed)
    strengths = sorted({*recipe.strength, 0.0})
    sphere = applications.on_sphere(model)
    places = applications.moved(codes[2], direction.vector, np.array(strengths), sphere)
    images = decoded(model, places.reshape(-1, *places.shape[2:])).reshape(*places.shape[:2], *files.x.shape[1:])
    judge, lines = judged(model, direction, present, absent, recipe.seed)
    rows, table = measured(model, judge, present, absent, files, images, strengths, direction)
    write_edits(folder, model, files, images, strengths, rows)
    np.savez(folder / "direction.npz", direction=direction.vector)
    frames = moving(model, codes[2][:ON_SHEET], direction.vector, strengths, sphere)
    (folder / f"edit.{recipe.format}").write_bytes(kerasae.plots.animation(frames, recipe.format, 120, side=640))
    return [f"{len(files.names)} images at {len(strengths)} strengths", *lines, *table]


def grouped(model, intake, recipe):
    """Read the images with the property, those without it, and those to edit."""
    if recipe.with_ is not None:
        present, absent = (some(read(name, intake).x, recipe.seed) for name in (recipe.with_, recipe.without))
        return present, absent, read(recipe.inputs, intake)
    source = opened(model, recipe)
    numbers = [kerasae.data.class_number(source.info, label) for label in (recipe.label_a, recipe.label_b)]
    present, absent = (of_class(source.train, number, GROUP, recipe.seed).x for number in numbers)
    part = source.test if source.has_test else source.train
    files = read(recipe.inputs, intake) if recipe.inputs else of_class(part, numbers[1], recipe.examples, recipe.seed)
    return present, absent, files


def opened(model, recipe):
    """Open the run's data, which must have classes."""
    from kerasae import runs

    recorded = runs.read_recipe(recipe.run)["recipe"]
    if recorded.get("data") is None:
        raise InputError(f"label_a: {recipe.run} records no data set; give folders, --with and --without")
    source = runs.open_source({**recorded, "only_class": None}, recipe.data_dir)
    runs.check_fit(Path(recipe.run) / "model.keras", model, source.info)
    if not source.info.class_names:
        raise InputError(f"label_a: {source.info.spec} has no classes; give folders, --with and --without")
    return source


def of_class(split, number, most, seed) -> Images:
    """Draw at most `most` images of a class."""
    import numpy as np

    rows = np.flatnonzero(split.labels == number) if split.labels is not None else []
    if len(rows) == 0:
        raise InputError(f"label: no image of class {number} in this part of the data; name another")
    rows = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    return Images([f"example {row}" for row in split.rows[rows]], split.subset(rows).arrays()[0])


def some(x, seed):
    """Draw at most GROUP images."""
    import numpy as np

    return x[np.sort(np.random.default_rng(seed).permutation(len(x))[:GROUP])]


def judged(model, direction, present, absent, seed):
    """Learn the same from pixels and from principal components; return the judge in pixels, and lines of a table."""
    import numpy as np

    from kerasae import applications, evaluate

    raw = [evaluate.raw_input(x, model.pixel_max) for x in (present, absent)]
    width = int(np.prod(model.code_shape))
    pca = evaluate.principal_components(np.concatenate(raw), *raw, count=width, seed=seed)
    found = {"codes": direction, f"PCA, {pca[0].shape[1]} components": applications.learn_direction(*pca, seed=seed)}
    found[f"raw, {raw[0].shape[1]} values"] = judge = applications.learn_direction(*raw, seed=seed)
    lines = [
        f"direction by {direction.method}, learned from {direction.learned} images, judged on {direction.held_out}:"
    ]
    lines += [f"  {'of':24} accuracy  AUROC  method"]
    lines += [f"  {name:24} {d.accuracy:8.3f} {d.auroc:6.3f}  {d.method}" for name, d in found.items()]
    best = max((name for name in found if name != "codes"), key=lambda name: found[name].auroc)
    better = direction.auroc > found[best].auroc
    lines += [f"  the codes separate the groups {'better than' if better else 'no better than'} {best}"]
    return judge, lines


def measured(model, judge, present, absent, files, images, strengths, direction):
    """Measure each edited image: its distance to the file, and what the judge in pixels calls it."""
    import numpy as np

    from kerasae import evaluate

    original = evaluate.raw_input(shown(model, files.x), 1.0)
    rows, table = [], [f"  {'strength':>8}  RMSE to the file  called with, by a judge in raw pixels"]
    for s, strength in enumerate(strengths):
        made = evaluate.raw_input(images[:, s], 1.0)
        distances, called = np.sqrt(np.square(made - original).mean(axis=1)), judge.score(made) > 0
        rows += [(i, strength, float(d), bool(c)) for i, (d, c) in enumerate(zip(distances, called, strict=True))]
        table.append(f"  {signed(strength):>8}  {np.sqrt(np.square(distances).mean()):16.4f}  {called.mean():.0%}")
    training = evaluate.raw_input(np.concatenate([present, absent]), model.pixel_max)
    count = int(np.prod(model.code_shape))
    pca = evaluate.principal_reconstructions(training, original, count)
    error = np.sqrt(np.square(pca - original).mean())
    called = (judge.score(original) > 0).mean()
    table.append(f"  the files themselves are called with: {called:.0%}; strength 0 is what the model makes of them")
    table.append(f"  {min(count, *training.shape)} principal components of the two groups reconstruct at {error:.4f}")
    return rows, table


def write_edits(folder, model, files, images, strengths, rows) -> None:
    """Write every edited image, the sheet, and the table edits.csv."""
    from kerasae import plots

    digits = len(str(len(files.names)))
    names = [[f"{i + 1:0{digits}d}_{signed(s)}.png" for s in strengths] for i in range(len(files.names))]
    for row, row_names in zip(images, names, strict=True):
        for image, name in zip(row, row_names, strict=True):
            write_png(folder / name, image)
    table = [
        {"file": files.names[i], "strength": f"{s:g}", "image": names[i][strengths.index(s)], "rmse": f"{d:.6g}"}
        | {"called_with": "yes" if called else "no"}
        for i, s, d, called in sorted(rows)
    ]
    kerasae.runs.write_rows(folder / "edits.csv", table)
    columns = {"file": shown(model, files.x[:ON_SHEET])}
    columns |= {signed(strength): images[:ON_SHEET, s] for s, strength in enumerate(strengths)}
    plots.rows(columns).savefig(folder / "sheet.png", dpi=110, facecolor="white")


def signed(strength: float) -> str:
    """Spell a strength, such as +1 or 0."""
    return f"{strength:+g}" if strength else "0"


def write_png(path, image) -> None:
    """Write an image [H, W, C] in [0, 1]."""
    import tensorflow as tf

    from kerasae.applications import pixels

    path.write_bytes(tf.io.encode_png(pixels(image)).numpy())


def moving(model, codes, vector, strengths, sphere):
    """Decode the way from the least strength to the greatest and back, up to four files in a row: [T, H, W, C]."""
    import numpy as np

    from kerasae import applications
    from pipelines.latent import decoded

    fine = np.linspace(strengths[0], strengths[-1], 17) if len(strengths) > 1 else np.array(strengths)
    there = np.concatenate([fine, fine[-2:0:-1]])
    places = applications.moved(codes, vector, there, sphere).swapaxes(0, 1)
    images = decoded(model, places.reshape(-1, *places.shape[2:]))
    images = images.reshape(*places.shape[:2], *images.shape[1:])
    columns = min(4, len(codes))
    images = np.pad(images, [(0, 0), (0, -len(codes) % columns), *[(0, 0)] * 3])
    lines = [
        np.concatenate(list(line), axis=2) for line in images.swapaxes(0, 1).reshape(-1, columns, *images[:, 0].shape)
    ]
    return np.concatenate(lines, axis=1)


# ---- from one image to another


def path(folder, model, intake, recipe) -> list[str]:
    """Write the ways between two images, in pixels and by codes; return what to print."""
    import numpy as np

    from kerasae import applications, plots
    from pipelines.latent import decoded

    ends = read(recipe.between, intake)
    if len(ends.names) != 2:
        raise InputError(f"between: expected two image files. Received: {len(ends.names)} images in them")
    codes, original = encoded(model, ends.x), shown(model, ends.x)
    kinds = {"circle": True} if applications.on_sphere(model) else {"line": False, "circle": True}

    def along(kind, steps):
        return decoded(model, applications.between(codes[:1], codes[1:], steps, kinds[kind])[0])

    rows = {"pixels": applications.between(original[:1], original[1:], recipe.steps)[0]}
    for kind in kinds:
        rows[kind] = along(kind, recipe.steps)
        for i, image in enumerate(rows[kind], 1):
            write_png(folder / f"{kind}_{i:0{len(str(recipe.steps))}d}.png", image)
        frames = along(kind, 3 * recipe.steps)
        there_and_back = np.concatenate([frames, frames[-2:0:-1]])
        (folder / f"{kind}.{recipe.format}").write_bytes(plots.animation(there_and_back, recipe.format))
    plots.rows(rows).savefig(folder / "sheet.png", dpi=110, facecolor="white")
    made = decoded(model, codes)
    errors = np.sqrt(np.square(made - original).reshape(2, -1).mean(axis=1))
    said = ", ".join(f"{name} {error:.4f}" for name, error in zip(ends.names, errors, strict=True))
    return [f"{recipe.steps} images by {' and by '.join(kinds)}", f"  RMSE of the ends to the files: {said}"]
