"""Attention on Keras's JAX backend, with cuDNN's fused kernel on GPUs."""

import re

from keras import ops

from kerasae.ops.activations import narrow


def attention(q, k, v):
    """Compute softmax(q kᵀ / √d) v, softmax in float32: [B, Q, heads, d], twice [B, T, heads, d] → [B, Q, heads, d].

    In bfloat16 and float16 on NVIDIA GPUs since Ampere it uses cuDNN's kernel, which is faster: it stores one number
    per query instead of T attention weights.
    """
    if has_kernel(q):
        return even_attention(q, k, v, "cudnn")
    return ops.dot_product_attention(q, k, v, flash_attention=False)  # Keras's flash attention for TPUs is causal


def has_kernel(q):
    """Tell whether cuDNN has a kernel for queries q, [B, Q, heads, d], on this device."""
    import jax

    device = jax.devices()[0]
    capable = device.platform == "gpu" and re.match(r"([89]|\d\d)\.", str(device.compute_capability))
    return bool(capable) and narrow(q) and q.shape[-1] % 8 == 0 and q.shape[-1] <= 128


def even_attention(q, k, v, implementation):
    """Compute attention by one of JAX's implementations, "cudnn" or "xla", with an even number of tokens.

    cuDNN's gradient takes even numbers of tokens only; a class token and a grid of patches often make an odd number. A
    row of zeros is then added, and excluded from attention by a length bound, which is faster than the mask of
    `keras.ops.dot_product_attention`.
    """
    import jax

    asking, tokens = q.shape[1], k.shape[1]
    q, k, v = (ops.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, 0), (0, 0))) for x in (q, k, v))
    bound = jax.numpy.full(k.shape[:1], tokens, "int32") if tokens % 2 else None
    return jax.nn.dot_product_attention(q, k, v, key_value_seq_lengths=bound, implementation=implementation)[:, :asking]
