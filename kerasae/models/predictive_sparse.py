"""Predictive sparse decomposition: an encoder that predicts sparse codes without iterations."""

import keras
from keras import ops

from kerasae.layers import ScaledTanh
from kerasae.models.contract.knobs import Knob
from kerasae.models.over_dictionary import OverDictionary
from kerasae.networks.shapes import check_positive
from kerasae.ops import fista, sum_per_example


@keras.saving.register_keras_serializable("kerasae")
class PredictiveSparseDecomposition(OverDictionary):
    """Minimise ‖x − z* B‖² + λ ‖z*‖₁ + α ‖z* − f(x)‖², where z* is the z of least loss and f(x) = g tanh(x W + d).

    Kavukcuoglu, Ranzato and LeCun, arXiv 1010.3467, eq. 3 and section 2.1. Every step finds z* of its examples by
    FISTA, from f(x), with the weights held constant, then takes one gradient step on dictionary B and predictor f with
    z* held constant. After training, `encode` is f: one product in place of iterations.

    The rows of B, the atoms, have length 1. A mean b, which the paper subtracts beforehand, is learned: x and x̂ above
    are meant without it.

    Terms, each [B]: "reconstruction", squared error summed over the values of x; "sparsity", ‖z*‖₁; "prediction",
    squared units of the code. `encode` gives f(x), float32 [B, M], `infer` the codes of the lasso. `score` is
    ‖x − x̂‖² of the code f(x), [B].

    Args:
        shape: shape of an example, (D,), (T, D) or (H, W, C), flattened.
        latents: number M of atoms.
        pixel_max: the integer that means 1.0; floats are used as they are.
        sparsity_weight: λ ≥ 0; a `Knob`. The paper has 0.5.
        prediction_weight: α ≥ 0; a `Knob`.
        steps: iterations of FISTA in a training step.

    Raises:
        InputError: for numbers out of range.

    Example:
        >>> model = PredictiveSparseDecomposition((8, 8, 1), latents=128, pixel_max=16, sparsity_weight=0.5)
        >>> model.compile("adam")
        >>> model.fit(images, epochs=10)
        >>> fast, exact = model.encode(images), model.infer(images)  # [N, 128] each
    """

    terms = ("reconstruction", "sparsity", "prediction")
    sparsity_weight = Knob(minimum=0.0)
    prediction_weight = Knob(minimum=0.0)

    def __init__(self, shape, latents, pixel_max=255.0, sparsity_weight=0.5, prediction_weight=1.0, steps=50, **kwargs):
        super().__init__(shape, latents, pixel_max, **kwargs)
        check_positive(type(self).__name__, steps=steps)
        self.steps = steps
        self.sparsity_weight, self.prediction_weight = sparsity_weight, prediction_weight
        self.predictor = ScaledTanh(name="predictor")
        self.predictor.build((None, latents))

    def objective(self, batch, training=False):
        x = self.flat(batch.x)
        predicted = self.encode_values(x)
        z = self.best_code(x, predicted, self.steps)
        return {
            "reconstruction": sum_per_example(ops.square(x - self.build_up(z))),
            "sparsity": sum_per_example(ops.abs(z)),
            "prediction": sum_per_example(ops.square(z - predicted)),
        }

    @property
    def term_weights(self):
        return {"sparsity": self.sparsity_weight, "prediction": self.prediction_weight}

    def encode_values(self, x):
        return ops.cast(self.predictor(self.dictionary(x)), "float32")

    def code_layers(self):
        return [self.predictor]

    def best_code(self, x, predicted, steps, prediction_weight=None):
        """Find z* by FISTA from the predicted code: float32 [B, M]; no gradient passes through it.

        The prediction term is a lasso's too, of x joined with √α f(x) by atoms joined with √α times the identity.
        """
        alpha = ops.convert_to_tensor(self.prediction_weight if prediction_weight is None else prediction_weight)
        root = ops.sqrt(ops.cast(alpha, "float32"))
        joined = ops.concatenate([x - ops.cast(self.dictionary.center, "float32"), root * predicted], axis=-1)
        atoms = ops.concatenate([self.dictionary.unit_atoms(), root * ops.eye(self.code_shape[0])], axis=-1)
        return fista(joined, atoms, 0.5 * ops.convert_to_tensor(self.sparsity_weight), steps, predicted)

    def infer(self, x, steps=200, batch_size=256):
        """Find the codes of the lasso, min ‖x − z B‖² + λ ‖z‖₁, by `steps` iterations: [B, *shape] → [B, M]."""

        def lasso(batch):
            x = self.flat(batch.x)
            return self.best_code(x, self.encode_values(x), steps, prediction_weight=0.0)

        return self.by_batches(lasso, x, batch_size=batch_size)
