"""Write the page of a run and of the runs inside it: curves, reconstructions, filters, samples, accuracies.

The page is one file, RUN/report.html, with its pictures inside; it needs no network.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from kerasae.models import catalogue
from kerasae.report import pictures
from kerasae.training.checkpoint import write_atomic

AFTERWARDS = ("probe", "finetune", "evaluate", "export")
"""Commands that follow the pretraining, in the order of the workflow."""

MODELLESS = ("quickstart", "pretrain", "probe", "evaluate", "export")
"""Commands whose runs have neither metrics nor a model of their own."""

MEANINGS = {
    r"(.*_)?finetune_accuracy": ("%", "test accuracy after fine-tuning the pretrained encoder"),
    r"(.*_)?scratch_accuracy": ("%", "test accuracy of the same network from random weights, same labels and steps"),
    r"(.*_)?sgd_probe_accuracy": (
        "%",
        "test accuracy of batch norm and a linear layer on the frozen code, trained by SGD",
    ),
    r"(.*_)?svm_probe_accuracy": ("%", "test accuracy of a support vector machine on the frozen code"),
    r"(.*_)?attentive_accuracy": ("%", "test accuracy of a learned query over all frozen tokens"),
    r"(.*_)?raw_probe_accuracy": ("%", "test accuracy of a linear classifier on the raw input"),
    r"(.*_)?raw_nearest_accuracy": ("%", "test accuracy of the nearest neighbours in the raw input"),
    r"(.*_)?raw_svm_accuracy": ("%", "test accuracy of a support vector machine on the raw input"),
    r"(.*_)?pca_probe_accuracy": ("%", "test accuracy of a linear classifier on principal components"),
    r"(.*_)?pca_nearest_accuracy": ("%", "test accuracy of the nearest neighbours in principal components"),
    r"(.*_)?start_probe_accuracy": ("%", "test accuracy of a linear classifier on the weights before adaptation"),
    r"(.*_)?untrained_probe_accuracy": ("%", "test accuracy of a linear classifier on an untrained encoder's code"),
    r"(.*_)?majority_accuracy": ("%", "test accuracy of always saying the most frequent class"),
    r"(.*_)?convnet_accuracy": ("%", "test accuracy of a small convolutional network trained from scratch to its end"),
    r"(.*_)?worth_points": ("points", "score of the best features beyond that of the best baseline"),
    r"(.*_)?probe_accuracy": ("%", "test accuracy of a linear classifier on the frozen code"),
    r"(.*_)?knn_accuracy": ("%", "test accuracy of a vote among nearest neighbours in the frozen code"),
    r"(.*_)?token_accuracy": ("%", "share of the test tokens that the reconstruction gives back in their place"),
    r"(.*_)?nats_per_token": ("nats", "−log p of a test token given the code of its line"),
    r"(.*_)?tokens": ("count", "test tokens measured"),
    r"(.*_)?accuracy": ("%", "test accuracy"),
    r"(.*_)?r2": ("", "share of the variance of the test labels that is explained; below 0 is worse than their mean"),
    r"(.*_)?mae": ("", "mean absolute error, in the units of the labels"),
    r"(.*_)?mean_average_precision": ("%", "area under precision over recall, mean over the classes"),
    r"(.*_)?macro_f1": ("%", "F1 at probability one half, mean over the classes"),
    r"(.*_)?micro_f1": ("%", "F1 at probability one half, of all answers together"),
    r"error": ("%", "share of the test examples that are classified wrongly"),
    r"(.*_)?mse": ("", "squared reconstruction error, mean over the values, which are in 0…1"),
    r"(.*_)?sse": ("", "squared reconstruction error, sum over an example's values"),
    r"(.*_)?psnr": ("dB", "peak signal-to-noise ratio of the reconstructions"),
    r"(.*_)?prd": ("%", "root of the squared error over that of always answering the training mean"),
    r"hidden_error": ("", "error of hidden patches, in the units of the objective; lower is better"),
    r"hidden_mse": ("", "squared error of hidden pixels, mean over these, which are in 0…1"),
    r"hidden_psnr": ("dB", "peak signal-to-noise ratio of hidden pixels"),
    r"nll_mean": ("nats", "negative log-likelihood per example, estimated by importance sampling"),
    r"negative_elbo": ("nats", "negative evidence lower bound per example"),
    r"(.*_)?log_likelihood_forward": ("nats", "log-likelihood per example by annealed importance sampling, from above"),
    r"(.*_)?log_likelihood_reverse": ("nats", "log-likelihood per example by chains from the examples, from below"),
    r"(.*_)?log_likelihood_exact": ("nats", "log-likelihood per example, all hidden states summed"),
    r"log_z_(forward|reverse|exact)": ("nats", "logarithm of the partition function"),
    r"(.*_)?max_abs_diff": ("difference", "largest difference between a model's outputs and its reloaded export's"),
    r"(.*_)?seconds": ("s", "time spent in training"),
    r"(.*_)?epochs": ("count", "epochs of training"),
    r"(.*_)?examples": ("count", "test examples measured"),
    r"(.*_)?samples": ("count", "importance samples per example"),
}
"""Pattern of a figure's name → unit and meaning; the first pattern that matches holds."""

