"""Write weights as files that other projects load."""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import safetensors.numpy

from kerasae import models
from kerasae.errors import InputError
from kerasae.weights.layouts import Layout
from kerasae.weights.sizes import Sizes
from kerasae.weights.slots import TransformerBlock, decoder_slots, encoder_slots, first, head_slots

LAYOUTS = ("transformers", "reference")
PARTS = ("all", "encoder")
WEIGHTS = "model.safetensors"
BICUBIC = 3  # Pillow's number for bicubic resampling


def export_weights(model, folder, *, layout="transformers", part="all") -> Path:
    """Write the weights of a vision transformer as other projects read them.

    With the layout of transformers, `from_pretrained(folder)` loads them, with preprocessing and equal outputs:

    | model | part | loads as |
    |---|---|---|
    | `MaskedAutoencoder` | "all" | `ViTMAEForPreTraining`, `ViTMAEModel`; `ViTModel(add_pooling_layer=False)` |
    | either | "encoder" | `ViTModel(add_pooling_layer=False)` |
    | `Classifier` on the class token | "all" | `ViTForImageClassification` |

    With the layout of the reference project (He et al., arXiv 2111.06377) and of timm, the folder holds one file of
    safetensors, whose header notes the number of heads, the image size and the standardisation. `import_weights` reads
    both.

    Args:
        model: a `MaskedAutoencoder`, or a `Classifier` on its encoder, with a class token; layer scale is refused, as
            these layouts have no place for it.
        folder: folder to write; an earlier export there is replaced.
        layout: "transformers" or "reference".
        part: "all", or "encoder" to leave out the decoder or the head.

    Returns:
        `folder`.

    Raises:
        InputError: the layout has no place for the model, or the folder holds other files than an export.

    Example:
        >>> kerasae.weights.export_weights(model, "vit-mae")
        >>> transformers.ViTMAEForPreTraining.from_pretrained("vit-mae")
    """
    for name, value, choices in (("layout", layout, LAYOUTS), ("part", part, PARTS)):
        if value not in choices:
            raise InputError(f"{name}: expected {' or '.join(map(repr, choices))}. Received: {value!r}")
    slots, sizes = slots_and_sizes(model, part)
    config, images = configuration(model, sizes), image_processor(model, sizes)
    if layout == "transformers":
        check_transformers(sizes)
        notes, files = {}, {"config.json": config, "preprocessor_config.json": images}
    else:
        notes, files = {"config": config, "images": images}, {}
    place = Layout(layout == "transformers", "vit." if sizes.decoder or sizes.classes else "")
    write(Path(os.path.abspath(folder)), tensors(slots, place), notes, files)
    return Path(folder)


def slots_and_sizes(model, part):
    """Collect the slots to write, by name in the reference project, and the network's sizes."""
    if not isinstance(model, models.MaskedAutoencoder | models.Classifier):
        raise InputError(f"expected a MaskedAutoencoder, or a Classifier on one. Received: {type(model).__name__}")
    slots, sizes = encoder_slots(model.encoder), encoder_sizes(model.encoder)
    if part == "all" and isinstance(model, models.Classifier):
        check_classifier(model, slots)
        return slots | head_slots(model), Sizes(**sizes, classes=model.classes)
    if part == "all":
        return slots | decoder_slots(model.decoder), Sizes(**sizes, **decoder_sizes(model.decoder), decoder=True)
    return slots, Sizes(**sizes)


def check_classifier(classifier, slots):
    """Raise InputError unless other projects put the head in the same place, and mean the same by it."""
    if classifier.kind != "class":
        raise InputError(
            f"this Classifier answers {classifier.kind}, not one class; give part='encoder' to export its encoder alone"
        )
    last = classifier.encoder.layers[-1]
    if "norm.weight" in slots and getattr(last, "kind", None) != "class":
        raise InputError(
            "this Classifier stands on the mean of normalised tokens; other projects normalise the mean, or take the "
            "class token: give part='encoder' to export its encoder alone"
        )


def check_transformers(sizes):
    """Raise InputError if transformers has no such network."""
    if sizes.pool_first:
        raise InputError("transformers has no ViT that normalises the mean of its tokens; give layout='reference'")
    if sizes.decoder and sizes.patch[0] != sizes.patch[1]:
        p, q = sizes.patch
        raise InputError(f"transformers' ViTMAE takes square patches, not {p}×{q}; give part='encoder', for its ViT")


