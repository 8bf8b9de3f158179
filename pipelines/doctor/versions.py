"""Compare the versions of Python and of the packages that training stands on with the range that is tested."""

import platform
import tomllib
from importlib import metadata
from pathlib import Path

import kerasae
from pipelines.doctor.finding import Finding

NAMES = {"python": "Python", "tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy"}


def check():
    """Find out whether the installed versions are among those that kerasae is tested with."""
    return judge(kerasae.__version__, installed(), tested())


def installed():
    """Read the versions of this process: package → version."""
    import keras
    import numpy
    import tensorflow

    modules = {"tensorflow": tensorflow, "keras": keras, "numpy": numpy}
    return {"python": platform.python_version()} | {name: module.__version__ for name, module in modules.items()}


def tested():
    """Read the tested ranges (">=2.21,<2.22") from the checkout's pyproject.toml, or off the installed package."""
    from packaging.requirements import Requirement

    checkout = Path(kerasae.__file__).parents[1] / "pyproject.toml"
    if checkout.is_file():
        project = tomllib.loads(checkout.read_text(encoding="utf-8"))["project"]
        python, needed = project["requires-python"], project["dependencies"]
    else:
        python, needed = metadata.metadata("kerasae")["Requires-Python"], metadata.requires("kerasae")
    found = [requirement for requirement in map(Requirement, needed) if not requirement.marker]
    return {"python": python} | {each.name: str(each.specifier) for each in found if each.name in NAMES}


def judge(own, versions, ranges):
    """Compare versions with ranges, both by package."""
    from packaging.specifiers import SpecifierSet

    outside = [name for name in NAMES if not SpecifierSet(ranges[name]).contains(versions[name], prereleases=True)]
    says = ", ".join([f"kerasae {own}", *(f"{title} {versions[name]}" for name, title in NAMES.items())])
    wanted = [f"'{name}{ranges[name]}'" for name in outside if name != "python"]
    mends = [f"make a virtual environment with Python {ranges['python']}"] if "python" in outside else []
    mends += [f"pip install {' '.join(wanted)}"] if wanted else []
    return Finding("versions", not outside, says, "; ".join(mends))
