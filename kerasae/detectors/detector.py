"""A detector of anomalies: trained autoencoders, a score, and a threshold."""

from functools import partial

import keras
import numpy as np
from keras import ops

from kerasae.detectors.maps import error_map
from kerasae.detectors.scores import SCORES
from kerasae.detectors.thresholds import Calibration, f1_threshold, quantile_threshold
from kerasae.errors import InputError
from kerasae.models.contract.arguments import RecordedArguments
from kerasae.models.contract.codec import in_chunks
from kerasae.models.contract.input_checks import is_concrete


@keras.saving.register_keras_serializable("kerasae")
class Detector(RecordedArguments, keras.Model):
    """Call an example an anomaly where its score by trained autoencoders exceeds a threshold.

    A score is deterministic, and higher = less like the training examples. Several members are averaged:
    Σ_m (score_m − mean_m) / deviation_m / M, by the training examples.

    | `score` | of an example | unit |
    |---|---|---|
    | reconstruction | the model's own `score` | the model's |
    | squared | squared difference to its reconstruction, summed | the model's, squared |
    | bound | −log (1/S) Σ p(x, z) / q(z given x), fixed draws; arXiv 1509.00519, eq. 8 | nats |
    | gaussian | Mahalanobis distance of its code, shrunk covariance | deviations |
    | neighbours | mean distance of its code to the k nearest of a bank | the code's |
    | masked | error of hidden patches, mean over M fixed masks | the model's |

    Args:
        members: trained autoencoders of one shape of examples, none of which is conditional.
        score: a name of the table.
        neighbours: k.
        bank: codes in the bank, of training examples drawn at random; needed for "neighbours".
        draws: S.
        masks: M at least; more where M masks do not hide every patch.

    Raises:
        InputError: members that do not fit each other or the score.

    Example:
        >>> detector = Detector([autoencoder], "neighbours", bank=2000)
        >>> detector.adapt(training_images)
        >>> detector.calibrate(held_out_images, contamination=0.01)
        >>> detector.detect(images)["anomalies"]  # bool [B]
    """

    ids = None
    conditional = takes_labels = False

    def __init__(self, members, score="reconstruction", neighbours=5, bank=0, draws=16, masks=16, **kwargs):
        super().__init__(**kwargs)
        if score not in SCORES:
            raise InputError(f"score: expected one of {', '.join(SCORES)}. Received: {score!r}")
        self.members, self.score_kind, self.masks = check_members(members), score, masks
        settings = {"neighbours": neighbours, "bank": bank, "draws": draws, "masks": masks}
        self.scorers = [SCORES[score](member, settings) for member in self.members]
        self.means = self._state((len(self.members),), "means", "zeros")
        self.deviations = self._state((len(self.members),), "deviations", "ones")
        self._calibration = self._state((3,), "calibration", "zeros")
        self.built = True

    def _state(self, shape, name, first):
        return self.add_weight(shape, initializer=first, trainable=False, dtype="float32", name=name)

    # What it takes.

    @property
    def example_shape(self):
        """Shape of one input, without the batch."""
        return self.members[0].example_shape

    @property
    def pixel_max(self):
        """The stored integer that means 1."""
        return self.members[0].pixel_max

    @property
    def standardization(self):
        """The `kerasae.layers.Standardization` of the first member, or None."""
        return self.members[0].standardization

    # What it is told.

    def adapt(self, x, batch_size=256):
        """Measure on the training examples [N, *shape] what the score needs: codes, and the scale of each member."""
        for place, (member, scorer) in enumerate(zip(self.members, self.scorers, strict=True)):
            scorer.adapt(partial(over_batches, scorer.codes, member, x, batch_size))
            if len(self.members) > 1:
                self._scale(place, np.asarray(over_batches(scorer.score, member, x, batch_size)))

    def _scale(self, place, scores):
        chosen = np.arange(len(self.members)) == place
        self.means.assign(ops.where(chosen, scores.mean(), self.means))
        self.deviations.assign(ops.where(chosen, scores.std() or 1.0, self.deviations))

    def calibrate(self, x, contamination=0.01, anomalies=None, batch_size=256) -> Calibration:
        """Choose the threshold on examples that training has not seen, and keep it.

        Args:
            x: [N, *shape]; all normal, unless `anomalies` are given.
            contamination: share of normal examples that may be called anomalies; see `quantile_threshold`.
            anomalies: None, or bool [N], by which the threshold of the best F1 is chosen; see `f1_threshold`.
        """
        scores = np.asarray(self.score(x, batch_size))
        found = quantile_threshold(scores, contamination) if anomalies is None else f1_threshold(scores, anomalies)
        self._calibration.assign(np.array(found, "float32"))
        return found

    @property
    def calibration(self) -> Calibration:
        """The threshold and what chose it; raises InputError where none was chosen."""
        threshold, alarms, examples = np.asarray(self._calibration).tolist()
        if not examples:
            raise InputError(
                "threshold: this detector was never calibrated, so that it has none; run kerasae detect without "
                "--no-calibrate, or call calibrate"
            )
        return Calibration(threshold, int(alarms), int(examples))

    @property
    def calibrated(self) -> bool:
        """Whether a threshold was chosen."""
        return bool(np.asarray(self._calibration)[2])

    # What it answers.

    def call(self, x, training=False):
        """Score examples: [B, *shape] → float32 [B]."""
        found = [scorer.score(member, x) for member, scorer in zip(self.members, self.scorers, strict=True)]
        if len(found) == 1:
            return ops.cast(found[0], "float32")
        return ops.mean((ops.stack(found, axis=-1) - self.means) / self.deviations, axis=-1)

    def score(self, x, batch_size=256):
        """Score examples, `batch_size` at a time: [B, *shape] → float32 [B], higher = less like the training data."""
        return in_chunks(self, (x,), batch_size)

    def detect(self, x):
        """Score examples and compare with the threshold: `scores` float32 [B], `anomalies` bool [B].

        Raises:
            InputError: no threshold was chosen.
        """
        if is_concrete(x):  # of a graph whoever traces it asks
            self.calibration  # noqa: B018  raises without a threshold
        scores = self(x)
        return {"scores": scores, "anomalies": scores > self._calibration[0]}

    def encode(self, x):
        """Encode x by the first member: [B, *shape] → [B, *code_shape]."""
        return self.members[0].encode(x)

    def error_map(self, x, batch_size=256):
        """Measure the error of each value, averaged over the members: [B, *shape] → float32 [B, *shape].

        Also where the score is another; see `kerasae.detectors.error_map`.
        """

        def of(x):
            return sum(error_map(member, x, self.masks) for member in self.members) / len(self.members)

        return in_chunks(of, (x,), batch_size)


def over_batches(function, member, x, batch_size):
    """Apply a function of a member and stored values to all of them: [N, …]."""
    return in_chunks(lambda part: function(member, part), (x,), batch_size)


def check_members(members):
    """Raise InputError unless there are members, of one shape and range, that score examples by themselves."""
    members = list(members)
    if not members:
        raise InputError("members: expected at least one trained autoencoder. Received none")
    first = members[0]
    for member in members:
        name = type(member).__name__
        if not hasattr(member, "score") or getattr(member, "needs_condition", True):
            raise InputError(f"members: a {name} does not score single examples without labels; give an autoencoder")
        if (member.example_shape, member.pixel_max) != (first.example_shape, first.pixel_max):
            raise InputError(
                f"members: expected examples {first.example_shape} of values up to {first.pixel_max:g}, as of the "
                f"first. Received: {member.example_shape}, {member.pixel_max:g}"
            )
    return members
