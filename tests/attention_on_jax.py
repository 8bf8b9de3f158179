"""Compare `jax_attention` with its equation in float32, values and gradients: one line per number of tokens.

Run by `test_jax_backend.py` in a separate process; on a GPU, run it by hand with KERAS_BACKEND=jax. The kernel is
cuDNN's on a GPU that has it, else XLA's.
"""

import jax
import numpy as np
from jax import numpy as jnp

from kerasae.ops import jax_attention

COUNTS = ((6, 8), (9, 9), (7, 9), (6, 9), (147, 197), (197, 197))
"""Numbers of queries and of tokens."""


def main():
    rng = np.random.default_rng(0)
    for asking, tokens in COUNTS:
        q, k, v = (jnp.asarray(rng.normal(size=(2, count, 3, 32)), "bfloat16") for count in (asking, tokens, tokens))
        above = jnp.asarray(rng.normal(size=q.shape), "float32")
        implementation = "cudnn" if jax_attention.has_kernel(q) else "xla"
        ours = found(lambda *x, how=implementation: jax_attention.even_attention(*x, how), above, q, k, v)
        wanted = found(equation, above, *(x.astype("float32") for x in (q, k, v)))
        print(implementation, asking, tokens, max(map(apart, ours, wanted)))


def found(function, above, *arguments):
    """Compute the values, and the gradients for the upstream gradient `above`."""
    weighed = jax.grad(lambda *x: (function(*x).astype("float32") * above).sum(), argnums=(0, 1, 2))
    return jax.jit(function)(*arguments), *jax.jit(weighed)(*arguments)


def equation(q, k, v):
    with jax.default_matmul_precision("highest"):
        shares = jax.nn.softmax(jnp.einsum("bqhd,bthd->bhqt", q, k) / q.shape[-1] ** 0.5)
        return jnp.einsum("bhqt,bthd->bqhd", shares, v)


def apart(ours, wanted):
    """Compute the relative difference ‖ours − wanted‖ / ‖wanted‖."""
    difference = ours.astype("float32") - wanted
    return float(jnp.linalg.norm(difference.ravel()) / jnp.linalg.norm(wanted.ravel()))


if __name__ == "__main__":
    main()
