"""Run by `kerasae.export.verify` in a process of its own: load a SavedModel with TensorFlow alone and run it.

usage: python -I export_check.py SAVED_MODEL        reads inputs.npz, writes outputs.npz in the working folder
"""

import sys


class Refuse:
    """Import hook: whoever serves the export does not have kerasae."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("kerasae", "pipelines"):
            raise ModuleNotFoundError(f"{name} is not available to whoever serves the export")


def main(path):
    sys.meta_path.insert(0, Refuse())
    try:
        import kerasae  # noqa: F401
    except ModuleNotFoundError:
        pass
    else:
        sys.exit("kerasae could be imported: the check would prove nothing")
    import numpy as np
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    outputs = {}
    with np.load("inputs.npz", allow_pickle=False) as inputs:
        for key in inputs:
            endpoint, label = key.split("/")
            for output, value in getattr(loaded, endpoint)(tf.constant(inputs[key])).items():
                outputs[f"{endpoint}/{output}/{label}"] = value.numpy()
    np.savez("outputs.npz", **outputs)


if __name__ == "__main__":
    main(sys.argv[1])
