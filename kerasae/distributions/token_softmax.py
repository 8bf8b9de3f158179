"""The likelihood of sequences of ids: a softmax over the vocabulary at every step."""

import keras
from keras import ops

from kerasae.distributions.likelihoods import Likelihood
from kerasae.errors import InputError


@keras.saving.register_keras_serializable("kerasae")
class Tokens(Likelihood):
    """Model a sequence of ids by a softmax at every step: p(x | z) = Π_t softmax(parameters_t)[x_t].

    Ids are whole numbers 0…V − 1, of which 0 is padding: a model with this likelihood divides no integers, and counts
    only the steps that are not 0. `mean` is the most likely id that is not 0.

    Args:
        vocabulary: number V ≥ 3 of ids, with padding, the unknown token and the mask.

    Shapes: x [B, T], parameters [B, T, V] → mean [B, T]; log p of every step [B, T], nats.

    Raises:
        InputError: for a vocabulary of fewer than three ids.

    Example:
        >>> Tokens(4).log_prob(np.zeros((1, 2, 4)), np.array([[3.0, 1.0]]))  # 2 log ¼ nats
    """

    any_value = True

    def __init__(self, vocabulary):
        if vocabulary < 3:
            raise InputError(f"Tokens: vocabulary must be at least 3. Received: vocabulary={vocabulary}")
        self.parameters = self.ids = int(vocabulary)

    def get_config(self):
        return {"vocabulary": self.ids}

    def parameters_shape(self, shape):
        return (*shape, self.ids)

    def mean(self, parameters):
        return ops.cast(1 + ops.argmax(parameters[..., 1:], axis=-1), "float32")

    def draw(self, parameters, random):
        chances = ops.softmax(ops.cast(parameters[..., 1:], "float32"))
        below = ops.cumsum(chances, axis=-1)[..., :-1]  # the id is 1 and the number of these that u exceeds
        u = ops.expand_dims(random.uniform(ops.shape(chances)[:-1]), -1)
        return 1.0 + ops.sum(ops.cast(u > below, "float32"), axis=-1)

    def value_log_prob(self, parameters, x):
        logs = ops.log_softmax(ops.cast(parameters, "float32"))
        return ops.squeeze(ops.take_along_axis(logs, ops.expand_dims(ops.cast(x, "int32"), -1), axis=-1), -1)
