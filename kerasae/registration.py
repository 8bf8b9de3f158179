"""Names of kerasae's classes in Keras's registry, so that `keras.saving.load_model` finds them after `import kerasae`.

A class registers itself when its module is imported. Until then a stand-in has its name, and imports it when a file
asks for it; importing kerasae costs nothing, and Keras may be imported before or after.
"""

import importlib
import importlib.abc
import importlib.util
import sys
from dataclasses import dataclass

ROOMS = {
    "kerasae.layers": (
        "AttentionPooling Codebook ConvNextBlock CrossAttention CrossBlock Dropout GaussianCorruption "
        "GlobalResponseNorm Images LowVariance MaskQueries MaskedTokens MaskingCorruption PatchTokens Patches "
        "RestoredTokens SaltAndPepperCorruption SelfAttention TiedDense TokenNorm TokenPooling TransformerBlock"
    ),
    "kerasae.distributions": "Bernoulli Categorical Gaussian",
    "kerasae.distributions.posteriors": "GaussianPosterior VonMisesFisherPosterior",
    "kerasae.distributions.priors": "StandardNormal UniformSphere",
    "kerasae.optimizers": "LARS LayerwiseAdamW",
}
"""Module → the classes in it that files may name; the catalogue and its neighbours have the models."""


@dataclass(frozen=True)
class StandIn:
    """A registered class that is not imported yet."""

    module: str
    name: str

    def from_config(self, config):
        """Import the class, which takes its name back, and build it as Keras would have."""
        return getattr(importlib.import_module(self.module), self.name).from_config(config)


def stand_ins() -> dict[str, StandIn]:
    """Registered name → stand-in, of all classes that Keras may meet in a file."""
    from kerasae.models import HOMES

    homes = {name: module for module, names in ROOMS.items() for name in names.split()} | HOMES
    return {f"kerasae>{name}": StandIn(module, name) for name, module in homes.items()}


def register() -> None:
    """Give Keras, which is imported, a stand-in for every class that is not."""
    import keras

    known = keras.saving.get_custom_objects()
    known.update({name: stand_in for name, stand_in in stand_ins().items() if name not in known})


class AfterKeras(importlib.abc.MetaPathFinder):
    """Import hook that registers the stand-ins as soon as Keras has been imported, then is gone."""

    def find_spec(self, name, path=None, target=None):
        """Find Keras as usual, and register after its module was executed."""
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        if (spec := importlib.util.find_spec(name)) is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (execute(module), register())
        return spec


def register_with_keras() -> None:
    """Register now if Keras is there, else once it is."""
    if "keras" in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, AfterKeras())
