"""How good restored images are, and classical filters for the same task whose parameters are chosen on other images.

The filters are scikit-image's, SciPy's and, where it is installed, OpenCV's; the extra is `kerasae[restore]`.
"""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kerasae.errors import InputError

WINDOW = 11
"""Side of the window of `ssim`; smaller images have none."""


def psnr(clean, found, where=None):
    """Compute the peak signal-to-noise ratio 10 log₁₀(1 / mean squared error), in dB, of values in [0, 1].

    Args:
        clean, found: [H, W, C].
        where: None, or bool [H, W] of the pixels that count.

    Example:
        >>> psnr(np.zeros((2, 2, 1)), np.full((2, 2, 1), 0.1))
        20.0
    """
    error = np.square(np.asarray(clean, np.float64) - found)
    return float(-10 * np.log10(max(np.mean(error if where is None else error[where]), 1e-12)))


def ssim(clean, found):
    """Compute the structural similarity of two images [H, W, C] in [0, 1], at most 1; NaN below 11 pixels.

    Wang, Bovik, Sheikh and Simoncelli, IEEE Trans. Image Processing 13 (2004), with their Gaussian window of σ = 1.5,
    by scikit-image; a mean over the channels.
    """
    if min(np.shape(clean)[:2]) < WINDOW:
        return float("nan")
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    compare = skimage("metrics").structural_similarity
    return float(compare(np.asarray(clean, np.float64), np.float64(found), data_range=1.0, channel_axis=-1, **window))


class Filter(NamedTuple):
    """A classical method of restoration."""

    apply: Callable
    """(image [H, W, C], hidden or scale or None, parameter) → [H, W, C]."""
    parameters: tuple[Any, ...] = (None,)
    """Parameters to choose from."""


def chosen(method, damaged, clean, extra=None):
    """Choose the parameter of a `Filter` with the highest mean PSNR on some images: lists of [H, W, C]."""
    if len(method.parameters) == 1:
        return method.parameters[0]

    def quality(parameter):
        found = [method.apply(image, extra, parameter) for image in damaged]
        return np.mean([psnr(a, np.clip(b, 0, 1)) for a, b in zip(clean, found, strict=True)])

    return max(method.parameters, key=quality)


def denoising_filters():
    """List the filters for noise: name → `Filter`; wavelets and BM3D where their libraries are installed."""
    found = {
        "median": Filter(median, (1, 3, 5, 7, 9, 11, 13)),
        "bilateral": Filter(bilateral, tuple((c, s) for c in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6) for s in (1, 2, 3))),
        "non-local means": Filter(non_local_means, tuple((h, s) for s in STRENGTHS for h in (0.4, 0.6, 0.8))),
        "total variation": Filter(total_variation, (0.03, 0.05, 0.08, 0.12, 0.18, 0.27, 0.4, 0.6, 0.9, 1.3, 1.8)),
    }
    if importlib.util.find_spec("pywt"):
        found["wavelets"] = Filter(wavelets, STRENGTHS)
    if importlib.util.find_spec("bm3d"):
        found["BM3D"] = Filter(bm3d, STRENGTHS)
    return found


STRENGTHS = (0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5)
"""Standard deviations of noise that filters are set to."""


def inpainting_filters():
    """List the methods for holes: name → `Filter`, none with a parameter to choose; Telea's where OpenCV is."""
    found = {"mean of the rest": Filter(mean_of_rest), "biharmonic": Filter(biharmonic)}
    if importlib.util.find_spec("cv2"):
        found["Telea"] = Filter(telea)
    return found


def enlarging_filters():
    """List the methods for enlarging: name → `Filter`, none with a parameter to choose."""
    return {"bicubic": Filter(bicubic), "Lanczos": Filter(lanczos)}


def skimage(module):
    """Import a module of scikit-image; raises InputError where it is missing."""
    try:
        return importlib.import_module(f"skimage.{module}")
    except ImportError:
        raise InputError('scikit-image is missing; pip install "kerasae[restore]"') from None


