"""Build the model of an estimator from its parameters: a variant of the catalogue with dense networks."""

import inspect

import keras
import numpy as np

from kerasae import layers, networks
from kerasae.data.any_numbers import statistics
from kerasae.data.checks import number
from kerasae.distributions import likelihoods
from kerasae.errors import InputError
from kerasae.models import catalogue


def variant_names():
    """List the names of the variants that take vectors alone: no labels, no sequences, no discriminator of examples."""
    return [name for name, row in catalogue.trained().items() if _of_vectors(row) and name != "vae-gan"]


def _of_vectors(row):
    dense = not row.networks or "dense" in row.networks
    return dense and "infers_labels" not in row.capabilities


def build(estimator, x):
    """Build and compile the untrained model of an estimator for numbers x, float32 [N, D].

    Raises:
        InputError: a parameter is unknown or out of range, or does not fit the variant.
    """
    cls = variant(estimator.variant)
    likelihood = likelihoods.get(estimator.likelihood)
    pair = networks.dense(
        (x.shape[1],),
        estimator.code,
        estimator.widths,
        posterior=cls.posterior_name,
        pixel_parameters=likelihood.parameters,
        code_activation=cls.code_activation or cls.usual_code_activation,
    )
    given = {"likelihood": likelihood, "pixel_max": scale(estimator, cls, x)}
    model = getattr(cls, "of_networks", cls)(*pair, **given, **options(estimator, cls))
    model.compile(keras.optimizers.Adam(number("learning_rate", estimator.learning_rate, 1e-12)))
    return model


def variant(name):
    """Find the class of a variant by its name in the catalogue."""
    if name not in variant_names():
        raise InputError(f"variant: expected one of {', '.join(variant_names())}; received {name!r}")
    return catalogue.trained()[name].load()


def scale(estimator, cls, x):
    """Say how the model scales values: a `Standardization` by x, or 1.0 for values as they are."""
    if not (estimator.standardize or estimator.missing):
        return 1.0
    if not cls.standardizes:
        raise InputError(
            f"standardize: {estimator.variant} takes values from 0 to 1 only; give standardize=False and X in [0, 1]"
        )
    mean, deviation = statistics(x) if estimator.standardize else (np.zeros(x.shape[1]), np.ones(x.shape[1]))
    return layers.Standardization(mean, deviation, missing=bool(estimator.missing))


def options(estimator, cls):
    """Collect the further arguments of the variant: `options`, and a Gaussian corruption where `noise` is given."""
    known, given = own_arguments(cls), dict(estimator.options or {})
    for name in given:
        if name not in known:
            raise InputError(f"options: {estimator.variant} has {', '.join(known) or 'none'}; received {name!r}")
    if estimator.noise is None:
        return given
    if "corruption" not in known:
        raise InputError(f"noise: {estimator.variant} corrupts nothing; leave noise=None, or take variant='denoising'")
    return {**given, "corruption": layers.GaussianCorruption(number("noise", estimator.noise, 0.0))}


def own_arguments(cls):
    """List the constructor arguments that a variant has beside networks, likelihood and scale."""
    found, others = {}, ("self", "encoder", "decoder", "shape", "hidden", "latents", "likelihood", "pixel_max")
    for step in cls.__mro__:
        if step is keras.Model:
            break
        arguments = inspect.signature(step.__init__).parameters.values() if "__init__" in vars(step) else ()
        found |= {a.name: None for a in arguments if a.kind is a.POSITIONAL_OR_KEYWORD}
    return [name for name in found if name not in (*others, *cls.sets_itself)]
