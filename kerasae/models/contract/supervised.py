"""Train a head on a pretrained encoder by labels: what a classifier and a segmenter share."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers import Standardization
from kerasae.models.contract.arguments import RecordedArguments
from kerasae.models.contract.players import Update
from kerasae.models.contract.step import Proposal, ProposedStep
from kerasae.models.contract.terms import Found


class Supervised(RecordedArguments, ProposedStep, keras.Model):
    """Train by labels as any Keras model, on an `encoder` that may be frozen; abstract.

    A subclass sets `encoder`, `freeze` and `pixel_max`, and writes `call`.
    """

    ids = None

    # The encoder is frozen here, as `encoder.trainable = False` would freeze the autoencoder that shares it too.

    @property
    def trainable_variables(self):
        return self._trained(self.variables, True)

    @property
    def non_trainable_variables(self):
        return self._trained(self.variables, False)

    @property
    def trainable_weights(self):
        return self._trained(self.weights, True)

    @property
    def non_trainable_weights(self):
        return self._trained(self.weights, False)

    def _trained(self, variables, wanted):
        """Select the variables that the model trains, or with `wanted` false the frozen ones."""
        frozen = {id(v) for v in self.encoder.variables} if self.freeze else ()
        return [v for v in variables if (v.trainable and id(v) not in frozen) == wanted]

    @property
    def example_shape(self):
        """Shape of one input, without the batch."""
        return tuple(self.encoder.input_shape[1:])

    @property
    def standardization(self):
        """The `kerasae.layers.Standardization` that the encoder begins with; None where values have a range."""
        return next((layer for layer in self.encoder.layers if isinstance(layer, Standardization)), None)

    def trained(self):
        return {"model": (self.optimizer, self.trainable_weights)}

    def forward_once(self):
        self(ops.zeros((1, *(n or 1 for n in self.example_shape))), training=True)

    def compile(self, *arguments, micro_batches=1, at_once=1, **options):
        """Compile as in Keras, with optional micro-batches.

        Args:
            micro_batches, at_once: as for `Autoencoder.compile`. The loss must be a mean over the examples; a batch
                norm in the encoder sees one part at a time.

        Raises:
            InputError: for numbers out of range, or micro-batches with a loss that is a sum.
        """
        self.set_micro_batches(micro_batches, at_once)
        super().compile(*arguments, **options)
        if micro_batches > 1 and getattr(self.loss, "reduction", None) == "sum":
            raise InputError(
                f"{type(self).__name__}: micro_batches needs a loss that is a mean over the examples, not their sum"
            )

    def propose(self, data):
        """Compute Keras's training step on a batch without the update; returns a `Proposal`."""
        import tensorflow as tf  # here, so that machines with JAX alone need no TensorFlow

        from kerasae.models.contract.micro_batches import accumulate

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        whole, parts = (x, y, sample_weight), self.micro_batches
        if parts == 1:
            computed = self._compute(whole, 1.0)
        else:
            computed = accumulate(self._compute, whole, parts, self.at_once, static=self.jit_compile is True)
        loss = computed.loss * tf.distribute.get_strategy().num_replicas_in_sync  # undoes the division by replicas
        self._loss_tracker.update_state(loss, sample_weight=ops.shape(x)[0])
        logs = self.compute_metrics(x, y, computed.found.rows["logits"], sample_weight)
        return Proposal(logs, [Update(self.optimizer, computed.gradients, self.trainable_weights)])

    def _compute(self, batch, share):
        """Compute the gradients of a batch, with the loss times `share`, its share of the whole batch."""
        import tensorflow as tf

        from kerasae.models.contract.micro_batches import Computed

        x, y, sample_weight = batch
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss * share)
        return Computed(tape.gradient(scaled, self.trainable_weights), loss, Found({}, {}, {"logits": y_pred}))
