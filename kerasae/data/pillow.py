"""Pillow's image operations on whole batches, each image with an amount of its own; images are uint8 [B, H, W, C].

The results are Pillow's to the last bit, except that the affine maps compute in float32, Pillow in float64.
"""

import tensorflow as tf

VALUES = 256


def affine(images: tf.Tensor, rows: tf.Tensor, fill) -> tf.Tensor:
    """`Image.transform(…, AFFINE, BICUBIC)` with a colour for what comes from outside.

    Args:
        images: uint8 [B, H, W, C].
        rows: [[a, b, c], [d, e, f]] of each image, float32 [B, 6]: the output's point (x, y), measured from the corner
            of the image, takes the value at (a x + b y + c, d x + e y + f).
        fill: whole number outside, or one per channel.
    """
    _, height, width, _ = images.shape
    a, b, c, d, e, f = tf.unstack(rows[:, :, None, None], axis=1)
    x, y = tf.range(width, dtype=tf.float32) + 0.5, tf.range(height, dtype=tf.float32)[:, None] + 0.5
    x, y = a * x + b * y + c, d * x + e * y + f
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    values = tf.cast(tf.clip_by_value(bicubic(images, x - 0.5, y - 0.5), 0.0, 255.0), tf.uint8)  # fractions are cut off
    return tf.where(inside[..., None], values, tf.cast(fill, tf.uint8))


