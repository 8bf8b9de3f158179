"""Read a run of sentences: a trigram model beside it, reconstructions, sentences between two, classes by 5 folds."""

from dataclasses import dataclass, field

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import StartedRecipe
from pipelines.command_line.ranges import within
from pipelines.command_line.voice import printable

HELD_OUT = 0.1
"""Share of the training lines on which the trigram's discount is chosen."""


MOST_WORDS = 20_000
"""Most words of the bags of whole lines."""


@dataclass(frozen=True, kw_only=True)
class Recipe(StartedRecipe):
    """Settings of what is printed."""

    between: tuple[str, ...] | None = None
    """Two sentences, between whose codes others are decoded; two test lines when not given."""
    count: int = field(default=5, metadata=within("count"))
    """Samples, reconstructions, and sentences on the way."""
    sentiment: bool = False
    """Classify the lines by logistic regression in 5 folds: on codes, on the mean of word vectors, on bags of words."""
    vector_width: int = field(default=100, metadata=within("count"))
    """Length of a word vector, from the counts of the words around it."""


def run(recipe: Recipe) -> dict[str, float]:
    """Print draws of the trigram model, reconstructions, the way between two sentences, and folds; return figures."""
    from kerasae import runs

    with door.entered(recipe) as (recipe, source, _):
        model = runs.load_model(recipe.run, source.info)
        check(recipe, source, model)
        figures = trigram(recipe, source)
        reconstructions(recipe, source, model)
        if model.code_shape == model.code_shape[:1]:
            interpolation(recipe, source, model)
        if recipe.sentiment:
            figures |= sentiment(recipe, source, model)
    return figures


def check(recipe, source, model):
    """Raise InputError for a run that is none of sentences, or an argument that fits none."""
    if getattr(model, "ids", None) is None or not hasattr(model, "reconstruct"):
        raise InputError(f"run: {recipe.run} holds no autoencoder of tokens; train one with --text-as words")
    if recipe.between is not None and len(recipe.between) != 2:
        raise InputError(f"between: expected two sentences. Received: {len(recipe.between)}")
    if recipe.sentiment and source.info.classes < 2:
        raise InputError(f"sentiment: {source.info.spec} has no classes; give a folder of a .txt file for each")


def trigram(recipe, source):
    """Fit the trigram model to the training lines, print its perplexity on the test lines and draws from it."""
    x = source.train.arrays()[0]
    kept, held = kerasae.data.holdout(len(x), HELD_OUT, recipe.seed)
    model = kerasae.distributions.Trigram.chosen(x[kept], x[held], model_ids(source))
    model = kerasae.distributions.Trigram(x, model.ids, model.discount)
    perplexity = model.perplexity(source.test.arrays()[0])
    print(f"\ntrigram: perplexity {perplexity:.1f} on the test lines, discount {model.discount} by held-out lines")
    say(model.sample(recipe.count, x.shape[1], recipe.seed), source)
    return {"trigram_perplexity": perplexity, "trigram_discount": model.discount}


def model_ids(source):
    """Count the ids of a source of tokens."""
    return len(source.info.columns)


def reconstructions(recipe, source, model):
    """Print test lines and what the model makes of them, as long as they are."""
    import numpy as np

    x = source.test.gather(np.linspace(0, len(source.test) - 1, recipe.count).astype(int))[0].numpy()
    print("\ntest lines, and below each what the model makes of its code:")
    made = np.where(x > 0, np.asarray(model.reconstruct(x)), 0)
    say(np.stack([x, made], axis=1).reshape(-1, x.shape[1]), source)


def interpolation(recipe, source, model):
    """Print what the model decodes on the way from one sentence's code to another's; lengths change evenly too."""
    import numpy as np

    from kerasae.applications import between

    pair = ends(recipe, source)
    codes = np.asarray(model.encode(pair))
    made = np.asarray(model.decode(between(codes[:1], codes[1:], recipe.count)[0]))
    lengths = np.linspace(*np.count_nonzero(pair, axis=1), recipe.count).round()
    print("\nbetween two sentences:")
    say(pair[:1], source, "from  ")
    say(np.where(np.arange(made.shape[1]) < lengths[:, None], made, 0), source)
    say(pair[1:], source, "to    ")


def ends(recipe, source):
    """The two sentences as ids [2, T]: those that were given, or the first and last test line."""
    if recipe.between is None:
        return source.test.gather([0, len(source.test) - 1])[0].numpy()
    pair = kerasae.data.text.encode_lines(recipe.between, source.info.columns, recipe.text_as, source.info.shape[0])
    for sentence, ids in zip(recipe.between, pair, strict=True):
        if (ids > 0).sum() < 2:
            raise InputError(f"between: expected sentences of two or more words. Received: {sentence!r}")
    return pair


def say(ids, source, before="      "):
    """Print lines of ids as text."""
    for line in kerasae.data.token_ids.spell(ids, source.info.columns):
        print(printable(before + line))


# ---- classes of sentences


def sentiment(recipe, source, model):
    """Print the accuracy of logistic regression on several kinds of features, in 5 folds of all lines."""
    import numpy as np

    x = np.concatenate([split.arrays()[0] for split in source.splits.values()])
    labels = np.concatenate([split.labels for split in source.splits.values()])
    print(f"\n5 folds of {len(x):,} lines, logistic regression, C chosen within the training folds:")
    found = {}
    for name, text, scaled, features in ways(recipe, source, model, x):
        accuracies = kerasae.evaluate.fold_accuracies(features, labels, scaled=scaled, seed=recipe.seed)
        found |= {f"{name}_accuracy": float(accuracies.mean()), f"{name}_accuracy_sd": float(accuracies.std(ddof=1))}
        print(f"      {100 * accuracies.mean():5.1f} % ± {100 * accuracies.std(ddof=1):.1f}  {text}", flush=True)
    best = max((name for name in found if name.endswith("accuracy")), key=found.get).removesuffix("_accuracy")
    print(f"      {best} wins")
    return found


def ways(recipe, source, model, x):
    """Features of sentences: name, description, whether they are scaled, function of training rows → [N, F]."""
    from scipy import sparse

    ids = model_ids(source)
    codes = kerasae.evaluate.features(model, x)
    bags = sparse.csr_matrix(kerasae.evaluate.bags_of_ids(x, ids))

    def vectors(rows):
        table = kerasae.evaluate.word_vectors(x[rows], ids, min(recipe.vector_width, ids - 1), seed=recipe.seed)
        return kerasae.evaluate.mean_of_vectors(x, table)

    everything = whole_bags(recipe)
    yield "whole_bag", f"bag of all {everything.shape[1] - 1:,} words of whole lines", False, lambda rows: everything
    yield "bag", f"bag of the run's {ids - 3:,} tokens", False, lambda rows: bags
    yield "code", f"codes of the run, {codes.shape[1]} numbers", True, lambda rows: codes
    yield "word_vectors", f"mean of word vectors, {recipe.vector_width} numbers", True, vectors


def whole_bags(recipe):
    """Read the lines of the run again as bags of all their words, sparse: what the run's vocabulary and steps cut."""
    import numpy as np
    from scipy import sparse

    source = kerasae.data.load(recipe.data, words=MOST_WORDS)
    return sparse.csr_matrix(np.concatenate([split.arrays()[0] for split in source.splits.values()]), dtype="float32")