def encoder_sizes(encoder):
    """Read the encoder's fields of `Sizes` off its layers."""
    if len(encoder.input_shape) != 4:
        raise InputError(f"other projects have networks of images only. Received: examples {encoder.input_shape[1:]}")
    block, (p, q) = first(TransformerBlock, encoder.layers), encoder.layers[1].patch
    height, width, channels = encoder.input_shape[1:]
    return {
        "width": block.norm1.gamma.shape[0],
        "depth": sum(isinstance(layer, TransformerBlock) for layer in encoder.layers),
        "heads": block.heads,
        "hidden": block.fc1.units,
        "patch": (p, q),
        "channels": channels,
        "grid": (height // p, width // q),
        "pool_first": "fc_norm.weight" in encoder_slots(encoder),
    }


def decoder_sizes(decoder):
    """Read the decoder's fields of `Sizes` off its layers."""
    block = first(TransformerBlock, decoder.layers)
    return {
        "decoder_width": block.norm1.gamma.shape[0],
        "decoder_depth": sum(isinstance(layer, TransformerBlock) for layer in decoder.layers),
        "decoder_heads": block.heads,
        "decoder_hidden": block.fc1.units,
    }


def tensors(slots, layout):
    """Map names in the layout to arrays."""
    arrays = {}
    for name, slot in slots.items():
        owns, value = layout.names(name), slot.read()
        parts = np.split(value, len(owns)) if owns[1:] else [value]
        arrays |= zip(owns, parts, strict=True)
    return arrays


# ---- what stands beside the weights


def configuration(model, sizes):
    """Build the content of config.json."""
    common = {
        "model_type": "vit",
        "architectures": ["ViTModel"],
        "dtype": "float32",
        "hidden_size": sizes.width,
        "num_hidden_layers": sizes.depth,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.hidden,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": 1e-6,
        "qkv_bias": True,
        "image_size": one_or_two(sizes.shape[:2]),
        "patch_size": one_or_two(sizes.patch),
        "num_channels": sizes.channels,
    }
    if sizes.classes:
        labels = {str(i): f"LABEL_{i}" for i in range(sizes.classes)}
        names = {"id2label": labels, "label2id": {label: int(i) for i, label in labels.items()}}
        return {**common, "architectures": ["ViTForImageClassification"], **names}
    if not sizes.decoder:
        return common
    return {
        **common,
        "model_type": "vit_mae",
        "architectures": ["ViTMAEForPreTraining"],
        "decoder_hidden_size": sizes.decoder_width,
        "decoder_num_hidden_layers": sizes.decoder_depth,
        "decoder_num_attention_heads": sizes.decoder_heads,
        "decoder_intermediate_size": sizes.decoder_hidden,
        "mask_ratio": model.mask_ratio,
        "norm_pix_loss": model.normalize_targets,
    }


def image_processor(model, sizes):
    """Build the content of preprocessor_config.json: resize, divide by the stored maximum, standardise."""
    patches = model.encoder.layers[1]
    height, width = sizes.shape[:2]
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": height, "width": width},
        "resample": BICUBIC,
        "do_rescale": True,
        "rescale_factor": 1.0 / model.pixel_max,
        "do_normalize": True,
        "image_mean": per_channel(patches.mean, sizes.channels),
        "image_std": per_channel(patches.std, sizes.channels),
    }


def one_or_two(sides):
    """Return one number for a square, else [height, width]."""
    return sides[0] if sides[0] == sides[1] else list(sides)


def per_channel(value, channels):
    return list(value) if isinstance(value, tuple) else [value] * channels


# ---- files


def write(folder, arrays, notes, files):
    """Write all files beside the folder first, so that an earlier export stays until the new one is complete."""
    content = {"config.json", "preprocessor_config.json", WEIGHTS}
    if folder.exists() and (not folder.is_dir() or {entry.name for entry in folder.iterdir()} - content):
        raise InputError(f"{folder} exists and is no export of weights; choose another destination")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        metadata = {"format": "pt", **{name: json.dumps(note) for name, note in notes.items()}}
        safetensors.numpy.save_file(arrays, Path(temporary, WEIGHTS), metadata=metadata)
        for name, value in files.items():
            Path(temporary, name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        for name in content - {WEIGHTS, *files}:
            (folder / name).unlink(missing_ok=True)
        for name in (WEIGHTS, *files):
            os.replace(Path(temporary, name), folder / name)
