"""Run every endpoint of an export with its runtime alone, in a separate process started by `kerasae.export`.

    python -P check.py RUNTIME

Each line of standard input is a JSON array of three paths: export, questions and answers. The reply is a line of JSON:
"", or the reason why there are no answers. Questions are batches named "input/case", such as images/all; answers are
named "endpoint/output/case". Imports of kerasae and pipelines fail here, and for other runtimes than TensorFlow those
of TensorFlow and Keras, as they do where the export is served.
"""

import importlib
import json
import os
import sys
from pathlib import Path

FORBIDDEN = ["kerasae", "pipelines"]


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
    os.dup2(2, 1)  # what a runtime prints is no reply
    module, load = RUNTIMES[sys.argv[1]]
    if module != "tensorflow":
        FORBIDDEN.extend(("tensorflow", "keras"))
    sys.meta_path.insert(0, Refuse)
    prove_alone()
    importlib.import_module(module)  # while the first export is being written

    for line in sys.stdin:
        replies.write(json.dumps(attempt(load, *json.loads(line))) + "\n")
        replies.flush()


def attempt(load, export, questions, answers):
    """Write the answers of an export; returns "", or the reason why it failed."""
    try:
        answer(load, export, questions, answers)
    except Exception as error:  # whatever a served export may raise
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def answer(load, export, questions, answers):
    import numpy as np

    found = {}
    with np.load(questions, allow_pickle=False) as batches:
        cases = sorted({key.split("/")[1] for key in batches})
        for endpoint, takes, function in load(export):
            for case in cases:
                if all(f"{name}/{case}" in batches for name in takes):
                    outputs = function({name: batches[f"{name}/{case}"] for name in takes})
                    found |= {f"{endpoint}/{output}/{case}": np.asarray(value) for output, value in outputs.items()}
    np.savez(answers, **found)


# ---- the runtimes: each yields the endpoints of an export, (name, names of inputs, function of a dict of batches)


def of_tensorflow(export):
    import tensorflow as tf

    loaded = tf.saved_model.load(export)  # keep the reference: the endpoints need it
    for endpoint, signature in loaded.signatures.items():
        takes = signature.structured_input_signature[1]
        yield endpoint, list(takes), lambda given, f=signature: f(**{n: tf.constant(v) for n, v in given.items()})


def of_onnx(export):
    import onnxruntime

    for file in sorted(Path(export).glob("*.onnx")):
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        gives = [tensor.name for tensor in session.get_outputs()]
        takes = [tensor.name for tensor in session.get_inputs()]
        yield file.stem, takes, lambda given, s=session, g=gives: dict(zip(g, s.run(g, given), strict=True))


def of_litert(export):
    from ai_edge_litert.interpreter import Interpreter

    for file in sorted(Path(export).glob("*.tflite")):
        runner = Interpreter(model_path=str(file)).get_signature_runner()
        yield file.stem, list(runner.get_input_details()), lambda given, r=runner: r(**given)


RUNTIMES = {
    "tensorflow": ("tensorflow", of_tensorflow),
    "onnx": ("onnxruntime", of_onnx),
    "litert": ("ai_edge_litert.interpreter", of_litert),
}
"""Name → module that is imported first, and function that loads an export."""


if __name__ == "__main__":
    main()