def bicubic(images: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Values between pixels, by `cubic` along both axes: float32 [B, H, W, C]; pixels outside equal the last inside.

    Args:
        images: uint8 [B, H, W, C].
        x, y: places counted from the centre of the first pixel, float32 [B, H, W]; what comes of places that are more
            than half a pixel outside is of no use.
    """
    _, height, width, channels = images.shape
    column, row = tf.floor(x), tf.floor(y)
    # Four pixels side by side are fetched at once.
    fours = tf.clip_by_value(tf.range(width + 1)[:, None] + tf.range(-2, 2), 0, width - 1)
    fours = tf.reshape(tf.gather(images, fours, axis=2), [-1, height * (width + 1), 4 * channels])
    start = tf.clip_by_value(tf.cast(column, tf.int32) + 1, 0, width)
    lines = []
    for offset in (-1, 0, 1, 2):
        line = tf.clip_by_value(tf.cast(row, tf.int32) + offset, 0, height - 1)
        found = tf.cast(tf.gather(fours, line * (width + 1) + start, batch_dims=1), tf.float32)
        lines.append(cubic(tf.split(found, 4, axis=-1), (x - column)[..., None]))
    return cubic(lines, (y - row)[..., None])


def cubic(values, place):
    """Between the second and the third of four values, at a place in [0, 1): Keys, IEEE Trans. ASSP 29, 1981, a = −1.

    In this order of operations equal values give that value, without an error from rounding. Pillow resizes with
    a = −0.5, as `kerasae.data.crops.cubic`.
    """
    before, left, right, after = values
    curve = 2.0 * (before - left) + right - after + place * (left - before + after - right)
    return left + place * (right - before + place * curve)


def look_up(images: tf.Tensor, tables: tf.Tensor) -> tf.Tensor:
    """Replace value v of channel c of image b by tables[b, c, v]: `Image.point`.

    Args:
        images: uint8 [B, H, W, C].
        tables: int32 [B, C or 1, 256].
    """
    tables = tf.broadcast_to(tables, [tf.shape(images)[0], images.shape[-1], VALUES])
    return tf.gather(tf.reshape(tf.cast(tables, tf.uint8), [-1]), _bins(images))


def _bins(images):
    """The place of every value among those of all images and channels: int32 [B, H, W, C]."""
    batch, channels = tf.shape(images)[0], images.shape[-1]
    first = tf.reshape(tf.range(batch * channels) * VALUES, [-1, 1, 1, channels])
    return first + tf.cast(images, tf.int32)


def equalize_tables(images: tf.Tensor) -> tf.Tensor:
    """Tables of `ImageOps.equalize`: int32 [B, C, 256], for images uint8 [B, H, W, C]."""
    batch, channels = tf.shape(images)[0], images.shape[-1]
    ones = tf.ones_like(images, tf.int32)
    counts = tf.math.unsorted_segment_sum(ones, _bins(images), batch * channels * VALUES)
    counts = tf.reshape(counts, [batch, channels, VALUES])
    values = tf.range(VALUES)
    last = tf.reduce_max(tf.where(counts > 0, values, 0), axis=-1, keepdims=True)
    last_count = tf.gather(counts, last, batch_dims=2)
    step = (images.shape[1] * images.shape[2] - last_count) // (VALUES - 1)
    below = tf.cumsum(counts, axis=-1, exclusive=True)
    spread = (step // 2 + below) // tf.maximum(step, 1)
    return tf.where(step > 0, tf.minimum(spread, VALUES - 1), values)


def auto_contrast_tables(images: tf.Tensor) -> tf.Tensor:
    """Tables of `ImageOps.autocontrast`: int32 [B, C, 256], for images uint8 [B, H, W, C]."""
    wide = tf.cast(images, tf.int32)
    low, high = (tf.cast(f(wide, axis=[1, 2])[..., None], tf.float64) for f in (tf.reduce_min, tf.reduce_max))
    values = tf.range(VALUES, dtype=tf.float64)
    scale = (VALUES - 1) / tf.maximum(high - low, 1.0)  # in Pillow's order and precision, which cuts fractions off
    stretched = tf.clip_by_value(tf.cast(values * scale + -low * scale, tf.int32), 0, VALUES - 1)
    return tf.where(high > low, stretched, tf.range(VALUES))


def posterize_tables(bits: tf.Tensor) -> tf.Tensor:
    """Tables of `ImageOps.posterize`: int32 [B, 1, 256], for bits kept int32 [B]."""
    unit = tf.bitwise.left_shift(tf.ones_like(bits), 8 - bits)[:, None, None]
    return tf.range(VALUES) // unit * unit


def solarize_tables(threshold: tf.Tensor) -> tf.Tensor:
    """Tables of `ImageOps.solarize`, which inverts values from `threshold` int32 [B] up: int32 [B, 1, 256]."""
    values = tf.range(VALUES)
    return tf.where(values < threshold[:, None, None], values, VALUES - 1 - values)


def solarize_add_tables(amount: tf.Tensor, threshold: int = 128) -> tf.Tensor:
    """Tables that add `amount` int32 [B] to values below the threshold: int32 [B, 1, 256]."""
    values = tf.range(VALUES)
    return tf.where(values < threshold, tf.minimum(values + amount[:, None, None], VALUES - 1), values)


def blend(images: tf.Tensor, plain: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """`Image.blend(plain, image, factor)`: plain + factor · (image − plain), clipped and cut to whole numbers.

    Args:
        images: uint8 [B, H, W, C].
        plain: float32 of the same shape, or one that broadcasts: what a factor of 0 gives.
        factor: float32 [B].
    """
    x = tf.cast(images, tf.float32)
    return tf.cast(tf.clip_by_value(plain + factor[:, None, None, None] * (x - plain), 0.0, 255.0), tf.uint8)


def grey(images: tf.Tensor) -> tf.Tensor:
    """`Image.convert("L")` of RGB, the rounded mean of other channels: float32 [B, H, W, 1]."""
    wide = tf.cast(images, tf.int32)
    if images.shape[-1] == 3:
        total = tf.reduce_sum(wide * [19595, 38470, 7471], axis=-1, keepdims=True)
        return tf.cast((total + 0x8000) // 0x10000, tf.float32)
    return tf.floor(tf.reduce_mean(tf.cast(wide, tf.float32), axis=-1, keepdims=True) + 0.5)


def mean_grey(images: tf.Tensor) -> tf.Tensor:
    """The rounded mean of the grey values, as `ImageEnhance.Contrast` takes it: float32 [B, 1, 1, 1]."""
    mean = tf.reduce_mean(tf.cast(grey(images), tf.float64), axis=[1, 2, 3], keepdims=True)
    return tf.cast(tf.floor(mean + 0.5), tf.float32)


def smooth(images: tf.Tensor) -> tf.Tensor:
    """`Image.filter(ImageFilter.SMOOTH)`: 3 × 3 means with the centre five times, but for the border: float32."""
    x = tf.cast(images, tf.float32)
    _, height, width, _ = images.shape
    if min(height, width) < 3:
        return x
    down = x[:, :-2] + x[:, 1:-1] + x[:, 2:]
    total = down[:, :, :-2] + down[:, :, 1:-1] + down[:, :, 2:] + 4.0 * x[:, 1:-1, 1:-1]
    inner = tf.floor(total / 13.0 + 0.5)
    inner = tf.concat([x[:, 1:-1, :1], inner, x[:, 1:-1, -1:]], axis=2)
    return tf.concat([x[:, :1], inner, x[:, -1:]], axis=1)
