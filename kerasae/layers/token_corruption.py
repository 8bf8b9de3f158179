"""Corruption of sequences of ids, for masked language models."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers.corruption import Corruption, _check_rate

MASK, FIRST = 2, 3
"""Id of the mask token, and the first id of a token of the vocabulary; 0 is padding and 1 unknown."""


@keras.saving.register_keras_serializable("kerasae")
class TokenCorruption(Corruption):
    """Hide a random share of the tokens: by the mask token, by a random token, or not at all.

    Devlin et al., BERT, arXiv 1810.04805, section 3.1, task 1: 15 % of the tokens are chosen; 80 % of these become the
    mask token, 10 % a random token, and 10 % stay as they are. All that were chosen count as corrupted. Padding, id 0,
    is never chosen.

    Args:
        vocabulary: number V > 3 of ids.
        rate: probability in [0, 1) that a token is chosen.
        masked: share in [0, 1] of the chosen tokens that become the mask token, id 2.
        random: share of them that become a random id from 3 to V − 1; the others stay.
        seed: integer, or None for one from `keras.utils.set_random_seed`.

    Ids [B, T] → [B, T], of any type.

    Raises:
        InputError: for shares that do not fit, or a vocabulary without tokens.

    Example:
        >>> TokenCorruption(100)(np.full((1, 8), 5.0))
    """

    of_ids = True

    def __init__(self, vocabulary, rate=0.15, masked=0.8, random=0.1, **kwargs):
        super().__init__(**kwargs)
        if vocabulary <= FIRST:
            raise InputError(f"TokenCorruption: vocabulary must be more than 3. Received: vocabulary={vocabulary}")
        if not (masked >= 0 and random >= 0 and masked + random <= 1):
            raise InputError(
                f"TokenCorruption: masked and random must be shares of at most 1 together. Received: {masked}, {random}"
            )
        self.vocabulary, self.rate = int(vocabulary), _check_rate("TokenCorruption", rate)
        self.masked, self.random = float(masked), float(random)

    def corrupt(self, x, random):
        chosen = ops.logical_and(random.uniform(ops.shape(x)) < self.rate, x != 0)
        fate, which = random.uniform(ops.shape(x)), random.uniform(ops.shape(x))
        others = ops.cast(FIRST + ops.floor(which * (self.vocabulary - FIRST)), x.dtype)
        hidden = ops.where(fate < self.masked, ops.cast(MASK, x.dtype), others)
        changed = ops.logical_and(chosen, fate < self.masked + self.random)
        return ops.where(changed, hidden, x), ops.cast(chosen, x.dtype)

    def get_config(self):
        names = ("vocabulary", "rate", "masked", "random")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