SPEAKS_OF = {"probe": "Frozen features", "finetune": "Fine-tuning"}
"""Part of the name of a text in the summary → what the text speaks of."""

QUANTITIES = {
    "%": lambda value: f"{100 * value:.2f}",
    "points": lambda value: f"{value:+.1f}",
    "nats": lambda value: f"{value:.2f}",
    "dB": lambda value: f"{value:.2f}",
    "s": lambda value: f"{value:.1f}",
    "count": lambda value: f"{value:,.0f}",
    "difference": lambda value: f"{value:.1e}",
    "": lambda value: f"{value:.4g}",
}
"""Unit → function that writes a number of this unit."""


def write(path, data_dir=None, explain: Callable[[str], str] = lambda command: "") -> Path:
    """Write `report.html` into the run directory `path` and return where it is.

    Missing or damaged files of the run are named on the page and do not stop it.

    Args:
        path: the run directory; the runs in its sub-folders are shown with it.
        data_dir: folder in which TensorFlow Datasets keeps its data sets; None takes the run's.
        explain: function of a command's name that returns what it does, or "".

    Raises:
        InputError: `path` is not a run directory.

    Example:
        >>> write("runs/quickstart")
        PosixPath('runs/quickstart/report.html')
    """
    import jinja2

    sections, sources = find(Path(path), explain), Sources(data_dir)
    for section in sections:
        illustrate(section, sources)
    for section in sections[1:]:
        if section.facts.get("data") == sections[0].facts.get("data"):
            section.facts.pop("data", None)
    if len(bars := accuracies(sections)) > 1:
        sections[0].pictures.insert(0, pictures.accuracies(bars))
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(Path(__file__).with_suffix(".html.j2").read_text(encoding="utf-8"))
    html = template.render(sections=sections, version=kerasae.__version__)
    # File names may hold bytes that are no text.
    write_atomic(Path(path) / "report.html", html.encode("utf-8", "replace"))
    return Path(path) / "report.html"


# ---- the runs on the page


@dataclass
class Section:
    """Content of the page for one run; `depth` counts the runs around it, `about` explains its command."""

    path: Path
    title: str
    depth: int
    command: str
    recipe: dict
    about: str = ""
    summary: dict = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    pictures: list = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    probes: list[dict] = field(default_factory=list)

    @property
    def settings(self) -> list[tuple[str, str]]:
        """Return the recipe as text."""
        return [(name, spell(value)) for name, value in self.recipe.items()]

    @property
    def figures(self) -> list[tuple[str, str, str]]:
        """Return name, value with unit, and meaning of each number; a mean is shown with its spread."""
        behind = {companion(name) for name in self.summary}
        texts = {name for name in self.summary if name.endswith("verdict")}  # in `sentences`
        metrics = tuple(f"_{metric}" for metric in pictures.METRICS)
        tabled = {name for name in self.summary if self.probes and name.endswith(metrics)}  # by `probes`
        return [self.figure(name) for name in self.summary if name not in behind | tabled | texts]

    def figure(self, name: str) -> tuple[str, str, str]:
        """Return one row of `figures`."""
        unit, meaning = meaning_of(name)
        value, spread = self.summary[name], self.summary.get(companion(name))
        if spread is not None:
            repeats = self.recipe.get("repeats") or "the"
            what = "standard error" if name.endswith("_mean") else f"standard deviation of {repeats} repeats"
            meaning += f"{', ' if meaning else ''}±\N{NO-BREAK SPACE}{what}"
        return name, quantity(value, spread, unit), meaning

    @property
    def sentences(self) -> list[tuple[str, str]]:
        """Return what the summary says in words, such as what pretraining was worth, and what it speaks of."""
        texts = [(name, value) for name, value in self.summary.items() if name.endswith("verdict")]
        return [(next((title for part, title in SPEAKS_OF.items() if part in name), ""), text) for name, text in texts]

    @property
    def score(self) -> str:
        """Return the heading of the scores in `probes`."""
        return pictures.METRICS[pictures.metric_of(self.probes[0])]

    def attempt(self, what: str, function: Callable, *args):
        """Call a function; on an InputError or OSError note the reason on the page and return None."""
        try:
            return function(*args)
        except (InputError, OSError) as error:
            self.notes.append(f"{what}: {error}")
            return None

    def draw(self, functions, *args) -> None:
        """Draw the picture of each function and add it, unless the function returns None."""
        for function in functions:
            if found := self.attempt(function.__name__.replace("_", " "), function, *args):
                self.pictures.append(found)


