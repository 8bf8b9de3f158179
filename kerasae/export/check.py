"""Run every endpoint of a SavedModel with TensorFlow alone, in a separate process started by `kerasae.export`.

    python -P check.py

Each line of standard input is a JSON array of three paths: export, questions and answers. The reply is a line of JSON:
"", or the reason why there are no answers. Questions are batches named "input/case", such as images/all; answers are
named "endpoint/output/case". Imports of kerasae and pipelines fail here, as they do where the export is served.
"""

import importlib
import json
import os
import sys

FORBIDDEN = ("kerasae", "pipelines")


class Refuse:
    """Import hook that makes the forbidden packages unknown."""

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
    """Write the answers of an export; returns "", or the reason why it failed."""
    try:
        answer(export, questions, answers)
    except Exception as error:  # whatever a served export may raise
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def answer(export, questions, answers):
    import numpy as np
    import tensorflow as tf

    loaded = tf.saved_model.load(export)  # keep the reference: the endpoints need it
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
