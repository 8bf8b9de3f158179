"""The training half of the contract: named terms, players, state, metrics and the training step."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers.draws import Draws
from kerasae.models.contract import jax_training
from kerasae.models.contract.arguments import RecordedArguments
from kerasae.models.contract.batch import Batch
from kerasae.models.contract.checked_fit import CheckedFit
from kerasae.models.contract.players import Player, Update, optimizers_of
from kerasae.models.contract.preparation import Preparation
from kerasae.models.contract.replicas import batch_sum, share_of_replica, whole_batch
from kerasae.models.contract.step import Proposal, ProposedStep, build_metrics
from kerasae.models.contract.terms import Found, logged


class Trainable(RecordedArguments, Preparation, CheckedFit, ProposedStep, keras.Model):
    """Minimise named terms: the training half of every model.

    A variant writes `objective` and lists its terms in `terms`; the base class prepares the batch, weighs the terms,
    averages them over the examples, adds regularisation losses, scales for mixed precision and for replicas, gives
    every player its gradients and tracks each term under its name. All training goes through `propose`: by `fit`, and
    by `kerasae.training.train`, which resumes exactly.

    A forward pass assigns no variables. The objective returns statistics for other state (codebooks, chains, counters)
    in `Found`, and `next_state` computes the new values, once for the whole batch.

    Attributes:
        terms: names of the terms, in order.
        units: unit of the terms.
        statistics: names of the terms that are a `Statistic` of the whole batch, with which micro-batches are refused.
        conditional: whether x comes with a condition y: classes [B] or numbers [B, K].
        infers_labels: whether y may be unknown, −1 or left out, as the model has `probabilities` of the classes.
        takes_mask: False, "values" or "steps": whether x may be incomplete, NaN or `{"x": x, "mask": mask}` with 1 =
            counts, 0 = missing, by values [B, *shape] or by the steps [B, T] of a sequence.
        takes_target: whether `fit(x, y)` with y in the shape of x means "reconstruct y from x".
        unit_range: whether floats must lie in [0, 1].
        example_shape: shape of one example without the batch; None where any will do.
        pixel_max: the integer that means 1.0.
        standardization: `kerasae.layers.Standardization` of stored numbers of any range, or None.
        standardizes: whether the class takes one in the place of `pixel_max`.
        sets_itself: names of constructor arguments of its parents that the class sets itself, and does not take.
        ids: None, or the number of ids of tokens that x holds in place of quantities: they are not divided, and 0 is
            padding.

    Example:
        >>> class Mean(Trainable):
        ...     terms = ("distance",)
        ...     def __init__(self, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.center = self.add_weight((3,), name="center")
        ...     def objective(self, batch, training=False):
        ...         return {"distance": ops.sum(ops.square(batch.x - self.center), axis=-1)}
    """

    terms = ()
    units = "nats"
    statistics = sets_itself = ()
    micro_batches = at_once = 1

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)  # the objective's inputs stay float32 in every precision
        self.seed_generator = keras.random.SeedGenerator()
        self.loss_mean = keras.metrics.Mean(name="loss")
        self.term_means = {name: keras.metrics.Mean(name=name) for name in self.terms}
        self.built = True

    # A variant writes these.

    def objective(self, batch, training=False):
        """Compute the terms to minimise, each [B] in `units`, not averaged.

        Args:
            batch: `Batch`.
            training: whether dropout and the like are active. Outside training nothing random may be drawn but from
                fixed seeds: two evaluations agree to the bit.

        Returns:
            A dict with every name in `terms`, of [B] tensors, `Term`s or `Statistic`s; or a `Found`.
        """
        raise NotImplementedError(f"{type(self).__name__} must write objective")

    @property
    def term_weights(self):
        """Weight of each term in the loss, a number or a `Knob`; 1 for a name that is missing."""
        return {}

    @property
    def adversaries(self):
        """Layers that minimise one term alone with a separate optimiser, by the name of the term."""
        return {}

    def players(self):
        """Return the players by name: "model", which has the compiled optimiser, then the adversaries."""
        rivals = self.adversaries
        others = {id(layer) for layers in rivals.values() for layer in layers}
        own = [layer for layer in self.layers if id(layer) not in others] if rivals else [self]
        weights = {name: self.term_weights.get(name, 1.0) for name in self.terms if name not in rivals}
        return {"model": Player(own, weights), **{name: Player(parts, {name: 1.0}) for name, parts in rivals.items()}}

    def next_state(self, sums, rows):
        """Compute the new values of state other than weights: pairs (variable, value).

        Args:
            sums, rows: the fields of `Found` for the whole batch; a last, smaller batch has fewer rows.
        """
        return []

    def adapt(self, split):
        """Fit a target, a first codebook or the like to data before the first step; does nothing by default.

        Args:
            split: array [N, *shape] of stored values, or a `kerasae.data.Split`.
        """

    def knobs(self):
        """Return the variable of every `Knob` by name."""
        return vars(self).setdefault("_knobs", {})

    def knob_schedules(self):
        """Return the schedules of `Knob`s by name, for those that have one."""
        return vars(self).setdefault("_knob_schedules", {})

    # The one training step.

    def compile(self, optimizer="rmsprop", loss=None, *, players=None, micro_batches=1, at_once=1, **options):
        """Compile as in Keras, but without a loss: the variant's objective is the loss, and its terms are metrics.

        Args:
            optimizer: of the first player.
            players: further players by name, each an optimiser or a number: the learning rate of a copy of `optimizer`
                relative to the original. By default a copy with the same rate.
            micro_batches: number of parts of a batch, computed one after the other, so that memory holds the
                activations of one part. The gradients are summed, and the weights updated once.
            at_once: number of micro-batches computed at the same time, at most `micro_batches`; the update is the same
                to the bit. On a CPU, one per core is fastest, with each operation on one core
                (`tf.config.threading.set_intra_op_parallelism_threads(1)`, before TensorFlow computes anything).
            metrics, weighted_metrics: of (target, reconstruction), such as PSNR; they cost a forward pass a step. Where
                values may be missing, weighted_metrics leave them out.

        Raises:
            InputError: for a loss, a number out of range, an unknown player, an option that the backend lacks, and for
                micro-batches where a term or a layer needs statistics of the whole batch.
        """
        if loss is not None or options.get("loss_weights") is not None:
            raise InputError(
                f"{type(self).__name__}: compile without a loss; the variant's objective is the loss "
                f"and its terms {', '.join(self.terms)} are metrics"
            )
        if options.get("metrics") and self.takes_mask:
            raise InputError(
                f"{type(self).__name__}: metrics would count missing values; give them as weighted_metrics"
            )
        self.set_micro_batches(micro_batches, at_once)
        self.measured = bool(options.get("metrics") or options.get("weighted_metrics"))
        super().compile(optimizer, **options)
        self.given_players = dict(players or {})
        self.optimizers = optimizers_of(self, self.optimizer, self.given_players)
        self._check_backend()

    def set_micro_batches(self, micro_batches, at_once):
        """Set the number of micro-batches; raise InputError where a term needs the whole batch."""
        super().set_micro_batches(micro_batches, at_once)
        if micro_batches > 1 and self.statistics:
            raise InputError(
                f"{type(self).__name__}: {', '.join(self.statistics)} is a statistic of the whole batch, of which "
                "micro-batches see a part; use smaller batches"
            )

    def get_compile_config(self):
        config = super().get_compile_config()
        own = {"players": keras.saving.serialize_keras_object(self.given_players)} if config else {}
        return config and {**config, **own}

    @property
    def metrics(self):
        # Of Keras's list only the compiled metrics: layers of a stack have metrics that nobody updates.
        given = [metric for metric in super().metrics if metric.name == "compile_metrics"]
        return [self.loss_mean, *self.term_means.values(), *given]

    def trained(self):
        """Map each player's name to its optimiser and weights."""
        return {name: (self.optimizers[name], player.trainable_weights) for name, player in self.players().items()}

    def build_training(self):
        super().build_training()
        if self.measured:
            blank = ops.zeros((1, *(n or 1 for n in self.example_shape)))
            build_metrics(self, blank, blank)

    def propose(self, data):
        """Compute a step on a batch without applying it; returns a `Proposal`."""
        batch = self._batch(data)
        computed = self._compute(batch, 1.0) if self.micro_batches == 1 else self._accumulate(batch)
        gradients, updates = iter(computed.gradients), []
        for optimizer, weights in self.trained().values():
            updates.append(Update(optimizer, [next(gradients) for _ in weights], weights))
        return Proposal(self._track(computed.loss, computed.found.terms, batch), updates, self._state(computed.found))

    def train_step(self, *given):
        """Take one step on a batch. Keras calls it with the batch, on its JAX backend with (state, batch)."""
        if keras.backend.backend() == "jax":
            return jax_training.train(self, *given)
        return super().train_step(*given)

    def test_step(self, *given):
        """Compute loss, terms and metrics of a batch, and change nothing but the metrics."""
        if keras.backend.backend() == "jax":
            return jax_training.test(self, *given)
        batch = self._batch(*given)
        return self._track(*self.losses_of(batch, training=False), batch)

    def call(self, inputs, training=False):
        """Compute the objective of a `Batch`, or reconstruct x.

        One call computes the whole objective, so that Keras collects the penalties of all layers.
        """
        if isinstance(inputs, Batch):
            return Found.of(self.objective(inputs, training))
        return self.restored(self.reconstruct_batch(self.prepare(inputs), training))

    def reconstruct_batch(self, batch, training=False):
        """Reconstruct a `Batch`, for `model(x)` and for compiled metrics."""
        raise InputError(f"{type(self).__name__} does not reconstruct; leave out metrics, and call its own methods")

    def losses_of(self, batch, training):
        """Compute the first player's loss and the logged terms of a batch."""
        found = self(batch, training=training)
        first = next(iter(self.players().values()))
        return first.loss(found.terms, batch.weight, training), self._logged(found)

    def random(self, training):
        """Return the source of random numbers: new draws at each training step, fixed draws in evaluation."""
        return Draws(self.seed_generator if training else 0)

    def forward_once(self):
        """Compute the training objective of one example of zeros."""
        self(self.blank_batch(), training=True)

    def export(self, filepath, format="tf_saved_model", **options):
        """Export the reconstruction, `model(x)`, as in Keras. See `kerasae.export` for more."""
        self(ops.zeros((1, *(n or 1 for n in self.example_shape))))  # Keras exports what was called
        options.setdefault("input_signature", [keras.InputSpec("float32", (None, *self.example_shape))])
        return super().export(filepath, format, **options)

    # Inside.

    def _batch(self, data):
        return self.prepare(*keras.utils.unpack_x_y_sample_weight(data))

    def _compute(self, batch, share):
        """Compute the gradients of a batch, with the loss times `share`, its share of the whole batch."""
        import tensorflow as tf  # here, so that machines with JAX alone need no TensorFlow

        from kerasae.models.contract.micro_batches import Computed

        players, optimizers = self.players(), self.optimizers
        with tf.GradientTape(persistent=len(players) > 1) as tape:
            found = self(batch, training=True)
            losses = {name: player.loss(found.terms, batch.weight, True) for name, player in players.items()}
            scaled = {
                name: optimizers[name].scale_loss(share_of_replica(loss * share)) for name, loss in losses.items()
            }
        found_by = {name: tape.gradient(scaled[name], one.trainable_weights) for name, one in players.items()}
        # Those of embeddings are IndexedSlices, which the sums over micro-batches and replicas do not take.
        gradients = [g if g is None else tf.convert_to_tensor(g) for part in found_by.values() for g in part]
        return Computed(gradients, next(iter(losses.values())), found._replace(terms=self._logged(found)))

    def _accumulate(self, batch):
        from kerasae.models.contract.micro_batches import accumulate

        return accumulate(self._compute, batch, self.micro_batches, self.at_once, static=self.jit_compile is True)

    def _state(self, found):
        sums = {name: batch_sum(value) for name, value in found.sums.items()}
        rows = {name: whole_batch(value) for name, value in found.rows.items()}
        count = next(iter(self.optimizers.values())).iterations + 1
        annealed = [(self.knobs()[name], schedule(count)) for name, schedule in self.knob_schedules().items()]
        return [*self.next_state(sums, rows), *annealed]

    def _logged(self, found):
        return {name: logged(found.terms[name]) for name in self.terms}

    def _track(self, loss, terms, batch):
        count = ops.shape(batch.x)[0]
        self.loss_mean.update_state(loss, sample_weight=count)
        for name, mean in self.term_means.items():
            mean.update_state(terms[name], sample_weight=batch.weight if len(terms[name].shape) else count)
        if self.measured:
            return self.compute_metrics(batch.x, batch.target, self.reconstruct_batch(batch), batch.counts)
        return self.get_metrics_result()

    def _check_backend(self):
        stateful = type(self).next_state is not Trainable.next_state
        plural = len(self.optimizers) > 1 or self.knob_schedules() or self.micro_batches > 1
        if (plural or stateful) and keras.backend.backend() != "tensorflow":
            raise InputError(
                f"{type(self).__name__}: several optimisers, state, annealed knobs and micro_batches are written for "
                "TensorFlow only"
            )
