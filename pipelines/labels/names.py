"""Classes of a source, numbered as the model of a run numbers them."""

import kerasae


def matched(run, model, source):
    """The source with its classes numbered, by name, as the run in `run` has learned them; says what is left out.

    Nothing changes for a model that takes no labels.

    Raises:
        InputError: each has a class that the other lacks.
    """
    from kerasae import runs

    if not model.takes_labels:
        return source
    found = kerasae.data.match_classes(source, runs.class_names(run))
    for note in found.info.notes[len(source.info.notes) :]:
        print(f"{source.info.spec}: {note}")
    return found
