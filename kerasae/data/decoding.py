"""Image files that TensorFlow does not read as they are meant: decoded by Pillow and NumPy, in full depth."""

import io
import struct

import numpy as np
import tensorflow as tf
from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")  # no other decoder of Pillow meets what a file holds
MAX_PIXELS = 2**26  # about 67 million: a small file can promise an image that would fill the memory
MAX_VALUE = 2**16 - 1
ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}
GREY = {"1", "L", "LA", "La"}
DEEP = {"I", "I;16", "I;16L", "I;16B", "I;16N"}
ORIENTATION, BITS, PHOTOMETRIC, SAMPLES = 274, 258, 262, 277  # tags of EXIF and TIFF
ADVICE = "save it as PNG, or as .npy of [H, W, bands] (np.save)"


def decode(data: bytes) -> np.ndarray:
    """Decode an image file into pixels [H, W, C] of uint8, uint16 or float32, as stored.

    JPEG, PNG, BMP, GIF and WebP (first frame), TIFF (first page), and arrays [H, W] or [H, W, bands] of `np.save`.
    Orientation tags are applied. What is transparent is laid over white. CMYK becomes RGB. Images with grey pixels only
    have one channel where the file says so or has a palette.

    Raises:
        ValueError, OSError, SyntaxError: the image cannot be read in full; the message says what to do.
    """
    if is_array(data):
        return _array(data)
    if png_depth(data) == 16:
        return _deep_png(data)
    with open_image(data) as image:
        check_tiff(image)
        image.load()
        return turn(_pixels(image), orientation(image))


def is_array(data: bytes) -> bool:
    """Whether bytes are a file of `np.save`."""
    return data.startswith(b"\x93NUMPY")


def open_image(data: bytes) -> Image.Image:
    """Open an image by its header; refuses one of too many pixels."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        known = "TIFF of a kind that Pillow does not read" if data[:2] in (b"II", b"MM") else "no image of a known kind"
        raise ValueError(f"{known}; {ADVICE}") from None
    check_size(image.width, image.height)
    return image


def check_size(width: int, height: int) -> None:
    """Raise ValueError for more pixels than memory should be risked for."""
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than {MAX_PIXELS}; scale it down")


def check_tiff(image: Image.Image) -> None:
    """Raise ValueError for a TIFF of which Pillow would drop bands or bits."""
    if image.format != "TIFF":
        return
    tags = image.tag_v2
    samples, bits = int(tags.get(SAMPLES, 1)), max(np.atleast_1d(tags.get(BITS, 1)))
    if samples != len(image.getbands()):
        raise ValueError(f"TIFF of {samples} bands, of which Pillow reads {len(image.getbands())}; {ADVICE}")
    if bits > 8 and image.mode not in DEEP | {"F"}:
        raise ValueError(f"TIFF of {bits} bits in each of {samples} bands, of which Pillow reads 8; {ADVICE}")
    if bits > 8 and tags.get(PHOTOMETRIC) == 0:
        raise ValueError(f"TIFF of {bits} bits in which 0 is white; {ADVICE}")


def orientation(image: Image.Image) -> int:
    """The orientation tag, 1 to 8; 1, as stored, where there is none or it is damaged."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged tags raise many types, and say nothing about the pixels
        return 1
    return value if value in range(1, 9) else 1


def turn(pixels: np.ndarray, how: int) -> np.ndarray:
    """Bring pixels [H, W, C] that are stored in an orientation, 1 to 8, upright: EXIF 2.3, section 4.6.4."""
    pixels = pixels.swapaxes(0, 1) if how >= 5 else pixels
    pixels = pixels[:, ::-1] if how in (2, 3, 6, 7) else pixels
    return pixels[::-1] if how in (3, 4, 7, 8) else pixels


def is_transparent(image: Image.Image) -> bool:
    """Whether a pixel lets the ground through."""
    if image.mode not in ALPHA and "transparency" not in image.info:
        return False
    return _rgba(image).getchannel("A").getextrema()[0] < 255


def is_grey(pixels: np.ndarray) -> bool:
    """Whether the channels of pixels [H, W, C] are equal."""
    return bool((pixels[..., :1] == pixels).all())


def png_depth(data: bytes) -> int:
    """Bits of a sample of a PNG, 0 of other files."""
    return data[24] if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 25 else 0


def _rgba(image: Image.Image) -> Image.Image:
    premultiplied = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
    return (image.convert(premultiplied) if premultiplied else image).convert("RGBA")


def _pixels(image: Image.Image) -> np.ndarray:
    """Pixels [H, W, C] of a loaded image in its own depth."""
    if image.mode in DEEP:
        return _deep(np.asarray(image))
    if image.mode == "F":
        return _floats(np.asarray(image))
    grey, palette = image.mode in GREY, image.mode == "P"
    if image.mode in ALPHA or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), _rgba(image))
    elif grey:
        return np.asarray(image.convert("L"))[..., None]
    pixels = np.asarray(image.convert("RGB"))
    return pixels[..., :1] if grey or (palette and is_grey(pixels)) else pixels


def _deep(values: np.ndarray) -> np.ndarray:
    if values.min() < 0 or values.max() > MAX_VALUE:
        raise ValueError(f"integers from {values.min()} to {values.max()}, not 0 to {MAX_VALUE}; save it as floats")
    return _with_bands(values.astype(np.uint16))


def _with_bands(values: np.ndarray) -> np.ndarray:
    return values[..., None] if values.ndim == 2 else values


def _floats(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ValueError(f"{(~np.isfinite(values)).sum()} values are NaN or infinite; replace them")
    return _with_bands(values.astype(np.float32))


def _deep_png(data: bytes) -> np.ndarray:
    """A PNG of 16 bits, of which Pillow would drop 8 in colour."""
    with open_image(data) as image:
        how, plain = orientation(image), "transparency" not in image.info
    if not plain:
        raise ValueError(f"PNG of 16 bits with a transparent colour; {ADVICE}")
    with tf.device("CPU:0"):
        pixels = tf.io.decode_png(data, dtype=tf.uint16).numpy()
    if pixels.shape[-1] in (2, 4):
        alpha = pixels[..., -1:] / MAX_VALUE
        pixels = np.rint(pixels[..., :-1] * alpha + MAX_VALUE * (1 - alpha)).astype(np.uint16)
    return turn(pixels, how)


def _array(data: bytes) -> np.ndarray:
    """An array of `np.save`, [H, W] or [H, W, bands]."""
    try:
        values = np.load(io.BytesIO(data), allow_pickle=False)
    except (EOFError, struct.error, TypeError, MemoryError, OverflowError) as error:
        raise ValueError(f"damaged .npy: {error}") from None
    if values.ndim not in (2, 3) or 0 in values.shape:
        raise ValueError(f"array of shape {values.shape}; expected [H, W] or [H, W, bands]")
    if values.ndim == 3 and values.shape[0] < min(values.shape[1:]) and values.shape[0] <= 16:
        raise ValueError(f"array of shape {values.shape}; expected [H, W, bands], which np.moveaxis(x, 0, -1) gives")
    check_size(values.shape[1], values.shape[0])
    if values.dtype.kind == "f":
        return _floats(values)
    if values.dtype.name not in ("uint8", "uint16"):
        raise ValueError(f"array of {values.dtype}; expected uint8, uint16 or floats: x.astype('uint16')")
    return _with_bands(values.astype(values.dtype.name))  # in this machine's order of bytes
