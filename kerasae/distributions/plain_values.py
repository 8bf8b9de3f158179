"""The parent of likelihoods, posteriors and priors: plain values that Keras can save."""


class PlainValues:
    """Save a distribution as its constructor's arguments: the parent of the distributions."""

    def get_config(self):
        """Return the constructor's arguments by name."""
        return {}

    @classmethod
    def from_config(cls, config):
        """Build the distribution from the arguments that `get_config` returned."""
        return cls(**config)
