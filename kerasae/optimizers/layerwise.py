"""Add optimisers that Keras lacks: AdamW with a learning rate for every layer, and LARS for large batches."""

import math
import re

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers import MaskableBlock, TransformerBlock

BLOCKS = (MaskableBlock, TransformerBlock)
"""Layers that are the blocks of an encoder."""

TOKENS = ("class_token", "mask_token", "positions")
"""Names of a vision transformer's weights that are tokens or position codes."""


def decayed(variable, spare_tokens=False):
    """Tell whether weight decay applies to a variable: not to vectors, such as biases and the scales of norms.

    Args:
        variable: a weight, with a `name` and a `shape`.
        spare_tokens: whether to spare class and mask tokens and positions, as He et al., arXiv 2111.06377, do in
            fine-tuning; in their pretraining the tokens, of shape [1, 1, D], are decayed.
    """
    return len(variable.shape) > 1 and not (spare_tokens and variable.name in TOKENS)


def layer_scales(encoder, decay):
    """Compute the factor of each layer's learning rate, so that layers near the input change less.

    scale = decay^(n + 1 − id), n the number of layers: Clark et al., arXiv 2003.10555, and He et al., arXiv
    2111.06377, appendix A.1. In a chain of `kerasae.networks.vit` embedding, tokens and positions have id 0, block i
    (from 0) has id i + 1, and layers behind the last block, like a head, have n + 1. In one of
    `kerasae.networks.convnext` the stem has id 0, and a downsampling the id of the block behind it: Woo et al., arXiv
    2301.00808. In any other model the layers with a matrix or a kernel have the ids 1 … n in order; a layer with
    vectors only, such as a norm, has the id of the layer before it.

    Args:
        encoder: functional Keras model, built.
        decay: in (0, 1].

    Returns:
        A dict, path of the weight → scale: `scales` of `LayerwiseAdamW`. All other weights have scale 1.

    Raises:
        InputError: decay is out of range.

    Example:
        >>> optimizer = LayerwiseAdamW(1e-3, weight_decay=0.05, scales=layer_scales(classifier.encoder, 0.65))
    """
    if not 0.0 < decay <= 1.0:
        raise InputError(f"layer_scales: decay must be in (0, 1]. Received: decay={decay}")
    layers = list(_with_weights(encoder))
    blocks = sum(isinstance(layer, BLOCKS) for layer in layers)
    ids = _block_ids(layers) if blocks else _matrix_ids(layers)
    last = blocks or (ids[-1] if ids else 0)
    return {w.path: decay ** (last + 1 - i) for layer, i in zip(layers, ids, strict=True) for w in layer.weights}


def _with_weights(network):
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _with_weights(layer)
        elif layer.weights:
            yield layer


def _block_ids(layers):
    """Number each layer by the blocks before it plus 1; 0 before the first block."""
    ids, before = [], 0
    for layer in layers:
        block = isinstance(layer, BLOCKS)
        ids.append(before + 1 if block or before else 0)
        before += block
    return ids


def _matrix_ids(layers):
    ids, found = [], 0
    for layer in layers:
        found += any(len(w.shape) > 1 for w in layer.weights)
        ids.append(found)
    return ids


