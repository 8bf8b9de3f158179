"""The rooms: who may import whom, and what a room may not contain. Read with `ast`; nothing is imported."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LEVELS = {
    "errors": -1,
    "ops": 0,
    "data": 0.5,
    "distributions": 1,
    "layers": 1,
    "networks": 2,
    "optimizers": 2,
    "models": 3,
    "registration": 3.5,
    "detectors": 3.7,
    "training": 4,
    "evaluate": 4,
    "sklearn": 4.5,
    "plots": 4,
    "export": 4,
    "weights": 4,
    "saving": 4,
    "results": 4,
    "applications": 4.5,
    "serving": 4.5,
    "runs": 5,
    "report": 5.5,
    "pipelines": 6,
}
"""Room → level; an import points to a lower level."""

CLOSED_TO_DATA = {"distributions", "layers", "networks", "optimizers", "models"}
"""Rooms above `data` that may not import it: data stand beside the models, not below them."""

CONTRACT_ONLY = {"evaluate", "applications", "plots", "export", "serving", "report"}
"""Rooms that see models through the public contract."""

HEAVY = {"tensorflow", "tensorflow_datasets", "keras", "numpy", "scipy", "sklearn", "matplotlib", "pandas"}
"""What the command line may not import before a command runs."""

AT_THE_DOOR = {"computing_in", "with_precision_chosen", "resolved", "scope", "source", "enable_op_determinism"}
"""What is called once around a pipeline, by `pipelines.command_line.door`."""

HOMELESS = {"utils", "util", "helpers", "common", "misc"}
"""Names that mean that a room is missing."""

STEPS = {"kerasae.models.contract.trainable", "kerasae.models.contract.step"}
"""The only modules with a training step."""


class Module:
    """A source file by its dotted name, and what it imports."""

    def __init__(self, path: str, source: str):
        parts = list(Path(path).with_suffix("").parts)
        self.is_package = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.is_package else parts)
        self.tree = ast.parse(source)

    @property
    def room(self) -> str:
        return room(self.name)

    def imports(self, nodes: list[ast.AST] | None = None) -> Iterator[str]:
        """Dotted names of all modules that are imported, also inside functions and through attributes."""
        everything = list(ast.walk(self.tree))
        names = bound_to_kerasae(everything)
        for node in everything if nodes is None else nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self.absolute(node)
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id in names:
                    yield f"kerasae.{node.attr}"
            elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
                yield from (a.value for a in node.args[:1] if isinstance(a, ast.Constant))

    def absolute(self, node: ast.ImportFrom) -> str:
        """The module of a `from … import`, with leading dots resolved as Python does."""
        if not node.level:
            return node.module
        package = self.name.split(".") if self.is_package else self.name.split(".")[:-1]
        kept = package[: len(package) - node.level + 1]
        return ".".join([*kept, *([node.module] if node.module else [])])


def bound_to_kerasae(nodes: list[ast.AST]) -> set[str]:
    """The names by which a file knows the package: `import kerasae [as k]`, `import kerasae.data`."""
    aliases = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    plain = {"kerasae" for a in aliases if a.asname is None and a.name.split(".")[0] == "kerasae"}
    return plain | {a.asname for a in aliases if a.asname and a.name == "kerasae"}


def called(node: ast.Call) -> str:
    """Last part of the name of a called function."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def room(name: str) -> str:
    """The room of a dotted name: kerasae.models.masked → models, pipelines.mae → pipelines, kerasae → ''."""
    parts = name.split(".")
    return "pipelines" if parts[0] == "pipelines" else ".".join(parts[1:2])


def inside(name: str) -> bool:
    return name.split(".")[0] in ("kerasae", "pipelines")


