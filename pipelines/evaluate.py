"""Measure a run on its test examples: reconstruction, likelihood, codes, samples, accuracy, ranking."""

import math
from dataclasses import dataclass, field, replace

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import DerivedRecipe
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import within

REVERSE_EXAMPLES = 100
"""Most test examples from which chains of a Boltzmann machine start."""


@dataclass(frozen=True, kw_only=True)
class Recipe(DerivedRecipe):
    """Settings for evaluating the model of a run."""

    samples: int = field(default=200, metadata=within("count"))
    """Importance samples per example in the likelihood estimate of a variational autoencoder; chains of a Boltzmann
    machine's."""
    temperatures: int = field(default=1000, metadata=within("count"))
    """Distributions between independent units and a Boltzmann machine, in annealed importance sampling."""
    examples: int | None = field(default=None, metadata=within("count"))
    """Test examples to measure, drawn at random; all of them when not given."""
    top: int = field(default=10, metadata=within("count"))
    """Items of a user that count where ratings are ranked."""
    relevant: float | None = None
    """Least rating of an item that a ranking should find; three quarters of the way up the ratings when not given."""

    generated: int = field(default=2000, metadata=within("count_or_none"))
    """Samples of a generative model to judge beside as many real examples, and images of a conditional model under
    another class; 0 leaves them out."""

    folder = "evaluate"


def run(recipe: Recipe):
    """Load the model and measure the figures that its kind has."""
    from kerasae import runs
    from pipelines.labels.names import matched

    with door.entered(recipe) as (recipe, source, begin):
        model = runs.load_model(recipe.run, source.info)
        source = matched(recipe.run, model, source)
        classifies = isinstance(model, kerasae.models.Classifier)
        known = source.labelled() if classifies or model.needs_condition else source
        directory, test = begin("evaluate", origin=model), drawn(known.test, recipe)
        if classifies and model.kind != "class":
            return finish(directory, answers(directory, model, source.info, test))
        if classifies:
            return finish(directory, accuracy(directory, model, source, test))
        if source.info.kind == "ratings":
            return finish(directory, kerasae.evaluate.rating_figures(model, source, recipe.top, recipe.relevant))
        if hasattr(model, "hide"):
            return finish(directory, hidden_patches(model, test))
        return judged(directory, model, source, test, recipe)


def judged(directory, model, source, test, recipe):
    """Measure reconstructions, likelihood, codes and samples of an autoencoder or an energy model."""
    from pipelines.judging import bits, changes, codes, samples

    figures = kerasae.evaluate.reconstruction_error(model, test)
    if model.infers_labels and known_labels(test):
        figures |= accuracy(directory, model, source, test.labelled())
    if model.has_posterior:
        figures |= likelihood(model, source.info, test, recipe)
    if model.has_free_energy:
        figures |= annealed(model, source, test, recipe)
    if isinstance(model, kerasae.models.VectorQuantizedAutoencoder) and not model.conditional:
        figures |= kerasae.evaluate.codebook_use(model, test)
    if isinstance(model, kerasae.models.CodePriorAutoencoder):
        figures |= bits.figures_of_bits(model, source, test)
    figures |= codes.figures_of_codes(model, source, test, recipe.seed)
    figures |= samples.figures_of_samples(directory, model, source, test, recipe.generated, recipe.seed)
    if recipe.generated:
        figures |= changes.figures_of_changes(model, source, test, recipe.seed)
    return finish(directory, figures, kerasae.evaluate.MEANINGS)


def drawn(split, recipe):
    """Draw the test examples to measure at random, or take all."""
    from pipelines.judging.codes import some

    return split if recipe.examples is None else some(split, recipe.examples, recipe.seed)


def hidden_patches(model, test):
    """Measure the error on hidden patches, and beside it that of interpolation where examples are no images."""
    figures, size = kerasae.evaluate.hidden_patch_error(model, test), model.example_shape[:-1]
    if len(size) == 2:
        return figures
    if len(size) > 1 and math.prod(size) > kerasae.evaluate.interpolation.LARGEST:
        print(f"not interpolated: {math.prod(size):,} places are too many")
        return figures
    return figures | kerasae.evaluate.interpolation_error(model, test)


