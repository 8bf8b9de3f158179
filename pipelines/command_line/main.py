"""Build the command line: one command per pipeline, generated from the pipeline's `Recipe` by cyclopts.

A pipeline module offers `Recipe` (a frozen dataclass whose attribute docstrings are the help) and `run(recipe)`;
its named recipes stand in `pipelines.recipes`. A field's metadata may hold `"positional": True` and a function that
returns names: `"choices"`, one of which must be given, or `"names"`, which the help shows. Only the module of the
chosen command is imported, and, if it has named recipes, the modules of those.
"""

import ast
import errno
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_args, get_type_hints

import docstring_parser
from cyclopts import App, CoercionError, CycloptsError, MissingArgumentError, Parameter, UnusedCliTokensError

import kerasae
from kerasae.errors import InputError
from kerasae.training import devices
from pipelines import recipes
from pipelines.command_line.fields import refuse_both
from pipelines.command_line.voice import complain, warnings_on_stderr

COMMANDS = {
    "quickstart": "pipelines.quickstart",
    "pretrain": "pipelines.pretrain",
    "doctor": "pipelines.doctor.checkup",
    "list": "pipelines.command_line.listing",
    "train": "pipelines.train",
    "prior": "pipelines.prior",
    "stacked": "pipelines.stacked",
    "mae": "pipelines.mae",
    "plan": "pipelines.planner.plan",
    "probe": "pipelines.probe",
    "finetune": "pipelines.finetune",
    "segment": "pipelines.segment",
    "detect": "pipelines.detect",
    "evaluate": "pipelines.evaluate",
    "latent": "pipelines.latent",
    "embed": "pipelines.embed",
    "map": "pipelines.map",
    "index": "pipelines.index",
    "search": "pipelines.search",
    "duplicates": "pipelines.duplicates",
    "predict": "pipelines.predict",
    "recommend": "pipelines.recommend",
    "sample": "pipelines.sample",
    "edit": "pipelines.edit",
    "restore": "pipelines.restore",
    "sentences": "pipelines.sentences",
    "export": "pipelines.export",
    "serve": "pipelines.serve",
    "weights": "pipelines.weights",
    "report": "pipelines.report",
    "compare": "pipelines.compare",
    "replay": "pipelines.replay",
    "launch": "pipelines.launch",
    "data-worker": "pipelines.data_worker",
}

DISK_ERRORS = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)]


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 2 for a user's mistake, a disk error or too little memory, or 130 after Ctrl-C.

    Any other exception is a bug and keeps its traceback.
    """
    prepare_tensorflow()
    with warnings_on_stderr():
        return answer(sys.argv[1:] if tokens is None else tokens)


def answer(tokens: Sequence[str]) -> int:
    """Run one command; return its exit status."""
    try:
        parse(tokens)()
        sys.stdout.flush()
    except (InputError, CycloptsError) as error:
        return complain(f"error: {explain(error)}", 2)
    except (KeyboardInterrupt, *interruptions()) as error:
        return complain(str(error) or "interrupted; the same command resumes from the last checkpoint", 130)
    except BrokenPipeError:  # the reader, such as `head`, has ended; do not flush to it at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if (trouble := disk_trouble(error) or memory_trouble(error)) is None:
            raise
        return complain(f"error: {trouble}", 2)
    return 0


# ---- from tokens to a bound command


def parse(tokens: Sequence[str]) -> Callable[[], Any]:
    """Return the chosen command with its arguments bound; raise CycloptsError for tokens that do not fit."""
    app = App(
        name="kerasae",
        version=kerasae.__version__,
        help=summary("kerasae"),
        help_format="plaintext",
        config=refuse_fractions,
    )
    for order, (command, module) in enumerate(COMMANDS.items()):
        app.command(App(name=command, help=summary(module), sort_key=order))
    chain, _, rest = app.parse_commands(tokens)
    if chain and chain[0] in COMMANDS:
        fill(app[chain[0]], importlib.import_module(COMMANDS[chain[0]]), recipes.of(chain[0]), rest)
    command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    return lambda: command(*bound.args, **bound.kwargs)


@cache
def summary(module: str) -> str:
    """Read the first line of a module's docstring without importing the module."""
    source = Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)).splitlines()[0]


