"""Record a model's constructor arguments, so that it can be saved and rebuilt."""

import inspect

import keras


class RecordedArguments:
    """Record constructor arguments and return them as the Keras config; a mix-in.

    Keras records plain arguments by itself only while no argument is a Keras object. This mix-in reads the signature of
    the constructed class instead: a subclass never writes `get_config`, and no argument is forgotten.
    """

    def __new__(cls, *args, **kwargs):
        instance = super().__new__(cls, *args, **kwargs)
        parameters = inspect.signature(cls.__init__).parameters
        # Wrong arguments are left to __init__, whose message names the class.
        names = [name for name in parameters if name != "self"]
        if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters.values()):
            raise TypeError(f"{cls.__name__}.__init__ takes *args: name every argument, or it cannot be saved")
        recorded = {**dict(zip(names, args)), **kwargs}  # noqa: B905 (extra positionals fail in __init__)
        object.__setattr__(instance, "_recorded", recorded)
        return instance

    def get_config(self):
        """Return the name and the constructor arguments that the caller passed, Keras objects serialised."""
        config = {"name": self.name, "dtype": self.dtype_policy, **self._recorded}
        return {name: keras.saving.serialize_keras_object(value) for name, value in config.items()}

    @classmethod
    def from_config(cls, config):
        """Build a new, untrained model with the same arguments."""
        return cls(**{name: keras.saving.deserialize_keras_object(value) for name, value in config.items()})
