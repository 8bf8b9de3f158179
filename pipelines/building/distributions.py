"""Choose the distributions of a model by the names that recipes give them: of the input, of the code, of all codes."""

from dataclasses import dataclass, field
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.command_line.ranges import within

ANY_VALUE = ("gaussian", "gaussian_per_value", "gaussian_shared")
"""Likelihoods of numbers of any range."""


@dataclass(frozen=True, kw_only=True)
class DistributionFields:
    """Settings for the distributions of a model of one encoder and one decoder."""

    likelihood: Literal[
        *("auto", "bernoulli", "gaussian", "gaussian_shared", "gaussian_per_value", "categorical", "logistic_mixture")
    ] = "auto"
    """Distribution of the input, whose parameters the decoder predicts; auto is bernoulli, or gaussian for numbers of
    any range and for the residual network. The variance of gaussian is 1, of gaussian_shared one learned number, of
    gaussian_per_value predicted."""
    posterior: Literal["auto", "gaussian", "full_gaussian", "von_mises_fisher", "one_hot"] = "auto"
    """Distribution of the code given the input, of variational variants; auto is gaussian."""
    prior: Literal["auto", "mixture", "vamp"] = "auto"
    """Distribution of all codes, of variational variants; auto is the posterior's own: standard normal, uniform on the
    sphere, or equally likely classes. mixture and vamp are learned mixtures."""
    components: int = field(default=100, metadata=within("count"))
    """Components of the priors mixture and vamp."""
    classes: int = field(default=10, metadata=within("count"))
    """Classes of each variable of a one_hot code, which they must divide."""


DECIDED = ("likelihood", "posterior", "prior", "components", "classes")
"""Fields that the weights decide which a recipe starts from."""


def unused(recipe, cls):
    """Map the fields that may have no effect to whether they have none, for a variant of a class."""
    variational = issubclass(cls, kerasae.models.VariationalAutoencoder)
    return {
        "likelihood": not cls.has_likelihood,
        "posterior": not variational,
        "prior": not variational,
        "components": recipe.prior == "auto",
        "classes": recipe.posterior != "one_hot",
    }


def likelihood_of(asked, info):
    """Choose the likelihood where "auto" is asked for: its name, `TableColumns` of a table, or `Tokens`.

    Raises InputError for one that needs values from 0 to 1 of data that have others.
    """
    if info.kind == "tokens":
        if asked != "auto":
            raise InputError(f"likelihood: {asked} is of values, but {info.spec} holds tokens; leave it out")
        return kerasae.distributions.Tokens(len(info.columns))
    if asked == "auto" and any(column.categories for column in info.columns):
        return of_columns(info)
    if asked == "auto":
        return "gaussian" if info.standardized else "bernoulli"
    if info.standardized and asked not in ANY_VALUE:
        raise InputError(
            f"likelihood: {asked} needs values from 0 to 1, but {info.spec} holds numbers of any range; leave it out, "
            "or give min_value and max_value"
        )
    return asked


def of_columns(info):
    """Build the likelihood of a table: unit Gaussians for its numbers, softmaxes for its categories."""
    sizes = [column.width for column in info.columns if column.categories is not None]
    numbers = len(info.columns) - len(sizes)
    return kerasae.distributions.TableColumns(numbers, sizes, info.mean[numbers:])


def build_likelihood(asked, info):
    """Build the likelihood; one of quantised values gets as many levels as the data have, 256 for floats."""
    chosen = likelihood_of(asked, info)
    if chosen in ("categorical", "logistic_mixture"):
        levels = int(info.max_value) + 1 if "int" in info.dtype else 256
        builders = {"categorical": "Categorical", "logistic_mixture": "LogisticMixture"}
        return getattr(kerasae.distributions, builders[chosen])(levels)
    return "gaussian_per_value" if chosen == "gaussian_shared" else chosen


def with_variance(networks, recipe):
    """Wrap a builder of networks, (posterior, pixel_parameters) → pair, to share one learned variance if asked for."""
    if recipe.likelihood != "gaussian_shared":
        return networks
    return lambda posterior, _: kerasae.networks.share_variance(*networks(posterior, 1))


def of_code(recipe):
    """Build the posterior and the prior that the recipe names, as arguments of the variant; none for "auto"."""
    built = {}
    if recipe.posterior == "one_hot":
        built["posterior"] = kerasae.distributions.OneHotPosterior(recipe.classes)
    elif recipe.posterior != "auto":
        built["posterior"] = kerasae.distributions.posteriors.get_posterior(recipe.posterior)
    if recipe.prior != "auto":
        prior = {"mixture": "MixturePrior", "vamp": "VampPrior"}[recipe.prior]
        built["prior"] = getattr(kerasae.models, prior)(recipe.components)
    return built
