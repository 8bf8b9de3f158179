"""Restore images by a trained denoiser or masked autoencoder, beside classical filters tuned on other images.

Every filter's parameter is chosen by PSNR on validation images with the same noise; all methods then get the same test
images. Noise is Gaussian and not clipped. Figures that were measured stand in docs/restoring.md.

    python -m benchmarks.restoring denoise runs/cifar tfds:cifar10 DIR   # DIR: where TensorFlow Datasets keeps its data
    python -m benchmarks.restoring denoise runs/cifar photographs        # china and flower of scikit-learn, 427×640
    python -m benchmarks.restoring patches patches.npz DIR               # what docs/restoring.md trains photographs on
    python -m benchmarks.restoring inpaint runs/cifar tfds:cifar10 DIR   # a centre square of a quarter of the side
    python -m benchmarks.restoring enlarge runs/twice photographs        # by 2

BM3D and wavelets are among the filters where the packages bm3d and PyWavelets are installed, and Telea's method where
OpenCV is.
"""

import sys

import numpy as np

import kerasae
from kerasae import applications
from kerasae.evaluate import restoration
from pipelines.restoration import judging

LEVELS = (0.1, 0.25, 0.5)
CHOOSING, JUDGED = 20, 100
"""Numbers of small images."""


def pictures(spec, folder=None):
    """Load clean images in [0, 1]: those that choose parameters, and those that are judged."""
    if spec == "photographs":
        return photographs()
    source = kerasae.data.load(spec, data_dir=folder)
    parts = source.train.subset(np.arange(CHOOSING)), source.test.subset(np.arange(JUDGED))
    return [[np.float32(image / source.info.max_value) for image in part.arrays()[0]] for part in parts]


def photographs():
    """Load photographs: middles of two of scikit-image to choose by, and two of scikit-learn to be judged."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    choosing = [image[100:260, 100:260] for image in (data.chelsea(), data.coffee())]
    return [[np.float32(image) / 255 for image in part] for part in (choosing, load_sample_images().images)]


def write_patches(file, folder, side=32):
    """Write training patches: of five other photographs of scikit-image in all orders of colours, and of CIFAR-10."""
    from pathlib import Path

    import skimage
    from PIL import Image

    names = ("astronaut.png", "rocket.jpg", "motorcycle_left.png", "motorcycle_right.png", "ihc.png")
    place = Path(skimage.__file__).parent / "data"
    images = [np.asarray(Image.open(place / name).convert("RGB")) for name in names]
    found, random = kerasae.data.cut_patches(images, side, count=2500), np.random.default_rng(0)
    found = np.stack([patch[..., random.permutation(3)] for patch in found])
    small = kerasae.data.load("tfds:cifar10", data_dir=folder).train.subset(np.arange(len(found))).arrays()[0]
    np.savez(file, x_train=np.concatenate([found, small]))


def square(shape):
    """Make the mask of a centre square of a quarter of the image's side: bool [H, W]."""
    hidden, (height, width) = np.zeros(shape[:2], bool), (n // 4 for n in shape[:2])
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    hidden[top : top + height, left : left + width] = True
    return hidden


def with_noise(images, level, seed):
    """Add Gaussian noise to images."""
    random = np.random.default_rng(seed)
    return [image + level * random.normal(size=image.shape).astype(np.float32) for image in images]


def pairs(restore, damaged, clean):
    """Restore damaged images, and keep all three."""
    return [judging.Pair(a, b, restore(a)) for a, b in zip(damaged, clean, strict=True)]


def report(task, choosing, judged, extra=None):
    """Print the table of one setting."""
    for line in judging.lines(judging.table(task, choosing, judged, extra), len(choosing), len(judged)):
        print(line, flush=True)


def denoise(model, choosing, judged):
    """Print a table for every level of noise."""
    for level in LEVELS:
        print(f"\nnoise of standard deviation {level}")
        before = [judging.Pair(*both, None) for both in zip(with_noise(choosing, level, 1), choosing, strict=True)]
        report("denoise", before, pairs(lambda x: applications.denoise(model, x), with_noise(judged, level, 2), judged))


def inpaint(model, _, judged):
    """Print the table of a hidden centre square."""
    hidden = square(judged[0].shape)
    damaged = [np.where(hidden[..., None], np.float32(0), image) for image in judged]
    report("inpaint", [], pairs(lambda x: applications.inpaint(model, x, hidden), damaged, judged), hidden)


def enlarge(model, _, judged, scale=2):
    """Print the table of images that were shrunk by 2."""
    even = [image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale] for image in judged]
    damaged = [np.asarray(kerasae.ops.shrink_images(image[None], scale))[0] for image in even]
    report("superresolve", [], pairs(lambda x: applications.superresolve(model, x, scale), damaged, even), scale)


if __name__ == "__main__":
    task, run, *data = sys.argv[1:]
    if task == "patches":
        sys.exit(write_patches(run, *data))
    restoration.skimage("restoration")
    {"denoise": denoise, "inpaint": inpaint, "enlarge": enlarge}[task](kerasae.runs.load_model(run), *pictures(*data))
