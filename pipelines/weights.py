"""Import weights of other projects as a run, or export a run's weights for other projects."""

import os
from dataclasses import dataclass, field
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import check, within


def actions():
    """List the values of `action`."""
    return ["import", "export"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings for one import or export of weights."""

    action: str = field(metadata={"positional": True, "choices": actions})
    """import: FILE of the reference MAE project, of timm or of transformers → run directory; export: RUN → folder."""
    source: str = field(metadata={"positional": True})
    """File of weights (.pth, .pt, .bin, .safetensors) or folder of transformers to import; or run to export."""
    dest: str | None = field(default=None, metadata={"positional": True})
    """Where the result goes: runs/NAME for an import, saved_models/NAME-weights for an export, when not given."""
    prefix: str | None = None
    """Import: what the names of the encoder to take begin with, where the file holds several, such as teacher."""
    image_size: tuple[int, ...] | None = field(default=None, metadata=within("side"))
    """Import: size of the images, one number or height and width; position codes of another size are interpolated."""
    heads: int | None = field(default=None, metadata=within("count"))
    """Import: heads of the encoder, if neither a config.json nor the published sizes give them."""
    decoder_heads: int | None = field(default=None, metadata=within("count"))
    """Import: heads of the decoder, if neither a config.json nor the published sizes give them."""
    decoder_width: int = field(default=512, metadata=within("count"))
    """Import: width of a new decoder, if the file holds none."""
    decoder_depth: int = field(default=8, metadata=within("depth"))
    """Import: blocks of a new decoder, if the file holds none."""
    pooling: Literal["mean", "class"] = "mean"
    """Import: use the mean of the patches' tokens or the class token as the code."""
    mean: tuple[float, ...] | None = None
    """Import: mean of the images in [0, 1], one number or one per channel; ImageNet's when nothing else is known."""
    std: tuple[float, ...] | None = field(default=None, metadata=within("positive"))
    """Import: standard deviation of the images, one number or one per channel; ImageNet's when nothing is known."""
    raw_targets: bool = False
    """Import: the decoder predicts pixels, not pixels normalised patch by patch."""
    layout: Literal["transformers", "reference"] = "transformers"
    """Export: names and files of transformers, or names of the reference MAE project and of timm."""
    part: Literal["all", "encoder"] = "all"
    """Export: everything, or the encoder without decoder or head."""
    seed: int = field(default=0, metadata=within("seed"))
    """Import: seed of the weights that the file does not hold, such as those of a missing decoder."""

    def __post_init__(self):
        check(self)


def run(recipe: Recipe):
    """Import weights into a run directory, or export those of a run."""
    return bring_in(recipe) if recipe.action == "import" else write_out(recipe)


def bring_in(recipe):
    """Create a run directory whose model has the weights of the file, for `probe`, `finetune` and `export`."""
    import keras

    from kerasae import runs

    keras.utils.set_random_seed(recipe.seed)
    model = kerasae.weights.import_weights(recipe.source, **options(recipe))
    directory = runs.Run(recipe.dest or f"runs/{name_of(recipe.source)}", "weights", recipe, origin=model)
    directory.save_model(model)
    shape, kind = "×".join(map(str, model.example_shape)), type(model).__name__
    verb = "evaluate" if kind == "Classifier" else "finetune"
    print(f"{kind} of images {shape}, stored values 0 to {model.pixel_max:g}; continue with your own data:")
    print(f"  kerasae {verb} {directory.path} --data SPEC")
    return finish(directory, figures(model))


def options(recipe):
    """Collect the arguments of `import_weights` that the recipe gives."""
    from kerasae.data.checks import fits_in_memory

    size = recipe.image_size
    if size and len(size) > 2:
        raise InputError(f"image_size: expected one number, or height and width. Received: {size}")
    # Bytes in float32: a block has 12 width² weights, 4 of its attention and 8 of its MLP.
    new = 4 * 12 * recipe.decoder_width**2 * recipe.decoder_depth
    fits_in_memory(new, "a new decoder", "lower decoder_width or decoder_depth")
    return {
        "prefix": recipe.prefix,
        "image_size": size[0] if size and len(size) == 1 else size,
        "heads": recipe.heads,
        "decoder_width": recipe.decoder_width,
        "decoder_depth": recipe.decoder_depth,
        "decoder_heads": recipe.decoder_heads,
        "pooling": recipe.pooling,
        "mean": recipe.mean,
        "std": recipe.std,
        "normalize_targets": False if recipe.raw_targets else None,
    }


def figures(model):
    """Collect the sizes of the model."""
    height, width, channels = model.example_shape
    code = model.encoder.output_shape[-1]
    sizes = {"image_height": height, "image_width": width, "image_channels": channels, "code": code}
    return {**sizes, "encoder_parameters": model.encoder.count_params(), "parameters": model.count_params()}


def write_out(recipe):
    """Export a run's weights to a folder that other projects load."""
    from kerasae import runs

    model = runs.load_model(recipe.source)
    dest = recipe.dest or f"saved_models/{name_of(recipe.source)}-weights"
    kerasae.weights.export_weights(model, dest, layout=recipe.layout, part=recipe.part)
    print(f"{dest}:")
    for name in sorted(os.listdir(dest)):
        print(f"  {name:28} {os.path.getsize(os.path.join(dest, name)):,} bytes")


def name_of(source):
    """Return the name of a file without its ending, or of a folder."""
    return os.path.splitext(os.path.basename(os.path.abspath(source)))[0]
