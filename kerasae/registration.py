"""Register kerasae's classes with Keras, so that `keras.saving.load_model` finds them after `import kerasae`.

A class registers itself when its module is imported. Until then a stand-in holds its name, and imports the class when
a file names it. So importing kerasae is cheap, and Keras may be imported before or after.
"""

import importlib
import importlib.abc
import sys
from dataclasses import dataclass

ROOMS = {
    "kerasae.layers": (
        "AttentionPooling Codebook ConvBlock ConvNextBlock CrossAttention CrossBlock DepthToSpace Dictionary "
        "DownscaleCorruption Dropout GaussianCorruption GlobalResponseNorm Images JumpReLU KeepLargest LeadingSum "
        "LowVariance MaskQueries MaskedTokens MaskingCorruption PatchTokens Patches RestoredTokens "
        "SaltAndPepperCorruption ScaledTanh SelfAttention SharedVariance SpaceToDepth Standardization StepAttention "
        "StepBlock StepMean StepPositions TiedDense TokenCorruption TokenNorm TokenPooling TransformerBlock"
    ),
    "kerasae.distributions": "Bernoulli Categorical Gaussian GaussianPerValue LogisticMixture TableColumns Tokens",
    "kerasae.distributions.posteriors": "GaussianPosterior VonMisesFisherPosterior",
    "kerasae.distributions.full_gaussian": "FullGaussianPosterior",
    "kerasae.distributions.one_hot": "OneHotPosterior UniformOneHot",
    "kerasae.detectors.detector": "Detector",
    "kerasae.distributions.priors": "StandardNormal UniformCube UniformSphere",
    "kerasae.optimizers": "Cyclical LARS LayerwiseAdamW",
}
"""Module → the classes in it that files may name, except models, which `kerasae.models.HOMES` lists."""


@dataclass(frozen=True)
class StandIn:
    """Stand in Keras's registry for a class that is not imported yet."""

    module: str
    name: str

    def from_config(self, config):
        """Import the class, which then replaces the stand-in in the registry, and build the object."""
        return getattr(importlib.import_module(self.module), self.name).from_config(config)


def stand_ins() -> dict[str, StandIn]:
    """Map registered names to stand-ins, for all classes that files may name."""
    from kerasae.models import HOMES

    homes = {name: module for module, names in ROOMS.items() for name in names.split()} | HOMES
    return {f"kerasae>{name}": StandIn(module, name) for name, module in homes.items()}


def register() -> None:
    """Register a stand-in with Keras for every class that is not imported yet."""
    import keras

    known = keras.saving.get_custom_objects()
    known.update({name: stand_in for name, stand_in in stand_ins().items() if name not in known})


class AfterKeras(importlib.abc.MetaPathFinder):
    """Import hook that registers the stand-ins as soon as Keras has been imported.

    TensorFlow looks for Keras several times before anybody imports it.
    """

    def find_spec(self, name, path=None, target=None):
        """Find Keras by the other finders, and register after its module was executed."""
        if name != "keras":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (execute(module), register())
        return spec


def register_with_keras() -> None:
    """Register at once if Keras is imported, else as soon as it is."""
    if "keras" in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, AfterKeras())
