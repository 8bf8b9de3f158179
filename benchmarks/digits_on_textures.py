"""Make a set for `kerasae segment`: digits of MNIST in random colours on striped textures, and their masks.

    python benchmarks/digits_on_textures.py DIR --data-dir TFDS [--plain]

TFDS holds MNIST as TensorFlow Datasets prepares it. Writes DIR/unlabelled, DIR/photos and DIR/masks, PNGs of 48 × 48;
photos and masks have the parts train and test. A mask says 0 for the background, 1 + the digit, and 255, ignored, for
the grey edge of a stroke. With --plain digits are white on black. Digits of the test part are from MNIST's test part.
The same seed makes the same files. docs/segmenting.md has the commands that follow, and what they gave.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import kerasae

SIDE = 48
INK, EDGE = 128, 40
"""Grey values from which a pixel is a digit, and from which it is its edge."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data-dir", help="folder of prepared TensorFlow Datasets")
    parser.add_argument("--unlabelled", type=int, default=8000)
    parser.add_argument("--train", type=int, default=200)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="white on black")
    return parser.parse_args()


def background(rng, plain):
    """Draw black, or a texture: two colours, mixed by a wave of random direction and length, and some noise."""
    if plain:
        return np.zeros((SIDE, SIDE, 3))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    angle, length, phase = rng.uniform(0, np.pi), rng.uniform(8, 32), rng.uniform(0, 2 * np.pi)
    wave = np.sin(2 * np.pi * (np.cos(angle) * rows + np.sin(angle) * columns) / length + phase)
    first, second = rng.integers(0, 256, (2, 3))
    share = (0.5 + 0.5 * wave)[..., None]
    return np.clip(share * first + (1 - share) * second + rng.normal(0, 8, (SIDE, SIDE, 1)), 0, 255)


def stamp(image, mask, digit, label, rng, plain):
    """Paint a digit [28, 28] of a random size and place, and colour if not plain, into an image and its mask."""
    side = int(rng.integers(24, 33))
    ink = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BILINEAR))
    top, left = rng.integers(0, SIDE - side + 1, 2)
    place = np.s_[top : top + side, left : left + side]
    opacity = ink[..., None] / 255
    image[place] = (1 - opacity) * image[place] + opacity * (255 if plain else colour(image[place], rng))
    part = mask[place]
    part[ink >= EDGE] = 255
    part[ink >= INK] = 1 + label


def colour(ground, rng):
    """Draw a colour that can be told from the mean of the ground."""
    while True:
        found = rng.integers(0, 256, 3)
        if np.abs(found - ground.mean(axis=(0, 1))).max() > 100:
            return found


def pictures(ink, labels, count, rng, plain):
    """Draw images uint8 [48, 48, 3] of one or two digits, of which one may cover a part of the other, and masks."""
    for _ in range(count):
        image, mask = background(rng, plain), np.zeros((SIDE, SIDE), np.uint8)
        for _ in range(rng.integers(1, 3)):
            chosen = rng.integers(len(ink))
            stamp(image, mask, ink[chosen], labels[chosen], rng, plain)
        yield np.rint(image).astype(np.uint8), mask


def write(folder, part, found, masks=True):
    """Write images, and their masks as palette PNGs."""
    photos = folder / "photos" / part if masks else folder / part
    photos.mkdir(parents=True, exist_ok=True)
    if masks:
        (folder / "masks" / part).mkdir(parents=True, exist_ok=True)
    for number, (image, mask) in enumerate(found):
        Image.fromarray(image).save(photos / f"{number:05d}.png")
        if masks:
            Image.fromarray(mask).save(folder / "masks" / part / f"{number:05d}.png")


def main():
    options = arguments()
    mnist = kerasae.data.load("tfds:mnist", data_dir=options.data_dir)
    for number, (part, split) in enumerate({"unlabelled": "train", "train": "train", "test": "test"}.items()):
        ink, labels = mnist.split(split).arrays()
        rng = np.random.default_rng([options.seed, number])
        found = pictures(ink[..., 0], labels, getattr(options, part), rng, options.plain)
        write(options.folder, part, found, masks=part != "unlabelled")
    names = ["background", *(str(digit) for digit in range(10))]
    (options.folder / "masks" / "classes.txt").write_text("\n".join(names) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
