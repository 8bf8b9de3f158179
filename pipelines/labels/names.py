"""Match class names of a data set to the class numbers of a run."""

import kerasae
from pipelines.command_line.voice import printable


def matched(run, model, source):
    """Renumber the classes of a source, by name, as in the run `run`; print which classes are left out.

    For a model that takes no labels the source is returned unchanged.

    Raises:
        InputError: both the source and the run have a class that the other lacks.
    """
    from kerasae import runs

    if not model.takes_labels:
        return source
    found = kerasae.data.match_classes(source, runs.class_names(run))
    for note in found.info.notes[len(source.info.notes) :]:
        print(printable(f"{source.info.spec}: {note}"))
    return found