def find(root: Path, explain: Callable[[str], str] = lambda command: "") -> list[Section]:
    """Find the run in `root` and the runs in its sub-folders: parents first, then in the order of the workflow."""
    contents, broken = {root: runs.read_recipe(root)}, []
    for file in sorted(root.rglob("recipe.json")):
        try:
            contents[file.parent] = runs.read_recipe(file.parent)
        except InputError as error:
            broken.append(str(error))

    def chain(path):
        return [run for run in (*reversed(path.parents), path) if run in contents]

    def place(path):
        return [(rank(contents[run]["command"]), natural(run.name)) for run in chain(path)]

    def section(path):
        title = path.relative_to(root).as_posix() if path != root else path.resolve().name
        command, recipe = (contents[path][name] for name in ("command", "recipe"))
        return Section(path, title, len(chain(path)) - 1, command, recipe, explain(command))

    sections = [section(path) for path in sorted(contents, key=place)]
    sections[0].notes += broken
    return sections


def rank(command: str) -> int:
    return 1 + AFTERWARDS.index(command) if command in AFTERWARDS else 0


def natural(name: str) -> list:
    """Return a sort key that puts finetune-20 before finetune-100."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


class Sources:
    """Open each data set of a page once."""

    def __init__(self, data_dir=None):
        self.data_dir, self.opened = data_dir, {}

    def open(self, recipe: dict):
        """Open the data set of a run's recipe; raises InputError if it cannot be read."""
        key = recipe["data"], *runs.reading(recipe, self.data_dir).values()
        if key not in self.opened:
            self.opened[key] = self._open(recipe)
        if isinstance(self.opened[key], Exception):
            raise InputError(str(self.opened[key]))
        return self.opened[key]

    def _open(self, recipe):
        try:
            return runs.open_source(recipe, self.data_dir)
        except (InputError, OSError) as error:
            return error


# ---- from a run directory to a section


def illustrate(section: Section, sources: Sources) -> None:
    """Fill a section with the figures, pictures and facts of its run directory."""
    section.summary = section.attempt("figures", read_summary, section.path) or {}
    section.probes = section.attempt("probes", read_probes, section.path) or []
    section.draw([pictures.label_curve], section.probes)
    section.draw(pictures.CURVES, section.attempt("curves", read_metrics, section) or [], units_of(section))
    section.draw([pictures.confusion_file], section.path / "confusion.json")
    if section.command == "export" and section.recipe.get("dest"):
        section.facts["SavedModel"] = str(section.recipe["dest"])
    with_model = section.command not in MODELLESS
    if not with_model and section.depth:  # the surrounding run shows the data
        return
    source = section.attempt("data", sources.open, section.recipe) if section.recipe.get("data") else None
    if source:
        section.facts["data"] = describe_data(source.info)
        section.attempt("data", runs.refuse_changed, section.path, source.info)
    if with_model:
        section.attempt("model", show_model, section, source)


def units_of(section: Section) -> str:
    """Look up the unit of the losses of a run in the catalogue; "" for a class of the user's own."""
    variant, decoder = (section.recipe.get(name) for name in ("variant", "decoder"))
    names = [f"{section.command} {variant}", f"{section.command} --decoder {decoder}", section.command]
    units = {row.command: row.units for row in catalogue.ROWS}
    return next((units[name] for name in names if name in units), "")


def show_model(section: Section, source) -> None:
    """Add the pictures for this kind of model; without data, only its description."""
    model = runs.load_model(section.path, source and source.info)
    section.facts["model"] = describe_model(model, section.recipe.get("repeats"))
    if source is None:
        return
    if source.info.kind == "tokens":
        return
    if hasattr(model, "reconstruct"):
        section.draw(pictures.AUTOENCODER, model, pictures.Examples.of(source))
        return
    source = source.labelled()
    if source.info.label_kind != model.kind:
        raise InputError(
            f"its labels are of the kind {model.kind}, but {source.info.spec} has {source.info.label_kind}"
        )
    if model.kind != "class":
        result = kerasae.evaluate.LABEL_KINDS[model.kind].run(model, source.test)
        section.draw([pictures.OF_KIND[model.kind]], source, result)
    else:
        source = kerasae.data.match_classes(source, runs.class_names(section.path))
        section.draw(pictures.CLASSIFIER, model, source, kerasae.evaluate.classify(model, source.test))


