"""A training step in two halves: propose what to change, then change it."""

from typing import Any, NamedTuple

import keras

from kerasae.errors import InputError


class Move(NamedTuple):
    """What a step proposes to one optimiser: gradients, scaled as it takes them, and the weights they belong to."""

    optimizer: Any
    gradients: list
    weights: list

    def take(self):
        """Let the optimiser change the weights."""
        self.optimizer.apply_gradients(zip(self.gradients, self.weights, strict=True))


class ProposedStep:
    """Mix-in of the models: `train_step` is `propose`, then every move is taken.

    A model writes `propose`, and `players` if it has more than one optimiser or trains a part of its weights. Whoever
    wants to look at the gradients before they count, such as `guarded`, calls `propose` in place of `train_step` and
    takes the moves itself: there is one step, however a model is trained.
    """

    micro_batches = at_once = 1

    def players(self):
        """The optimisers and what each trains: a list of (optimizer, weights), in the order of the moves."""
        return [(self.optimizer, self.trainable_weights)]

    def propose(self, data):
        """Everything of a step but its moves: the forward pass, the gradients and the metrics.

        Args:
            data: the batch, as Keras hands it to `train_step`.

        Returns:
            (logs, moves): the metrics' results by name, as `train_step` returns them, and a list of `Move`s.
        """
        raise NotImplementedError(f"{type(self).__name__} must write propose")

    def build_training(self):
        """Make the variables of optimisers and metrics.

        Several devices must have them before the first step. One would make them while it traces the step, and trace
        the step again without: twice the time and the memory.
        """
        for optimizer, weights in self.players():
            if not optimizer.built:
                optimizer.build(weights)

    def cut(self, micro_batches, at_once):
        """Set in how many parts a batch is computed, and how many of them at once: what `compile` is asked for.

        Raises:
            InputError: for a number out of range, or parts on another backend than TensorFlow.
        """
        if micro_batches < 1:
            raise InputError(f"micro_batches must be a whole number from 1 up. Received: {micro_batches}")
        if not 1 <= at_once <= micro_batches:
            raise InputError(f"at_once must be from 1 to micro_batches, {micro_batches}. Received: {at_once}")
        if micro_batches > 1 and keras.backend.backend() != "tensorflow":
            raise InputError(f"{type(self).__name__}: micro_batches is written for TensorFlow only")
        self.micro_batches, self.at_once = int(micro_batches), int(at_once)

    def in_parts(self, gradients_of, x, y, weights, terms):
        """What `gradients_of` gives for a batch, computed in the parts that `cut` has set.

        Args:
            gradients_of, x, y, weights, terms: as for `micro_batches.accumulate`, which says what is returned.
        """
        if self.micro_batches == 1:
            return gradients_of(x, y, 1)
        from kerasae.models.contract.micro_batches import (
            accumulate,  # here, so that machines with JAX alone need no TensorFlow
        )

        return accumulate(gradients_of, x, y, self.micro_batches, self.at_once, weights, terms)

    def get_compile_config(self):
        config = super().get_compile_config()
        return config and {**config, "micro_batches": self.micro_batches, "at_once": self.at_once}

    def compile_from_config(self, config):
        # Keras does this by itself only for models whose `compile` is its own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        ProposedStep.build_training(self)

    def make_train_function(self, *args, **kwargs):
        """As in Keras, which calls it before the first step."""
        if keras.backend.backend() == "tensorflow":
            with self.distribute_strategy.scope():
                self.build_training()
        return super().make_train_function(*args, **kwargs)

    def train_step(self, *given):
        """One step on a batch. Keras calls it with the batch, on its JAX backend with (state, batch)."""
        if keras.backend.backend() == "jax":
            return super().train_step(*given)
        logs, moves = self.propose(*given)
        for move in moves:
            move.take()
        return logs