def accuracy(directory, model, source, test):
    """Measure accuracy and error on the test examples; write the confusion matrix to `confusion.json`."""
    if model.classes != source.info.classes:
        raise InputError(
            f"data: expected the {model.classes} classes of the classifier. Received: {source.info.spec}, which has "
            f"{source.info.classes}"
        )
    report = kerasae.evaluate.classify(lambda x, training: model.probabilities(x), test)
    names = source.info.class_names or range(source.info.classes)
    directory.write_json("confusion.json", {"classes": list(names), "matrix": report.confusion.tolist()})
    print_matrix(names, report.confusion)
    return {"accuracy": report.accuracy, "error": report.error}


def known_labels(split):
    """Tell whether a split has a label of one class."""
    return split.labels is not None and split.labels.ndim == 1 and (split.labels >= 0).any()


def answers(directory, model, info, test):
    """The figures of labels that are no class; of several classes those of each go into `classes.json`."""
    report = kerasae.evaluate.LABEL_KINDS[model.kind].run(model, test)
    if model.kind == "classes":
        precision, f1 = ([None if v != v else v for v in values] for values in (report.average_precision, report.f1))
        content = {"classes": list(info.label_names), "average_precision": precision, "f1": f1}
        directory.write_json("classes.json", content)
    return {**report.figures(info.label_names), "examples": len(test)}


def print_matrix(names, matrix):
    """Print the confusion matrix: a row for each true class, a column for each predicted class."""
    labels = [str(name)[:12] for name in names]
    width = max(map(len, [*labels, *(str(n) for n in matrix.flat)])) + 1
    print("confusion matrix (row: true class, column: predicted)")
    print(" " * width + "".join(label.rjust(width) for label in labels))
    for label, row in zip(labels, matrix, strict=True):
        print(label.rjust(width) + "".join(str(count).rjust(width) for count in row))


def likelihood(model, info, test, recipe):
    """Estimate the negative log-likelihood by importance sampling, and its bound, in nats per example."""
    given = test if model.needs_condition else test.arrays()[0]
    nll = kerasae.evaluate.importance_nll(model, given, recipe.samples, seed=recipe.seed)
    bound = kerasae.evaluate.evidence_lower_bound(model, given, seed=recipe.seed)
    name = likelihood_name(model, info)
    figures = {f"{name}_{figure}": value for figure, value in kerasae.evaluate.nll_summary(nll).items()}
    return figures | {"negative_elbo": float(-bound.mean()), f"{name}_samples": recipe.samples}


def annealed(model, source, test, recipe):
    """Estimate the log-likelihood of a Boltzmann machine from above and from below, exactly if small; in nats.

    Below, 10 chains start at each of at most 100 test examples, drawn at random.
    """
    name = "log_likelihood" if likelihood_name(model, source.info) == "nll" else "grey_log_likelihood"
    base, some = model.base_bias(source.train), drawn(test, replace(recipe, examples=REVERSE_EXAMPLES))
    shared = {"temperatures": recipe.temperatures, "seed": recipe.seed}
    log_z = {
        "forward": kerasae.evaluate.annealed_log_z(model, base, chains=max(2, recipe.samples), **shared),
        "reverse": kerasae.evaluate.reverse_log_z(model, some, base, **shared),
    }
    if model.code_shape[0] <= kerasae.evaluate.partition.MOST_HIDDEN:
        log_z["exact"] = kerasae.evaluate.LogZ(kerasae.evaluate.exact_log_z(model), 0.0)
    figures = {}
    for how, one in log_z.items():
        figures[f"log_z_{how}"], figures[f"log_z_{how}_standard_error"] = one
        figures[f"{name}_{how}"], figures[f"{name}_{how}_standard_error"] = log_likelihood(model, test, one)
    return figures | {"reverse_examples": len(some)}


def log_likelihood(model, test, log_z):
    """Average −F(x) − log Z over the test examples: its value and standard error, of examples and of log Z."""
    energy = kerasae.evaluate.nll_summary(model.score(test.arrays()[0]))
    return -energy["mean"] - log_z.value, math.hypot(energy["standard_error"], log_z.standard_error)


def likelihood_name(model, info):
    """Name the likelihood figure: "nll", or "cross_entropy_bound" for grey values under a Bernoulli likelihood."""
    binary = info.binarized or ("int" in info.dtype and info.max_value == 1)
    if binary or not isinstance(model.likelihood, kerasae.distributions.Bernoulli):
        return "nll"
    print("a Bernoulli likelihood of grey values is not a density: compare these nats only with other such figures")
    return "cross_entropy_bound"
