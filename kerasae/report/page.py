"""Write the page of a run and of the runs inside it: curves, reconstructions, filters, samples, accuracies.

The page is one file, RUN/report.html, with its pictures inside; it needs no network.
"""

from collections.abc import Callable
from pathlib import Path

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from kerasae.models import catalogue
from kerasae.report import pictures
from kerasae.report.reading import MODELLESS, read_metrics, read_probes, read_summary
from kerasae.report.sections import Section, find
from kerasae.report.wording import size
from kerasae.training.checkpoint import write_atomic


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


def illustrate(section: Section, sources: Sources) -> None:
    """Fill a section with the figures, pictures and facts of its run directory."""
    section.summary = section.attempt("figures", read_summary, section.path) or {}
    section.probes = section.attempt("probes", read_probes, section.path) or []
    section.draw([pictures.label_curve], section.probes)
    section.draw(pictures.CURVES, section.attempt("curves", read_metrics, section) or [], units_of(section))
    section.draw([pictures.epochs], section.path)
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
        if source.info.kind != "ratings":  # a row of which most is missing is no picture
            section.draw(pictures.AUTOENCODER, model, pictures.Examples.of(source))
        section.draw(pictures.GEOMETRY, model, source)
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