# ---- the methods


def as_skimage(image):
    """Return an image [H, W, C] as scikit-image takes it, a grey one as [H, W], and the axis of its channels."""
    return (image[..., 0], None) if image.shape[-1] == 1 else (image, -1)


def median(image, _, side):
    """Take the median of each square, of every channel by itself."""
    from scipy import ndimage

    return ndimage.median_filter(image, (side, side, 1))


def bilateral(image, _, parameter):
    """Average neighbours of like colour: Tomasi and Manduchi, ICCV 1998."""
    color, spatial = parameter
    # Its table of colours starts at 0, which noise may fall below.
    values, axis = as_skimage(np.clip(image, 0, 1).astype(np.float64))
    # Beyond the edge lies black unless it is said that the edge goes on.
    options = {"sigma_color": color, "sigma_spatial": spatial, "mode": "edge", "channel_axis": axis}
    return skimage("restoration").denoise_bilateral(values, **options).reshape(image.shape)


def non_local_means(image, _, parameter):
    """Average pixels with like surroundings: Buades, Coll and Morel, CVPR 2005."""
    (factor, sigma), (values, axis) = parameter, as_skimage(image)
    options = {"h": factor * sigma, "sigma": sigma, "patch_size": 5, "patch_distance": 6, "channel_axis": axis}
    return skimage("restoration").denoise_nl_means(values, fast_mode=True, **options).reshape(image.shape)


def total_variation(image, _, weight):
    """Penalise the length of the gradient: Rudin, Osher and Fatemi, Physica D 60 (1992), by Chambolle's algorithm."""
    values, axis = as_skimage(image)
    return skimage("restoration").denoise_tv_chambolle(values, weight, channel_axis=axis).reshape(image.shape)


def wavelets(image, _, sigma):
    """Shrink wavelet coefficients: Chang, Yu and Vetterli, IEEE Trans. Image Processing 9 (2000)."""
    values, axis = as_skimage(image)
    options = {"channel_axis": axis, "rescale_sigma": True}
    return skimage("restoration").denoise_wavelet(values, sigma, **options).reshape(image.shape)


def bm3d(image, _, sigma):
    """Filter stacks of like blocks: Dabov, Foi, Katkovnik and Egiazarian, IEEE Trans. Image Processing 16 (2007)."""
    found = importlib.import_module("bm3d").bm3d(np.squeeze(image), sigma)
    return np.reshape(found, image.shape)


def mean_of_rest(image, hidden, _):
    """Fill the hole with the mean colour of the known pixels."""
    return np.where(hidden[..., None], image[~hidden].mean(axis=0), image)


def biharmonic(image, hidden, _):
    """Continue the image smoothly into the hole: Damelin and Hoang, Int. J. Math. 2018."""
    return skimage("restoration").inpaint_biharmonic(np.float64(image), hidden, channel_axis=-1)


def telea(image, hidden, _):
    """March into the hole from its edge: Telea, J. Graphics Tools 9 (2004), on bytes."""
    cv2 = importlib.import_module("cv2")
    stored = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    found = [cv2.inpaint(stored[..., c], hidden.astype(np.uint8), 3, cv2.INPAINT_TELEA) for c in range(image.shape[-1])]
    return np.stack(found, axis=-1) / 255.0


def bicubic(image, scale, _):
    """Enlarge by Keys's kernel."""
    return _resized(image, scale, "BICUBIC")


def lanczos(image, scale, _):
    """Enlarge by Lanczos's kernel of 6×6 pixels."""
    return _resized(image, scale, "LANCZOS")


def _resized(image, scale, kernel):
    from PIL import Image

    size = (image.shape[1] * scale, image.shape[0] * scale)
    channels = [Image.fromarray(np.float32(image[..., c])) for c in range(image.shape[-1])]
    return np.stack([np.asarray(c.resize(size, Image.Resampling[kernel])) for c in channels], axis=-1)