def read_summary(path: Path) -> dict:
    """Read the numbers and texts of `summary.json`."""
    try:
        content = dict(runs.read_summary(path))
    except (ValueError, TypeError):
        raise InputError("summary.json is damaged") from None
    if not content:
        raise InputError("there is no summary.json yet: the run is not finished, repeat its command to resume it")
    return {name: value for name, value in content.items() if isinstance(value, int | float | str)}


def read_probes(path: Path) -> list[dict]:
    """Read the rows of `probes.csv`, with the score as text in `shown`; none if there is no such file."""
    try:
        return [row | {"shown": shown(row)} for row in runs.read_rows(path / "probes.csv")]
    except (ValueError, KeyError, TypeError):
        raise InputError("probes.csv is damaged") from None


def shown(row: dict) -> str:
    """Check a row of `probes.csv`, and write its score with its spread."""
    if row["kind"] not in ("features", "baseline") or not row["probe"] or not row["protocol"] or not int(row["labels"]):
        raise ValueError(row)
    metric = pictures.metric_of(row)
    score, spread = float(row[metric]), float(row[f"{metric}_std"]) if row[f"{metric}_std"] else None
    if not (score <= 1 and (score >= 0 or (metric == "r2" and math.isfinite(score)))):
        raise ValueError(score)
    return quantity(score, spread, "%")


def read_metrics(section: Section) -> list[dict]:
    """Read the rows of `metrics.csv` that have a stage and an epoch, with finite numbers only."""
    try:
        rows = runs.read_rows(section.path / "metrics.csv")
    except ValueError:
        raise InputError("metrics.csv is damaged") from None
    rows = [row for row in rows if row.get("stage") and (row.get("epoch") or "").isdecimal()]
    if not rows and section.command not in MODELLESS:
        raise InputError("there is no epoch in metrics.csv yet")
    return [{name: text for name, text in row.items() if name == "stage" or is_number(text)} for row in rows]


def is_number(text) -> bool:
    try:
        return math.isfinite(float(text))
    except (TypeError, ValueError):
        return False


def describe_data(info) -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in info.counts.items())
    classes = f"{info.classes} classes" if info.classes else "no labels"
    if info.label_names:
        classes = f"labels are {'several classes' if info.label_kind == 'classes' else 'numbers'}: "
        classes += ", ".join(info.label_names)
    return f"{info.spec}: {counts} examples of {size(info.shape)}, {classes}"


def describe_model(model, repeats=None) -> str:
    if hasattr(model, "code_shape"):
        return f"{type(model).__name__}: code of {size(model.code_shape)}, {model.count_params():,} weights"
    which = f", the first of {repeats} repeats" if (repeats or 1) > 1 else ""
    return f"{type(model).__name__}: {model.count_params():,} weights{which}"


def accuracies(sections: list[Section]) -> dict[str, float]:
    """Collect label → accuracy of every run on the page, without copies of the figures of inner runs.

    A baseline that several runs share stands once, behind the others.
    """
    found = {section.path: pictures.measured(section.summary) for section in sections}
    bars, shared = {}, {}
    for section in sections:
        if any(found[path] for path in found if section.path in path.parents):
            continue
        where = f"{section.title}: " if section.depth else ""
        for method, value in found[section.path].items():
            if method in pictures.SHARED:
                shared.setdefault((method, value), f"{where}{method}")
            else:
                bars[f"{where}{method}"] = value
    methods = [method for method, _ in shared]
    return bars | {m if methods.count(m) == 1 else name: value for (m, value), name in shared.items()}


# ---- numbers and values as text


def companion(name: str) -> str:
    """Return the name of the figure that holds the spread of another figure."""
    return f"{name.removesuffix('_mean')}_standard_error" if name.endswith("_mean") else f"{name}_std"


def meaning_of(name: str) -> tuple[str, str]:
    """Look up unit and meaning of a figure; both empty for an unknown figure."""
    return next((known for pattern, known in MEANINGS.items() if re.fullmatch(pattern, name)), ("", ""))


def quantity(value, spread, unit: str) -> str:
    """Write a figure with its spread and unit; "–" for a number that is not finite."""
    if isinstance(value, str):
        return value
    texts = [QUANTITIES[unit](v) if math.isfinite(v) else "–" for v in (value, spread) if v is not None]
    return " ± ".join(texts) + (f" {unit}" if unit not in ("count", "difference", "") else "")


def size(shape) -> str:
    """Write a shape such as (8, 8, 1) as 8 × 8 × 1."""
    return " × ".join(f"{n:,}" for n in shape)


def spell(value) -> str:
    """Write a value of a recipe as one would type it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {spell(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return " ".join(map(spell, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not given" if value is None else str(value)
