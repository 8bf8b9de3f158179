"""Restore images of any size by the model of a run: remove noise, fill in what is hidden, or enlarge.

Results are PNG files of the depth and colour of the images, or .npy of arrays of floats. With --clean or --noise a
table shows what the model and classical filters make of the same images.
"""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kerasae.errors import InputError
from pipelines.command_line.ranges import check, within


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings: the run, the images, the task, and where the results go."""

    run: str = field(metadata={"positional": True})
    """Directory of the run of a denoising autoencoder, or of a masked one for --task inpaint."""
    inputs: tuple[str, ...] = field(metadata={"positional": True})
    """Image files, or folders, which are searched at any depth."""
    to: str | None = None
    """Folder to write, which must be free: it appears when it is whole."""
    task: Literal["denoise", "inpaint", "superresolve"] = "denoise"
    """What to do; superresolve needs a model trained with --corruption downscale."""
    mask: str | None = None
    """Image file as large as the images, white where inpaint is to fill in, black elsewhere."""
    rectangle: tuple[int, ...] | None = None
    """In its place a rectangle to fill in: top, left, height, width, in pixels."""
    scale: int = field(default=2, metadata=within("count"))
    """Factor by which superresolve enlarges."""
    clean: str | None = None
    """Folder with what the images should be, under the same names: prints PSNR and SSIM beside classical filters."""
    noise: float | None = field(default=None, metadata=within("positive"))
    """In its place the standard deviation, of values from 0 to 1, of noise to add to clean images before denoising."""
    seed: int = field(default=0, metadata=within("seed"))
    """Seed of the noise."""
    batch_size: int = field(default=8, metadata=within("count"))
    """Tiles that are restored at once."""

    def __post_init__(self):
        check(self)


def run(recipe: Recipe):
    """Restore and write the images; print the table if there is what to compare with."""
    from kerasae import runs
    from kerasae.applications.restoring import check_model
    from pipelines.restoration import files
    from pipelines.sample import refuse_taken

    check_settings(recipe)
    if recipe.to is not None:
        refuse_taken(Path(recipe.to))
    paths = files.listed(recipe.inputs)
    model = runs.load_model(recipe.run)
    check_model(model, recipe.task)
    originals = clean_files(recipe, paths)
    intake = runs.intake(recipe.run, model)
    with tempfile.TemporaryDirectory(dir=Path(recipe.to).parent if recipe.to else None, prefix=".restore.") as folder:
        pairs, extra = [], None
        (new := Path(folder, "new")).mkdir()
        for turn, path in enumerate(paths):
            pair, picture, extra = restored(model, path, originals[turn], recipe, intake, turn)
            files.write(new, picture, pair.ours)
            pairs += [pair] if pair.clean is not None else []
        rows = compare(recipe, pairs, extra)
        if recipe.to is not None:
            place(new, Path(recipe.to))
    if recipe.to is not None:
        print(f"{recipe.to}: {len(paths)} image{'s'[: len(paths) > 1]} by {type(model).__name__}")
    return rows


def check_settings(recipe):
    """Raise InputError for settings that miss each other."""
    if (recipe.task == "inpaint") != ((recipe.mask is not None) + (recipe.rectangle is not None) == 1):
        raise InputError("mask: --task inpaint needs either --mask or --rectangle, and the other tasks need neither")
    if recipe.rectangle is not None and len(recipe.rectangle) != 4:
        raise InputError(f"rectangle: expected y x h w. Received: {' '.join(map(str, recipe.rectangle))}")
    if recipe.noise is not None and (recipe.task != "denoise" or recipe.clean is not None):
        raise InputError("noise: is added to clean images for --task denoise, in place of --clean; leave one out")
    if recipe.to is None and recipe.clean is None and recipe.noise is None:
        raise InputError("to: expected the name of a folder for the results, or --clean or --noise for a table only")
    if recipe.scale != 2 and recipe.task != "superresolve":
        raise InputError(f"scale: has no effect on --task {recipe.task}; leave it out")


def clean_files(recipe, paths):
    """Find the clean file of every image, None without; raises InputError for one that is missing."""
    from pipelines.restoration import files

    if recipe.clean is None:
        return paths if recipe.noise is not None else [None] * len(paths)
    known = {Path(path).stem: path for path in files.listed((recipe.clean,))}
    if missing := [path for path in paths if Path(path).stem not in known]:
        raise InputError(f"clean: {recipe.clean} has no image called like {missing[0]}; add it, or leave that one out")
    return [known[Path(path).stem] for path in paths]


def restored(model, path, original, recipe, intake, turn):
    """Restore one file: a `Pair` whose clean image may be None, the `Picture`, and what the filters need."""
    import numpy as np

    from kerasae import applications
    from pipelines.restoration import files, judging

    channels = model.example_shape[-1]
    picture, extra = files.read(path, channels, intake), None
    damaged = picture.pixels
    if recipe.noise is not None:
        random = np.random.default_rng((recipe.seed, turn))
        damaged = damaged + recipe.noise * random.normal(size=damaged.shape).astype(np.float32)
    if recipe.task == "inpaint":
        extra = files.read_mask(recipe.mask) if recipe.mask else files.rectangle(recipe.rectangle, damaged.shape)
        ours = applications.inpaint(model, damaged, extra, recipe.seed, recipe.batch_size)
        damaged = np.where(extra[..., None], np.float32(0), damaged)
    elif recipe.task == "superresolve":
        extra = recipe.scale
        ours = applications.superresolve(model, damaged, extra, recipe.batch_size)
    else:
        ours = applications.denoise(model, damaged, recipe.batch_size)
    clean = None if original is None else files.read(original, channels, intake).pixels
    if clean is not None and clean.shape != ours.shape:
        sizes = ["×".join(map(str, image.shape[:2])) for image in (ours, clean)]
        raise InputError(f"clean: expected {original} to have {sizes[0]} pixels, as the result. Received: {sizes[1]}")
    return judging.Pair(damaged, clean, ours), picture, extra


def compare(recipe, pairs, extra):
    """Print the table of the model and the filters; return its rows, none without clean images."""
    from pipelines.restoration import judging

    if not pairs:
        return []
    choosing, judged = judging.divided(recipe.task, pairs)
    rows = judging.table(recipe.task, choosing, judged, extra)
    for line in judging.lines(rows, len(choosing), len(judged)):
        print(line)
    return rows


def place(new, folder):
    """Move a whole folder to its place, which is free or empty."""
    if folder.exists():
        folder.rmdir()
    os.replace(new, folder)
