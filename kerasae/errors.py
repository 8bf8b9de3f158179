"""The exception that means: what the user gave cannot work."""


class InputError(ValueError):
    """A mistake in what the user gave: an argument, a file, a data set.

    The message is one line that names the argument, what was expected, what was received and what to do. Library
    users catch it as a `ValueError`; the command line prints it without a traceback and exits with 2.
    """


class MixedSizes(InputError):
    """Images that differ in size, where one is needed and `image_size` was not given."""
