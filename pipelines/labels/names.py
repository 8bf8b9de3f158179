"""Match class names of a data set to the class numbers of a run."""

import kerasae
from kerasae.errors import InputError
from pipelines.command_line.voice import printable


def matched(run, model, source):
    """Renumber the classes of a source, by name, as in the run `run`; print which classes are left out.

    For a model that takes no labels the source is returned unchanged.

    Raises:
        InputError: each has a class that the other lacks, or labels are of another kind or of other columns.
    """
    from kerasae import runs

    if not model.takes_labels:
        return source
    kind, names = runs.label_kind(run)
    here = source.info
    if here.outputs and (kind != here.label_kind or (kind != "class" and names != list(here.outputs))):
        raise InputError(
            f"{run} has learned labels of the kind {kind} ({', '.join(names)}), but those of {here.spec} are of the "
            f"kind {here.label_kind} ({', '.join(here.outputs)}); name the same label_columns and label_kind"
        )
    found = kerasae.data.match_classes(source, runs.class_names(run))
    for note in found.info.notes[len(source.info.notes) :]:
        print(printable(f"{source.info.spec}: {note}"))
    return found
