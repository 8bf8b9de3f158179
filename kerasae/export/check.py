"""Answer every endpoint of a SavedModel with TensorFlow alone; started by `kerasae.export`, in a process of its own.

    python -P check.py

Each line of standard input is a JSON array, the paths of an export, of questions and of answers, and gets a line with
the reason why there are none, "" if there are. Questions are batches as "input/case", such as images/all; answers are
"endpoint/output/case". Imports of kerasae and pipelines fail here, as they do where the export is served.
"""

import importlib
import json
import os
import sys

FORBIDDEN = ("kerasae", "pipelines")


class Refuse:
    """Import hook under which the forbidden packages do not exist."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"{name} is out of reach for whoever serves the export")


def prove_alone():
    """Exit unless every import of a forbidden package fails."""
    for name in FORBIDDEN:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        sys.exit(f"{name} can be imported: the check would prove nothing")


def main():
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what TensorFlow prints is no reply
    sys.meta_path.insert(0, Refuse)
    prove_alone()
    import tensorflow  # noqa: F401  while the first export is being written

    for line in sys.stdin:
        replies.write(json.dumps(attempt(*json.loads(line))) + "\n")
        replies.flush()


def attempt(export, questions, answers):
    """Write the answers of an export; "", or why there are none."""
    try:
        answer(export, questions, answers)
    except Exception as error:  # whatever a served export may raise
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def answer(export, questions, answers):
    import numpy as np
    import tensorflow as tf

    loaded = tf.saved_model.load(export)  # the endpoints need this reference
    found = {}
    with np.load(questions, allow_pickle=False) as batches:
        for endpoint, signature in loaded.signatures.items():
            (takes,) = signature.structured_input_signature[1]
            for case in (key.split("/")[1] for key in batches if key.split("/")[0] == takes):
                outputs = signature(tf.constant(batches[f"{takes}/{case}"]))
                found |= {f"{endpoint}/{output}/{case}": value.numpy() for output, value in outputs.items()}
    np.savez(answers, **found)


if __name__ == "__main__":
    main()