def at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run at import: all but the bodies of functions and `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            outside = [*getattr(node, "decorator_list", []), node.args, getattr(node, "returns", None)]
            yield from (inner for part in outside if part for inner in [part, *at_import(part)])
            continue
        yield node
        yield from at_import(node)


# ---- the rules: each takes {path: source} and returns what is wrong, one line each


def modules(sources: dict[str, str]) -> list[Module]:
    return [Module(path, source) for path, source in sources.items()]


def wrong_rooms(sources):
    """A file that belongs to no room, or whose name says that nobody knew where it belongs."""
    for module in modules(sources):
        if module.name != "kerasae" and module.room not in LEVELS:
            yield f"{module.name}: no room called {module.room!r}"
        elif homeless := HOMELESS.intersection(module.name.split(".")):
            yield f"{module.name}: no room called {min(homeless)!r}"


def wrong_directions(sources):
    """An import that does not point to a lower level."""
    for module in modules(sources):
        for target in sorted({t for t in module.imports() if t.split(".")[0] in ("pipelines", "kerasae")}):
            if not may_import(module.name, target):
                yield f"{module.name} imports {target}"
        if module.room != "pipelines":
            for target in {t.split(".")[0] for t in module.imports()} & {"tests", "benchmarks"}:
                yield f"{module.name} imports {target}"


def may_import(importer: str, target: str) -> bool:
    """Whether the direction of one import is right."""
    here, there = room(importer), room(target)
    if here == there or there not in LEVELS:  # there: the package itself or an attribute of it, like __version__
        return True
    if here == "":  # kerasae/__init__.py is lazy: it imports no room but the names that Keras must know
        return there == "registration"
    return LEVELS[there] < LEVELS[here] and not (there == "data" and here in CLOSED_TO_DATA)


def heavy_imports(sources):
    """A pipeline, its named recipes, or the command line, whose import brings TensorFlow and the like with it."""
    known = {module.name: module for module in modules(sources)}
    for module in known.values():
        classes = {node.name for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)}
        early = module.name == "pipelines.command_line.main" or module.name.startswith("pipelines.recipes")
        if module.room == "pipelines" and ("Recipe" in classes or early):
            if chain := way_to_heavy(module.name, known, ()):
                yield " → ".join(chain)


def way_to_heavy(name: str, known: dict[str, Module], seen: tuple[str, ...]) -> tuple[str, ...]:
    """The chain of import-time imports from a module to a heavy one, or ()."""
    if name.split(".")[0] in HEAVY:
        return (name.split(".")[0],)
    if name not in known or name in seen:
        return ()
    targets = known[name].imports(list(at_import(known[name].tree)))
    parents = [name.rsplit(".", 1)[0]] if "." in name else []
    ways = (way_to_heavy(target, known, (*seen, name)) for target in [*parents, *targets])
    return next(((name, *way) for way in ways if way), ())


def wrong_training_steps(sources):
    """A `train_step` outside the two modules that may have one."""
    for module in modules(sources):
        for node in ast.walk(module.tree):
            defined = isinstance(node, ast.FunctionDef) and node.name == "train_step"
            stored = isinstance(node, ast.Name) and node.id == "train_step" and isinstance(node.ctx, ast.Store)
            if (defined or stored) and module.room != "pipelines" and module.name not in STEPS:
                yield f"{module.name}:{node.lineno} defines train_step"


def asserts(sources):
    """An `assert` outside tests: it vanishes under `python -O` and tells a user nothing."""
    for module in modules(sources):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Assert):
                yield f"{module.name}:{node.lineno} asserts"


def prints(sources):
    """Printing in the library."""
    for module in modules(sources):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and called(node) == "print" and module.room != "pipelines":
                yield f"{module.name}:{node.lineno} prints"


def rewritten(sources):
    """A `tf.function` whose Python AutoGraph rewrites, which takes seconds of every start."""
    for module in modules(sources):
        calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
        said = [call for call in calls if any(k.arg == "autograph" for k in call.keywords)]
        plain = {id(part) for call in said for part in (call.func, *call.args)}  # `partial(tf.function, …)`, too
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "tf.function" and id(node) not in plain:
                yield f"{module.name}:{node.lineno} leaves autograph on"


def private_access(sources):
    """A private name or the training step, in a room that sees models through the contract only."""
    for module in modules(sources):
        if module.room not in CONTRACT_ONLY:
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and not own(node.value):
                private = node.attr.startswith("_") and not node.attr.startswith("__")
                if private or node.attr == "train_step":
                    yield f"{module.name}:{node.lineno} touches .{node.attr}"


def second_doors(sources):
    """A pipeline that resolves settings, opens data, or sets devices or precision by itself."""
    for module in modules(sources):
        if module.room != "pipelines" or module.name == "pipelines.command_line.door":
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and called(node) in AT_THE_DOOR:
                yield f"{module.name}:{node.lineno} calls {called(node)}"


def two_meanings(sources):
    """A public name of a package that is a module of it too: which one an import means depends on what came before."""
    names = {module.name for module in modules(sources)}
    for module in modules(sources):
        if module.is_package and module.name != "kerasae":
            imported = [n for n in module.tree.body if isinstance(n, ast.ImportFrom)]
            given = {(n.module, alias.asname or alias.name) for n in imported for alias in n.names}
            for source, name in sorted(given):
                if f"{module.name}.{name}" in names and source != module.name:
                    yield f"{module.name}.{name} is a module, and a name of {source}"


def own(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


RULES = [
    wrong_rooms,
    wrong_directions,
    heavy_imports,
    wrong_training_steps,
    asserts,
    prints,
    rewritten,
    private_access,
    second_doors,
    two_meanings,
]


@pytest.fixture(scope="module")
def repository() -> dict[str, str]:
    files = [*ROOT.glob("kerasae/**/*.py"), *ROOT.glob("pipelines/**/*.py")]
    return {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in files}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_repository_keeps_the_rule(rule, repository):
    assert list(rule(repository)) == []


def test_repository_is_read_at_all(repository):
    names = {module.name for module in modules(repository)}
    assert {"kerasae", "kerasae.errors", "kerasae.models.contract.base", "pipelines.command_line.main"} <= names


# ---- proof that the checker sees what it should, and only that

DIRECTIONS = {
    # upwards, in every spelling
    ("kerasae/ops/a.py", "import kerasae.models.base"): ["kerasae.models.base"],
    ("kerasae/ops/a.py", "import kerasae.models as m"): ["kerasae.models"],
    ("kerasae/ops/a.py", "from kerasae import models"): ["kerasae.models"],
    ("kerasae/ops/a.py", "from kerasae import models as ops"): ["kerasae.models"],
    ("kerasae/ops/a.py", "from ..layers import tied"): ["kerasae.layers", "kerasae.layers.tied"],
    ("kerasae/ops/__init__.py", "from .. import layers"): ["kerasae.layers"],
    ("kerasae/ops/a.py", "def f():\n    from kerasae.layers import tied"): [
        "kerasae.layers",
        "kerasae.layers.tied",
    ],
    ("kerasae/layers/a.py", "import kerasae\ndef f():\n    return kerasae.models.Autoencoder"): ["kerasae.models"],
    ("kerasae/layers/a.py", "import kerasae as k\nf = lambda: k.networks.dense"): ["kerasae.networks"],
    ("kerasae/layers/a.py", "import kerasae.ops\nx = kerasae.models"): ["kerasae.models"],
    ("kerasae/layers/a.py", "import importlib\nimportlib.import_module('kerasae.models')"): ["kerasae.models"],
    ("kerasae/models/a.py", "import pipelines.mae"): ["pipelines.mae"],
    ("kerasae/models/a.py", "from kerasae.training import loop"): ["kerasae.training", "kerasae.training.loop"],
    ("kerasae/runs/a.py", "from kerasae.report import page"): ["kerasae.report", "kerasae.report.page"],
    ("kerasae/report/a.py", "from pipelines.command_line import fields"): [
        "pipelines.command_line",
        "pipelines.command_line.fields",
    ],
    ("kerasae/errors.py", "from kerasae import ops"): ["kerasae.ops"],
    ("kerasae/__init__.py", "from kerasae import ops"): ["kerasae.ops"],
    # sideways
    ("kerasae/models/a.py", "from kerasae.data import batches"): ["kerasae.data", "kerasae.data.batches"],
    ("kerasae/data/a.py", "from kerasae import models"): ["kerasae.models"],
    ("kerasae/data/a.py", "from kerasae import layers"): ["kerasae.layers"],
    ("kerasae/networks/a.py", "from kerasae import data"): ["kerasae.data"],
    ("kerasae/plots/a.py", "from kerasae import export"): ["kerasae.export"],
    ("kerasae/layers/a.py", "from kerasae import distributions"): ["kerasae.distributions"],
    ("kerasae/training/a.py", "from kerasae import evaluate"): ["kerasae.evaluate"],
    # right
    ("kerasae/models/a.py", "from kerasae import layers, networks, ops\nfrom . import base"): [],
    ("kerasae/models/__init__.py", "from .base import Autoencoder\nfrom kerasae.models.base import X"): [],
    ("kerasae/data/a.py", "from kerasae.errors import InputError\nfrom kerasae.ops import patches"): [],
    ("kerasae/evaluate/a.py", "import kerasae\nkerasae.models\nkerasae.data\nkerasae.__version__"): [],
    ("kerasae/ops/a.py", "import models\nfrom layers import x\nmodel.models.y"): [],  # not this package
    ("pipelines/a.py", "import kerasae\nkerasae.models\nfrom pipelines import mae\nfrom . import b"): [],
}


@pytest.mark.parametrize(("sample", "targets"), DIRECTIONS.items(), ids=lambda value: str(value)[:60])
def test_directions_are_seen(sample, targets):
    path, source = sample
    importer = Module(path, source).name
    assert list(wrong_directions({path: source})) == [f"{importer} imports {target}" for target in targets]


RECIPE = "class Recipe: pass\n"
OTHER_RULES = [
    (rewritten, {"kerasae/a.py": "@tf.function\ndef f(): ..."}, ["kerasae.a:1 leaves autograph on"]),
    (rewritten, {"pipelines/a.py": "f = tf.function(g, jit_compile=True)"}, ["pipelines.a:1 leaves autograph on"]),
    (rewritten, {"kerasae/a.py": "@tf.function(autograph=False)\ndef f(): ..."}, []),
    (wrong_rooms, {"kerasae/utils/a.py": ""}, ["kerasae.utils.a: no room called 'utils'"]),
    (wrong_rooms, {"kerasae/models/utils.py": ""}, ["kerasae.models.utils: no room called 'utils'"]),
    (wrong_rooms, {"pipelines/helpers.py": ""}, ["pipelines.helpers: no room called 'helpers'"]),
    (wrong_rooms, {"kerasae/trainer.py": ""}, ["kerasae.trainer: no room called 'trainer'"]),
    (wrong_rooms, {"kerasae/__init__.py": "", "kerasae/models/base.py": "", "pipelines/mae.py": ""}, []),
    (heavy_imports, {"pipelines/a.py": RECIPE + "import tensorflow as tf"}, ["pipelines.a → tensorflow"]),
    (heavy_imports, {"pipelines/recipes/a.py": "import numpy"}, ["pipelines.recipes.a → numpy"]),
    (heavy_imports, {"pipelines/a.py": RECIPE + "from sklearn.svm import SVC"}, ["pipelines.a → sklearn"]),
    (
        heavy_imports,
        {"pipelines/a.py": RECIPE + "try:\n    import numpy\nfinally: pass"},
        ["pipelines.a → numpy"],
    ),
    (heavy_imports, {"pipelines/a.py": "class Recipe:\n    import numpy"}, ["pipelines.a → numpy"]),
    (heavy_imports, {"pipelines/a.py": RECIPE + "def run():\n    import numpy"}, []),
    (heavy_imports, {"pipelines/a.py": RECIPE + "f = lambda: __import__('numpy')"}, []),
    (
        heavy_imports,
        {"pipelines/a.py": RECIPE + "def f(x=__import__('numpy')): ..."},
        ["pipelines.a → numpy"],
    ),
    (heavy_imports, {"pipelines/loop.py": "import numpy"}, []),
    (
        heavy_imports,
        {
            "pipelines/a.py": RECIPE + "import kerasae\ndef run(x: kerasae.data.Source): ...",
            "kerasae/data/__init__.py": "import numpy",
        },
        ["pipelines.a → kerasae.data → numpy"],
    ),
    (
        heavy_imports,
        {"pipelines/a.py": RECIPE + "from pipelines import loop", "pipelines/loop.py": "import numpy"},
        ["pipelines.a → pipelines.loop → numpy"],
    ),
    (
        heavy_imports,
        {
            "pipelines/a.py": RECIPE + "import kerasae\nx = kerasae.ops.y",
            "kerasae/ops/__init__.py": "import keras",
        },
        ["pipelines.a → kerasae.ops → keras"],
    ),
    (
        heavy_imports,
        {
            "pipelines/a.py": RECIPE + "import kerasae\ndef run():\n    kerasae.ops.y",
            "kerasae/ops/__init__.py": "import keras",
        },
        [],
    ),
    (
        wrong_training_steps,
        {"kerasae/models/vae.py": "class A:\n    def train_step(self, data): ..."},
        ["kerasae.models.vae:2 defines train_step"],
    ),
    (
        wrong_training_steps,
        {"kerasae/models/vae.py": "class A:\n    train_step = step"},
        ["kerasae.models.vae:2 defines train_step"],
    ),
    (wrong_training_steps, {"kerasae/models/contract/trainable.py": "def train_step(): ..."}, []),
    (wrong_training_steps, {"kerasae/models/vae.py": "self.train_step()"}, []),
    (asserts, {"pipelines/a.py": "def f(x):\n    assert x"}, ["pipelines.a:2 asserts"]),
    (prints, {"kerasae/ops/a.py": "print(1)"}, ["kerasae.ops.a:1 prints"]),
    (prints, {"kerasae/ops/a.py": "tf.print(1)"}, ["kerasae.ops.a:1 prints"]),
    (prints, {"pipelines/a.py": "print(1)"}, []),
    (
        two_meanings,
        {"kerasae/a/__init__.py": "from kerasae.a.b import b", "kerasae/a/b.py": ""},
        ["kerasae.a.b is a module, and a name of kerasae.a.b"],
    ),
    (two_meanings, {"kerasae/a/__init__.py": "from kerasae.a import b", "kerasae/a/b.py": ""}, []),
    (second_doors, {"pipelines/a.py": "with precision.computing_in('x'): ..."}, ["pipelines.a:1 calls computing_in"]),
    (second_doors, {"pipelines/command_line/door.py": "recipe.source()", "kerasae/a.py": "scope()"}, []),
    (private_access, {"kerasae/evaluate/a.py": "model._weights"}, ["kerasae.evaluate.a:1 touches ._weights"]),
    (
        private_access,
        {"kerasae/export/saved_model.py": "model.train_step(x)"},
        ["kerasae.export.saved_model:1 touches .train_step"],
    ),
    (private_access, {"kerasae/evaluate/a.py": "self._x\ntype(model).__name__"}, []),
    (private_access, {"kerasae/models/a.py": "model._weights"}, []),
]


@pytest.mark.parametrize(("rule", "sources", "complaints"), OTHER_RULES)
def test_other_rules_are_seen(rule, sources, complaints):
    assert list(rule(sources)) == complaints
