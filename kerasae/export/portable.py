"""Write endpoints for other runtimes than TensorFlow's, a file each: ONNX, and LiteRT in floats or 8-bit integers."""

import importlib
import logging
import re
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from kerasae.errors import InputError
from kerasae.export import saved_model
from kerasae.export.offers import batches_for, endpoints, signature, unserved
from kerasae.ops import exact_gelu

OPSET = 17
RANDOM = "it draws random numbers; decode draws of the prior, or use the SavedModel"


def write_onnx(model, path, dtype, calibration=None):
    """Write NAME.onnx for each endpoint; returns the card's entry of each, and the reasons of those left out."""
    converter, checker = needed("onnx", "tf2onnx.convert", "onnx.checker", "onnxruntime")[:2]
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what it complains of, the checker says again

    def convert(name, endpoint):
        function = tf.function(endpoint.function, endpoint.takes, autograph=False)
        described = signature(endpoint, function.get_concrete_function())
        proto, _ = converter.from_function(function, input_signature=list(endpoint.takes), opset=OPSET)
        checker.check_model(proto, full_check=True)
        return proto.SerializeToString(), described

    return write_each(model, path, dtype, convert, ".onnx")


def write_litert(model, path, dtype, calibration=None, quantized=None):
    """Write NAME.tflite for each endpoint; returns as `write_onnx`.

    Args:
        quantized: None for floats, "dynamic" for weights in 8 bits, "int8" for weights and activations.
        calibration: (x, y) as stored, y None where there are no labels, from which "int8" takes the ranges of
            activations.
    """
    needed("litert", "ai_edge_litert.interpreter")
    if quantized == "int8" and calibration is None:
        raise InputError("calibration: expected training examples, which litert-int8 takes ranges from. Received: None")
    with tempfile.TemporaryDirectory() as folder, plain_gelus(model):
        described, _ = saved_model.write(model, folder, dtype)
        batches = calibration if calibration is None else batches_for(model, endpoints(model, dtype), *calibration)

        def convert(name, endpoint):
            converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[name])
            if quantized:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if quantized == "int8":
                converter.representative_dataset = lambda: one_by_one(endpoint, batches)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the converter calls its own interpreter deprecated
                return converter.convert(), described[name]

        return write_each(model, path, dtype, convert, ".tflite")


def one_by_one(endpoint, batches):
    """Yield what an endpoint takes, an example at a time."""
    names = [spec.name for spec in endpoint.takes]
    for i in range(len(batches[names[0]])):
        yield {name: batches[name][i : i + 1] for name in names}


def write_each(model, path, dtype, convert, suffix):
    """Convert the endpoints and write their files; raises InputError where none can be converted."""
    described, left_out = {}, unserved(model)
    Path(path).mkdir()
    with plain_gelus(model):
        for name, endpoint in endpoints(model, dtype).items():
            try:
                if name == "sample":
                    raise NotImplementedError(RANDOM)
                content, entry = convert(name, endpoint)
            except Exception as error:  # converters raise anything
                left_out[name] = reason(error)
                continue
            Path(path, name + suffix).write_bytes(content)
            described[name] = {"file": name + suffix, "bytes": len(content), **entry}
    if not described:
        name, why = next(iter(left_out.items()))
        raise InputError(f"format: no endpoint can be converted ({name}: {why}); export a SavedModel instead")
    return described, left_out


def reason(error):
    """Say in a line why an endpoint cannot be converted."""
    missing = re.search(r"(?:TF Select ops|Custom ops): (\w[\w, ]*)|No Op registered for (\w+)", str(error))
    if missing:
        return f"the format has no operation {missing[1] or missing[2]}"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def needed(extra, *names):
    """Import modules; raises InputError with the extra that installs them."""
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        package = (error.name or names[0]).split(".")[0]
        raise InputError(f'format: {package} is not installed; pip install "kerasae[{extra}]"') from None


@contextmanager
def plain_gelus(model):
    """Let layers compute Keras's exact GELU, of erfc, as `exact_gelu` of erf, which every format knows."""
    changed = [layer for layer in layers_of(model) if getattr(layer, "activation", None) is keras.activations.gelu]
    for layer in changed:
        layer.activation = exact_gelu
    try:
        yield
    finally:
        for layer in changed:
            layer.activation = keras.activations.gelu


def layers_of(layer):
    """Yield the layers inside a model, at any depth."""
    for inner in getattr(layer, "layers", ()):
        yield inner
        yield from layers_of(inner)
