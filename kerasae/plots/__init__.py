"""Level 4: draw training curves, reconstructions, filters and results; most functions return a matplotlib Figure.

No pyplot and no global state: the figures work without a display, in threads and in notebooks. Save one with
`figure.savefig("picture.png")`, or embed it in a page with `png_base64`.

Images are floats in [0, 1], [N, H, W, C]; for other channel counts than 1 and 3 the mean over channels is drawn.
Vectors [N, D] and long sequences [N, T, C] of up to eight features are drawn as lines, other [N, H, W] as
grey images.
"""

from kerasae.plots.courses import curves, label_curve
from kerasae.plots.examples import filters, heat_maps, image_grid, interpolations, reconstructions, rows, tangents
from kerasae.plots.latent import mosaic, sphere
from kerasae.plots.moving import animation
from kerasae.plots.placed import colours_of, square, thumbnails
from kerasae.plots.plane import field, manifold, maps
from kerasae.plots.scores import bars, confusion, estimates
from kerasae.plots.segments import coloured, overlay
from kerasae.plots.style import COLOURS, FAINT, GREYS, INK, png_base64

__all__ = [
    "COLOURS",
    "FAINT",
    "GREYS",
    "INK",
    "animation",
    "bars",
    "colours_of",
    "confusion",
    "coloured",
    "curves",
    "estimates",
    "field",
    "filters",
    "heat_maps",
    "image_grid",
    "interpolations",
    "label_curve",
    "manifold",
    "maps",
    "mosaic",
    "overlay",
    "png_base64",
    "reconstructions",
    "rows",
    "sphere",
    "square",
    "tangents",
    "thumbnails",
]