@keras.saving.register_keras_serializable("kerasae")
class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW with a learning rate, and so a decay rate, for every weight; vectors are not decayed.

        w ← w − η s λ w,   then Adam's step with the learning rate η s,

    s the scale of w: Loshchilov and Hutter, arXiv 1711.05101, algorithm 2. Without scales this equals
    `keras.optimizers.AdamW` without decay of biases and norms.

    Args:
        learning_rate: η, a number or a schedule.
        weight_decay: λ.
        scales: None, or a dict, path of a weight → s, as `layer_scales` returns it; s is 1 for other weights.
        spare_tokens: whether class and mask tokens and positions are not decayed either; see `decayed`.
        **kwargs: as for `keras.optimizers.AdamW`.

    Raises:
        InputError: in `build`, if two weights share a path whose scale is not 1.

    Example:
        >>> LayerwiseAdamW(1e-3, weight_decay=0.05, scales=layer_scales(encoder, 0.75), spare_tokens=True)
    """

    def __init__(self, learning_rate=0.001, weight_decay=0.004, *, scales=None, spare_tokens=False, **kwargs):
        super().__init__(learning_rate, weight_decay, **kwargs)
        self.scales = {path: float(scale) for path, scale in (scales or {}).items()}
        self.spare_tokens = bool(spare_tokens)
        self._excluded, self._excluded_names = frozenset(), ""

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Exclude weights from decay, by variable or by a part of their names; call it before the build."""
        super().exclude_from_weight_decay(var_list, var_names)
        self._excluded, self._excluded_names = frozenset(map(id, var_list or ())), "|".join(var_names or ())

    def build(self, variables):
        if self.built:
            return
        self._check_paths(variables)
        self._rates = [self._scale(v.path) for v in variables]
        self._decays = [self.weight_decay * self._decayed(v) for v in variables]
        # Switch off Keras's decay, which knows a single learning rate.
        super().exclude_from_weight_decay(var_list=variables)
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype) * self._rates[index]
        if self._decays[index]:
            self.assign_sub(variable, variable * (self._decays[index] * rate))
        super().update_step(gradient, variable, rate)

    def get_config(self):
        return {**super().get_config(), "scales": dict(self.scales), "spare_tokens": self.spare_tokens}

    def _scale(self, path):
        """Look up the scale of a weight; a model loaded from a file may lack the first name of its paths."""
        alike = (known for known in self.scales if known.endswith(f"/{path}") or path.endswith(f"/{known}"))
        return self.scales.get(path if path in self.scales else next(alike, None), 1.0)

    def _decayed(self, variable):
        named = bool(self._excluded_names) and re.search(self._excluded_names, variable.name)
        return decayed(variable, self.spare_tokens) and id(variable) not in self._excluded and not named

    def _check_paths(self, variables):
        paths = [v.path for v in variables if self._scale(v.path) != 1.0]
        if twice := sorted({path for path in paths if paths.count(path) > 1}):
            raise InputError(
                f"LayerwiseAdamW: scales must name each weight by a path of its own. Received: two weights {twice[0]!r}"
                "; give the layers different names"
            )


@keras.saving.register_keras_serializable("kerasae")
class LARS(keras.optimizers.Optimizer):
    """Momentum with a learning rate for every weight, in proportion to its norm: You et al., arXiv 1708.03888, alg. 1.

        u = g + λ w,   q = trust ‖w‖ / ‖u‖,   m ← μ m + q u,   w ← w − η m.

    Where a norm is zero, q = 1. Vectors (biases, norms) are neither decayed nor adapted: u = g, q = 1. As in the linear
    probe of He et al., arXiv 2111.06377.

    Args:
        learning_rate: η, a number or a schedule.
        momentum: μ in [0, 1).
        trust: trust coefficient > 0.
        weight_decay: λ ≥ 0.
        **kwargs: as for `keras.optimizers.Optimizer`.

    Raises:
        InputError: if an argument is out of range.

    Example:
        >>> LARS(0.1 * batch / 256)
    """

    def __init__(self, learning_rate=0.1, momentum=0.9, trust=0.001, weight_decay=0.0, **kwargs):
        for name, value, ok in (
            ("momentum", momentum, 0.0 <= momentum < 1.0),
            ("trust", trust, 0.0 < trust < math.inf),
            ("weight_decay", weight_decay, 0.0 <= weight_decay < math.inf),
        ):
            if not ok:
                raise InputError(f"LARS: {name} is out of range. Received: {name}={value}")
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.momentum, self.trust = float(momentum), float(trust)

    def build(self, variables):
        if self.built:
            return
        super().exclude_from_weight_decay(var_list=variables)  # `update_step` adds the decay to the gradient
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        update = ops.cast(gradient, variable.dtype)
        if len(variable.shape) > 1:
            update = update + self.weight_decay * variable
            update = update * self._ratio(variable, update)
        momentum = self._momentums[self._get_variable_index(variable)]
        self.assign(momentum, self.momentum * momentum + update)
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * momentum)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "trust": self.trust}

    def _ratio(self, variable, update):
        w, u = (ops.sqrt(ops.sum(ops.square(x))) for x in (variable, update))
        return ops.where((w > 0) & (u > 0), self.trust * w / ops.where(u > 0, u, 1.0), 1.0)
