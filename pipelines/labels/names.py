"""Classes of a source, numbered as the model of a run numbers them."""

import kerasae
from kerasae.errors import InputError
from pipelines.command_line.voice import printable


def matched(run, model, source):
    """The source with its classes numbered, by name, as the run in `run` has learned them; says what is left out.

    Nothing changes for a model that takes no labels.

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
