"""What likelihoods, posteriors and priors have in common: they are plain values that Keras can save."""


class PlainValues:
    """Parent of the distributions: an object that its constructor's arguments describe."""

    def get_config(self):
        """Give the constructor's arguments by name."""
        return {}

    @classmethod
    def from_config(cls, config):
        """Make the object that `get_config` described."""
        return cls(**config)
