"""Stored pixels and the unit range that models compute in."""

from keras import ops


def to_unit(x, pixel_max=255.0):
    """Turn stored values into floats: integers become ``x / pixel_max``, floats are kept.

    Args:
        x: tensor of any shape, integer or floating.
        pixel_max: the stored integer that means 1.0 (255 for 8-bit images, 1 for binarised data).

    Returns:
        float32 tensor of the same shape; integers in 0…pixel_max land in [0, 1].
    """
    x = ops.convert_to_tensor(x)
    if "float" in str(x.dtype):
        return ops.cast(x, "float32")
    return ops.cast(x, "float32") * (1.0 / pixel_max)


def total_variation(images):
    """Compute the anisotropic total variation of images per value: [B, H, W, C] → float32 [B].

    Σ |x_{i+1,j} − x_{i,j}| + |x_{i,j+1} − x_{i,j}|, divided by H W C: Rudin, Osher and Fatemi, Physica D 60 (1992).

    Example:
        >>> total_variation(np.float32([[[[0.0], [1.0]], [[0.0], [1.0]]]]))  # two steps of 1 among four values
        array([0.5], dtype=float32)
    """
    x = ops.cast(images, "float32")
    down, right = x[:, 1:] - x[:, :-1], x[:, :, 1:] - x[:, :, :-1]
    count = x.shape[1] * x.shape[2] * x.shape[3]
    return (sum_per_example(ops.abs(down)) + sum_per_example(ops.abs(right))) / count


def sum_per_example(x):
    """Sum a [B, ...] tensor over all axes but the batch, in float32: [B]."""
    x = ops.cast(x, "float32")
    return ops.sum(ops.reshape(x, (ops.shape(x)[0], -1)), axis=-1)
