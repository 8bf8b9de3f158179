"""A training step in two halves: propose what to change, then change it."""

from typing import NamedTuple

import keras

from kerasae.errors import InputError
from kerasae.models.contract import layer_state


class Proposal(NamedTuple):
    """Hold the changes that a training step proposes: gradients and state, not applied yet.

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
    """Train in two halves, `propose` and then `Proposal.apply`; a mix-in of every trained model.

    A model writes `propose` and `trained`. Code that inspects gradients before they are applied, such as
    `kerasae.training.guard`, calls `propose` in place of `train_step` and applies the proposal itself.
    """

    micro_batches = at_once = 1
    takes_labels = True
    """Whether batches are (x, y), or x alone."""

    def propose(self, data):
        """Compute the forward pass, the gradients and the metrics of a step, without applying them.

        Args:
            data: the batch, as Keras hands it to `train_step`.

        Returns:
            A `Proposal`.
        """
        raise NotImplementedError

    def trained(self):
        """Map each player's name to its optimiser and weights, in the order of the updates."""
        raise NotImplementedError

    def check(self, data):
        """Raise InputError for a batch with values outside the model's range; checks nothing by default."""

    def forward_once(self):
        """Compute a training forward pass on one example of zeros; `layer_state` records the variables it writes."""
        raise NotImplementedError

    def build_training(self):
        """Build the optimisers' variables, so that a step is traced once, and synchronise layers' statistics."""
        for optimizer, weights in self.trained().values():
            if not optimizer.built:
                optimizer.build(weights)
        layer_state.synchronise(self)

    def set_micro_batches(self, micro_batches, at_once):
        """Set the number of micro-batches of a batch, and how many of them are computed at once.

        Raises:
            InputError: for a number out of range, or micro-batches on another backend than TensorFlow.
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
        # Keras does this only for models that do not override `compile`.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.build_training()

    def make_train_function(self, force=False):
        """Make the training function, after `build_training`, once.

        Keras calls this before the first step, and from `train_on_batch` before every step.
        """
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
    """Build the variables of compiled metrics before the first step.

    Keras would make them within the step, on one replica before the other.
    """
    metrics = model._compile_metrics
    if metrics is not None and not metrics.built:
        metrics.build(y, y_pred)
