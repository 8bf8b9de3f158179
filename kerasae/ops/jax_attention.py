"""Attention on Keras's JAX backend, which on GPUs has a kernel that never writes the shares."""

import re

from keras import ops

from kerasae.ops.activations import narrow


def attention(q, k, v):
    """softmax(q kᵀ / √d) v, the softmax in float32: [B, Q, heads, d] and twice [B, T, heads, d] → [B, Q, heads, d].

    In bfloat16 and float16 on NVIDIA's GPUs since Ampere it is cuDNN's, which keeps a number per query instead of its T
    shares: a step of ViT-B/16's masked autoencoder on an H200 took four fifths of the time with it.
    """
    if has_kernel(q):
        return even_attention(q, k, v, "cudnn")
    return ops.dot_product_attention(q, k, v, flash_attention=False)  # Keras's choice for TPUs looks back only


def has_kernel(q):
    """Whether cuDNN has a kernel for heads like these, [B, Q, heads, d], on the device at hand."""
    import jax

    device = jax.devices()[0]
    capable = device.platform == "gpu" and re.match(r"([89]|\d\d)\.", str(device.compute_capability))
    return bool(capable) and narrow(q) and q.shape[-1] % 8 == 0 and q.shape[-1] <= 128


def even_attention(q, k, v, implementation):
    """The same by one of JAX's implementations, "cudnn" or "xla".

    cuDNN's gradient takes even numbers of tokens only, and of a class token and a grid of patches there often is an odd
    one. A row of zeros is added then, and nobody looks at it. `keras.ops.dot_product_attention` has a mask for that,
    which took 5 % longer than this bound.
    """
    import jax

    asking, tokens = q.shape[1], k.shape[1]
    q, k, v = (ops.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, 0), (0, 0))) for x in (q, k, v))
    bound = jax.numpy.full(k.shape[:1], tokens, "int32") if tokens % 2 else None
    return jax.nn.dot_product_attention(q, k, v, key_value_seq_lengths=bound, implementation=implementation)[:, :asking]
