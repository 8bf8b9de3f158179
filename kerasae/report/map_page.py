"""Write the page of a map of codes: dots that show a name and a thumbnail under the pointer.

The page is one file, with its pictures inside; it needs no network, and it holds no script: hovering is CSS.
"""

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import kerasae
from kerasae import plots

SIDE = 64
"""Longest side, in pixels, of a thumbnail; larger images are shrunk."""


def page_of_map(
    title: str,
    places: np.ndarray,
    names: Sequence[str],
    numbers: dict[str, np.ndarray],
    words: dict[str, Sequence[str]],
    images: np.ndarray | None = None,
    about: Sequence[str] = (),
) -> bytes:
    """Write the page of N places as HTML.

    Args:
        title: of the page.
        places: [N, 2].
        names: of the examples [N].
        numbers: what the dots can be coloured by, such as "cluster": whole numbers [N], -1 for none.
        words: for each of these, the text of each example [N].
        images: [N, H, W, C] in [0, 1], or None where examples are no images.
        about: lines below the title.

    Example:
        >>> page = page_of_map("map", np.eye(2), ["a", "b"], {"cluster": np.zeros(2, int)}, {"cluster": ["0", "0"]})
        >>> page.count(b'<i class="dot')
        2
    """
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(Path(__file__).with_suffix(".html.j2").read_text(encoding="utf-8"))
    unit = 100 * plots.square(np.asarray(places, np.float64))
    colours = {by: plots.colours_of(found) for by, found in numbers.items()}
    dots = [
        {
            "left": f"{unit[i, 0]:.2f}",
            "top": f"{100 - unit[i, 1]:.2f}",
            "right": unit[i, 0] > 50,
            "colours": [colours[by][i] for by in numbers],
            "name": name,
            "facts": [f"{by} {words[by][i]}" for by in numbers],
        }
        for i, name in enumerate(names)
    ]
    sprite = None if images is None else Sprite(images)
    values = {"title": title, "about": about, "by": list(numbers), "dots": dots, "sprite": sprite}
    return template.render(**values, version=kerasae.__version__).encode("utf-8", "replace")


class Sprite:
    """One picture of all thumbnails of images [N, H, W, C], of which the page shows a part for each dot."""

    def __init__(self, images: np.ndarray):
        small = np.stack([shrunk(image) for image in images])
        self.columns = math.ceil(math.sqrt(len(small)))
        self.rows = math.ceil(len(small) / self.columns)
        self.height, self.width = small.shape[1:3]
        self.zoom = max(1, 112 // max(self.height, self.width))
        blank = np.zeros((self.rows * self.columns - len(small), *small.shape[1:]), np.uint8)
        cells = np.concatenate([small, blank]).reshape(self.rows, self.columns, *small.shape[1:])
        self.picture = cells.transpose(0, 2, 1, 3, 4).reshape(self.rows * self.height, self.columns * self.width, 3)

    def place(self, i: int) -> tuple[int, int]:
        """Return how far, in pixels of the page, thumbnail i is from the left and from the top."""
        row, column = divmod(i, self.columns)
        return column * self.width * self.zoom, row * self.height * self.zoom

    @property
    def data(self) -> str:
        """Return the picture as WebP in base64, for url(data:image/webp;base64,…)."""
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(self.picture).save(buffer, format="webp", quality=85)
        return base64.b64encode(buffer.getvalue()).decode("ascii")


def shrunk(image: np.ndarray) -> np.ndarray:
    """Turn an image [H, W, C] in [0, 1] into a thumbnail of bytes, [h, w, 3]; of other channels the mean is shown."""
    from PIL import Image

    image = image if image.shape[-1] == 3 else np.repeat(image.mean(-1, keepdims=True), 3, axis=-1)
    picture = Image.fromarray(np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8))
    picture.thumbnail((SIDE, SIDE))
    return np.asarray(picture)