def fill(app: App, module: ModuleType, known: dict[str, Callable], tokens: Sequence[str]) -> None:
    """Give a command the flags of its module's `Recipe`; `--recipe NAME` changes their defaults."""
    values = vars(known[name]()) if (name := named(known, tokens)) else defaults(module.Recipe)
    signature = sign(module.Recipe, values, known)

    def command(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        if known:
            given.pop("recipe", None)
        refuse_both(module.Recipe, given)
        merged = {name: merge(values.get(name), value) for name, value in given.items()}
        return execute(module.run, module.Recipe(**{**values, **merged}))

    command.__signature__ = signature
    app.help = inspect.cleandoc(module.__doc__)
    app.default(command)


def execute(run: Callable, recipe: Any) -> Any:
    """Limit operations to one core where the recipe needs it, before TensorFlow computes anything; run the pipeline."""
    if hasattr(recipe, "devices"):
        devices.share_cores(recipe)
    return run(recipe)


def merge(default: Any, value: Any) -> Any:
    """Replace a default by the given value, or extend a dict: `--options.free-bits 1` sets its key `free_bits`."""
    if not isinstance(value, dict):
        return value
    return {**(default or {}), **{key.replace("-", "_"): item for key, item in value.items()}}


def named(known: dict[str, Callable], tokens: Sequence[str]) -> str | None:
    """Find NAME of `--recipe NAME` among the tokens, or None."""
    if not known:
        return None

    def pick(**_):
        """Accept --recipe alone; other flags are parsed later."""

    pick.__signature__ = inspect.Signature([chooser(known)])
    peek = App(default_command=pick, help_flags=(), version_flags=())
    return peek.parse_known_args(tokens)[1].arguments.get("recipe")


# ---- from a Recipe to a signature


def defaults(recipe: type) -> dict[str, Any]:
    """Collect the defaults of a recipe's fields."""
    made = {f.name: f.default_factory() for f in fields(recipe) if f.default_factory is not MISSING}
    return {f.name: f.default for f in fields(recipe) if f.default is not MISSING} | made


def sign(recipe: type, values: dict[str, Any], known: dict[str, Callable]) -> inspect.Signature:
    """Build the signature that cyclopts parses: positional fields, flags, and `--recipe` if there are recipes."""
    helps, hints = attribute_docstrings(recipe), get_type_hints(recipe)
    parameters = [argument(f, hints[f.name], helps.get(f.name), values) for f in fields(recipe)]
    if known:
        parameters.append(chooser(known))
    return inspect.Signature(sorted(parameters, key=lambda p: (p.kind, p.default is not p.empty)))


def chooser(known: dict[str, Callable]) -> inspect.Parameter:
    """Build the parameter of the flag `--recipe NAME`."""
    about = Parameter(help="Start from this named recipe; other flags override it.", choices=tuple(known))
    hint = Annotated[str | None, about]
    return inspect.Parameter("recipe", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)


def argument(field, hint: type, help: str | None, values: dict[str, Any]) -> inspect.Parameter:
    """Turn a field into a parameter; a tuple takes several values, as in `--widths 1000 500`."""
    choices, names = field.metadata.get("choices"), field.metadata.get("names")
    default = values.get(field.name, inspect.Parameter.empty)
    about = Parameter(
        help=f"{help} Known: {', '.join(names())}." if names else help,
        choices=tuple(choices()) if choices else None,
        consume_multiple=True,
        negative_iterable=(),
        show_default=False if default in ((), {}) else spell if type(default) is tuple else None,
    )
    positional = field.metadata.get("positional", False)
    kind = inspect.Parameter.POSITIONAL_ONLY if positional else inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, kind, default=default, annotation=Annotated[hint, about])


def spell(values: tuple) -> str:
    """Spell a tuple as it is typed."""
    return " ".join(map(str, values))


def refuse_fractions(app: App, commands: tuple, arguments: Sequence) -> None:
    """Raise CoercionError for a fraction given to a whole-number flag: cyclopts would round `--seed 1.5` to 2."""
    for argument in arguments:
        if int in atoms(argument.hint) and float not in atoms(argument.hint):
            for token in argument.tokens:
                if "." in token.value:
                    raise CoercionError(token=token, argument=argument, target_type=int)


def atoms(hint: Any) -> set:
    """Collect the plain types in a type hint."""
    return set().union(*map(atoms, get_args(hint))) if get_args(hint) else {hint}


def attribute_docstrings(recipe: type) -> dict[str, str]:
    """Collect the docstrings below the fields of a recipe and of its parents: field → text."""
    found = {}
    for owner in reversed(recipe.__mro__):
        if is_dataclass(owner):
            params = docstring_parser.parse_from_object(owner).params
            found |= {p.arg_name: p.description and " ".join(p.description.split()) for p in params}
    return found


# ---- errors


def explain(error: Exception) -> str:
    """Word a user's mistake; two of cyclopts' messages are replaced by clearer ones."""
    if not isinstance(error, CycloptsError):
        return str(error)
    error.verbose = False
    command = " ".join(["kerasae", *(error.command_chain or ())])
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected argument {error.unused_tokens[0]!r}; see `{command} --help`"
    if isinstance(error, MissingArgumentError) and not error.argument.field_info.is_keyword:
        return f"{error.argument.name} is missing: write it right after `{command}`"
    return str(error)


def disk_trouble(error: Exception) -> str | None:
    """Find the line that describes a disk error, also inside TensorFlow's errors; None for other errors."""
    if isinstance(error, OSError):
        return str(error)
    return next((line for line in str(error).splitlines() if any(text in line for text in DISK_ERRORS)), None)


def memory_trouble(error: Exception) -> str | None:
    """Describe an out-of-memory error of Python or TensorFlow; None for other errors."""
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return f"not enough memory: {str(error)[:200] or 'lower the sizes'}"
    return None


def interruptions() -> tuple[type[BaseException], ...]:
    """Get the exception that training raises after Ctrl-C, if its module is loaded."""
    found = getattr(
        sys.modules.get("kerasae.training.loop"), "Interrupted", None
    )  # None also while it is half imported
    return (found,) if found else ()


# ---- TensorFlow's output


class MuteTensorFlowImport(importlib.abc.MetaPathFinder):
    """Import hook that redirects file descriptor 2 (stderr) to /dev/null while `import tensorflow` runs.

    TensorFlow's C++ code prints several lines there before its log level takes effect. A failing import still raises
    its exception. If the user has set TF_CPP_MIN_LOG_LEVEL, nothing is muted.
    """

    def find_spec(self, name, path=None, target=None):
        """Find tensorflow as usual, and mute its import."""
        if name != "tensorflow":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: muted(execute, module)
        return spec


def muted(function: Callable, *args) -> None:
    """Call a function with file descriptor 2 redirected to /dev/null."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        function(*args)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def prepare_tensorflow() -> None:
    """Set Keras's backend, oneDNN and log levels, before TensorFlow is imported."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    devices.use_onednn()
    # tensorflow-datasets warns of its own deprecations, TensorFlow of functions traced more than once.
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        sys.meta_path.insert(0, MuteTensorFlowImport())


if __name__ == "__main__":
    sys.exit(main())
