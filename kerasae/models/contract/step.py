"""A training step in two halves: propose what to change, then change it."""

from typing import NamedTuple

import keras

from kerasae.errors import InputError
from kerasae.models.contract import layer_state


class Proposal(NamedTuple):
    """What a step wants to change, and has not changed yet.

    Attributes:
        logs: the metrics' results by name, as `train_step` returns them.
        updates: an `Update` of each player's weights.
        state: pairs (variable, value) of the model's own state: codebooks, chains, annealed knobs; equal on all
            replicas.
    """

    logs: dict
    updates: list
    state: list = []

    def apply(self):
        """Change the weights and the state."""
        for update in self.updates:
            update.apply()
        for variable, value in self.state:
            variable.assign(value)


class ProposedStep:
    """Mix-in of every model that is trained: `train_step` is `propose`, then the proposal is applied.

    A model writes `propose` and `optimizers`. Whoever wants to look at the gradients before they count, such as
    `kerasae.training.guard`, calls `propose` in place of `train_step` and applies the proposal itself: there is one
    step, however a model is trained.
    """

    micro_batches = at_once = 1
    takes_labels = True
    """Whether batches are (x, y), or x alone."""

    def propose(self, data):
        """Compute a step but for its changes: the forward pass, the gradients and the metrics.

        Args:
            data: the batch, as Keras hands it to `train_step`.

        Returns:
            A `Proposal`.
        """
        raise NotImplementedError

    def trained(self):
        """Name of a player → (optimiser, weights that it moves), in the order of the updates."""
        raise NotImplementedError

    def check(self, data):
        """Raise InputError for a batch whose values cannot mean what the model takes them for."""

    def forward_once(self):
        """Compute a forward pass of training on one blank example: what `layer_state` watches."""
        raise NotImplementedError

    def build_training(self):
        """Make the variables of the optimisers now, so that a step is traced once, and agree on layers' state."""
        for optimizer, weights in self.trained().values():
            if not optimizer.built:
                optimizer.build(weights)
        layer_state.synchronise(self)

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

    def get_compile_config(self):
        config = super().get_compile_config()
        return config and {**config, "micro_batches": self.micro_batches, "at_once": self.at_once}

    def compile_from_config(self, config):
        # Keras does this by itself only for models whose `compile` is its own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.build_training()

    def make_train_function(self, force=False):
        """As in Keras, which calls it before the first step, and from `train_on_batch` before every one."""
        if keras.backend.backend() == "tensorflow" and (force or self.train_function is None):
            with self.distribute_strategy.scope():
                self.build_training()
        return super().make_train_function(force)

    def train_step(self, *given):
        """Take one step on a batch. Keras calls it with the batch, on its JAX backend with (state, batch)."""
        if keras.backend.backend() == "jax":
            return super().train_step(*given)
        proposal = self.propose(*given)
        proposal.apply()
        return proposal.logs


def build_metrics(model, y, y_pred):
    """Make the variables of compiled metrics, which Keras makes in the step, on one replica before the other."""
    metrics = model._compile_metrics
    if metrics is not None and not metrics.built:
        metrics.build(y, y_pred)
