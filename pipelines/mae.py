"""Pretrain a vision transformer or a convolutional network as a masked autoencoder, without labels."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.building import budget, masked_networks, starting, variants
from pipelines.command_line import door
from pipelines.command_line.fields import NumericsFields, RunRecipe, in_place_of
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import within

PER = 256  # images of the batch to which `base_rate` applies

PATCHES = {1: (16,), 2: (4,), 3: (4,)}
"""Axes of a signal, image or volume → its patch where none is given."""


@dataclass(frozen=True, kw_only=True)
class Recipe(NumericsFields, RunRecipe):
    """Settings for pretraining one masked autoencoder (He et al., arXiv 2111.06377)."""

    network: Literal["vit", "convnext", "vgg"] = "vit"
    """Vision transformer; or a convolutional network in which hidden patches stay empty: ConvNeXt V2, or the plain vgg,
    which has batch norm. Signals and volumes take a transformer."""
    size: Literal["tiny", "small", "base", "large", "huge"] = "tiny"
    """Size of the transformer, width × blocks: 192×12, 384×12, 768×12, 1024×24 or 1280×32."""
    patch: tuple[int, ...] | None = field(default=None, metadata=within("count"))
    """Side of a patch along all axes, or one for each, height and width of an image; it must divide the example. 4 when
    not given, and 16 samples of signals."""
    width: int | None = field(default=None, metadata=within("count"))
    """Width of the encoder's tokens; that of `size` when not given."""
    depth: int | None = field(default=None, metadata=within("depth"))
    """Blocks of the encoder; those of `size` when not given."""
    heads: int | None = field(default=None, metadata=within("count"))
    """Heads of the encoder's attention; those of `size` when not given."""
    decoder_width: int | None = field(default=None, metadata=within("count"))
    """Width of the decoder's tokens; that of `size` when not given."""
    decoder_depth: int | None = field(default=None, metadata=within("depth"))
    """Blocks of the decoder; those of `size` when not given."""
    decoder_heads: int | None = field(default=None, metadata=within("count"))
    """Heads of the decoder's attention; those of `size` when not given."""
    widths: tuple[int, ...] | None = field(default=None, metadata=within("count"))
    """Channels of each stage of the convolutional network; 64 and 128 for convnext and 64, doubled up to 512, for vgg,
    when not given."""
    depths: tuple[int, ...] | None = field(default=None, metadata=within("depth"))
    """Blocks of each stage of convnext; 2 and 6 when not given."""
    kernel: int | None = field(default=None, metadata=within("count"))
    """Side of the convolutional network's kernels; 7 for convnext and 3 for vgg when not given."""
    pooling: Literal["mean", "class"] = "mean"
    """The code: the mean of the patches' tokens, or the class token."""
    learned_positions: bool = False
    """Learn the positions instead of using fixed sin-cos ones."""
    decoder: Literal["deep", "shallow", "cross", "linear"] = "deep"
    """Decoder of the hidden patches: deep (several blocks), shallow (one block), cross (cross-attention, CrossMAE), or
    linear (one layer after an encoder that gets mask tokens, SimMIM)."""
    mask_ratio: float | None = field(default=None, metadata=within("share"))
    """Share of the patches that are hidden; when not given, 0.75, or 0.6 for SimMIM and for convnext."""
    mask_group: int = field(default=1, metadata=within("count"))
    """Side of the squares of patches that are hidden together."""
    prediction_ratio: float | None = field(default=None, metadata=within("share"))
    """Share of all patches that CrossMAE predicts in a step; a quarter when not given."""
    normalize_targets: bool | None = None
    """Predict patches normalised by their own mean and standard deviation, not values; when not given, only SimMIM, and
    models of signals, volumes and numbers of any range, predict values."""
    low_variance: float = field(default=0.0, metadata=within("share"))
    """Share of the patches' variance, in leading principal components, that is left out of the target; 0 for none."""
    mean: tuple[float, ...] | None = None
    """Mean of each channel in [0, 1]; measured on the training images when not given."""
    std: tuple[float, ...] | None = field(default=None, metadata=within("positive"))
    """Standard deviation of each channel; measured on the training images when not given."""
    start: str | None = None
    """Run or .keras file of a masked autoencoder from whose weights training starts; its position codes and channels
    are adapted to these images."""
    new_decoder: bool = False
    """With start: take only the encoder's weights, and train a new decoder, at first with the encoder frozen."""
    decoder_epochs: int | None = field(default=None, metadata=within("count"))
    """Epochs of the new decoder with the encoder frozen; a tenth of epochs when not given."""
    epochs: int = field(default=100, metadata=within("count"))
    """Epochs of training; raise them to continue a run that has ended."""
    minutes: float | None = in_place_of("epochs")
    """Minutes that training may take, instead of epochs: some steps are timed, and the epochs that fit are run."""
    batch_size: int = field(default=256, metadata=within("count"))
    """Images of one forward and backward pass, over all devices."""
    accumulate: int = field(default=1, metadata=within("count"))
    """Batches whose gradients make one update; the effective batch is batch_size times this."""
    at_once: int = field(default=0, metadata=within("count_or_none"))
    """Number of accumulated batches computed in parallel; 0 lets a CPU split them further, one part per core, which is
    faster."""
    base_rate: float = field(default=1.5e-4, metadata=within("positive"))
    """Peak learning rate per 256 images of the effective batch."""
    warmup_epochs: int = field(default=10, metadata=within("count_or_none"))
    """Epochs of warm-up, in which the learning rate rises step by step; it then falls along a half-cosine to 0. With
    minutes, at most a tenth of the steps."""
    weight_decay: float = field(default=0.05, metadata=within("amount"))
    """Decoupled weight decay of AdamW; biases and normalisations are not decayed."""
    crop: float | None = field(default=None, metadata=within("factor"))
    """Smallest area of the random crop, as a share of the image; 1 for no crop. When not given, 0.2, and none for
    numbers of any range. Only images are cropped."""
    flip: bool | None = None
    """Mirror half of the images; turn off for digits and letters. When not given, off for numbers of any range. Only
    images are mirrored."""
    jit: bool = False
    """Compile the step with XLA also on CPUs and on several GPUs, where Keras does not."""
    pictures_every: int = field(default=10, metadata=within("count_or_none"))
    """Epochs between pictures of masked and reconstructed images in the run; 0 for none."""

    folder = "mae"

    @property
    def batch(self):
        """Count the images of one update."""
        return self.batch_size * self.accumulate

    @property
    def divisible(self):
        """Tell whether parts of an update may be computed in parallel; XLA computes one after the other."""
        return not self.jit and self.network != "vgg"


def run(recipe: Recipe):
    """Build a masked autoencoder, train it on the unlabelled images, save it."""
    from kerasae.training import precision
    from kerasae.training.memory_check import trainable

    with door.entered(recipe) as (recipe, source, begin):
        check(recipe, source)
        recipe, begin = with_defaults(recipe, begin, source.info)
        place, origin = statistics(recipe, source), starting.load_masked(recipe.start) if recipe.start else None
        model = trainable(lambda: build(recipe, source.info, place, origin))
        if recipe.low_variance:
            model.adapt_target(kerasae.data.spread_examples(source.train, 10_000))
        measure = partial(cost, model, source, recipe)
        recipe, begin = budget.with_epochs(recipe, begin, "mae", measure, origin=origin)
        directory = begin("mae", origin=origin)
        budget.announce(directory, "mae", "cosine")
        print(summary(recipe, model, source.train))
        if origin is not None:
            print(starting.say(origin, source.info, recipe.start))
            directory.save_start(build(recipe, source.info, place, origin))
        progress = fit(directory, model, source, recipe)
        result = precision.float32_model(model, lambda: build(recipe, source.info, place, origin))
        directory.save_model(result)
        return finish(directory, figures(progress, result, source))


def check(recipe, source):
    """Raise InputError for settings that do not fit these images, before anything is written."""
    info = source.info
    starting.check(recipe)
    if len(info.shape) not in (2, 3, 4):
        raise InputError(f"data: a masked autoencoder needs signals, images or volumes, not examples {info.shape}")
    check_augmentation(recipe, info)
    masked_networks.check(fitted(recipe, info), info)
    if recipe.accumulate > 1 and recipe.batch > len(source.train):
        raise InputError(
            f"accumulate: {recipe.batch} images make an update, but there are {len(source.train)}; lower it"
        )
    if recipe.at_once > recipe.accumulate:
        raise InputError(
            f"at_once: {recipe.at_once} batches at once, but accumulate makes an update of {recipe.accumulate}; "
            "raise accumulate and lower batch_size"
        )
    if recipe.prediction_ratio is not None and recipe.decoder != "cross":
        raise InputError(f"prediction_ratio: only for decoder cross, not {recipe.decoder}; leave it out")
    for name in ("mean", "std"):
        given = getattr(recipe, name)
        if given is not None and info.standardized:
            raise InputError(f"{name}: numbers of any range are standardised by their own statistics; leave it out")
        if given is not None and len(given) not in (1, info.shape[-1]):
            raise InputError(f"{name}: expected 1 or {info.shape[-1]} values, one per channel. Received: {given}")


def check_augmentation(recipe, info):
    """Raise InputError for a crop or flip of what is no image, and for a crop of numbers of any range."""
    cropped = recipe.crop not in (None, 1.0)
    for name, asked in (("crop", cropped), ("flip", recipe.flip)):
        if asked and len(info.shape) != 3:
            raise InputError(f"{name}: expected images. Received: examples {info.shape}; leave {name} out")
    if info.standardized and cropped:
        raise InputError(f"crop: needs the range of {info.spec}; give min_value and max_value, or leave it out")


def fitted(recipe, info):
    """Fill in the fields whose defaults depend on whether examples are images of a known range."""
    photos = len(info.shape) == 3 and not info.standardized
    values = {"patch": PATCHES[len(info.shape) - 1], "crop": 0.2 if photos else 1.0, "flip": photos}
    if not photos and recipe.start is None:
        values["normalize_targets"] = False
    return replace(recipe, **{name: v for name, v in values.items() if getattr(recipe, name) is None})


def with_defaults(recipe, begin, info):
    """Fill the defaults in, also in what the function `begin` of `door.entered` records."""
    return fitted(recipe, info), partial(begin, recipe=fitted(begin.keywords["recipe"], info))


def statistics(recipe, source):
    """Return the mean and standard deviation that standardise the images, as arguments of the networks."""
    if source.info.standardized:  # the model does
        return {"mean": 0.0, "std": 1.0}
    known = source.info.band_mean and (source.info.band_mean, source.info.band_std)
    measured = known or kerasae.data.channel_statistics(source.train, source.info.max_value)
    given = recipe.mean, recipe.std
    return {n: m if g is None else g for n, g, m in zip(("mean", "std"), given, measured, strict=True)}


def build(recipe, info, place, origin=None):
    """Build a recipe's model for images with statistics `place`, or adapt the pretrained model `origin` to them."""
    recipe, scale = fitted(recipe, info), variants.scale_of(info)
    if origin is not None:
        kept = {"normalize_targets": origin.normalize_targets, "mask_ratio": origin.mask_ratio}
        cls = variant(recipe) if recipe.new_decoder else type(origin)
        networks = starting.adapt(origin, info, place, recipe)
        return cls(*networks, pixel_max=scale, **{**kept, **options(recipe)})
    networks = masked_networks.build(recipe, info.shape, place)
    return variant(recipe)(*networks, pixel_max=scale, **options(recipe))


def variant(recipe):
    """Choose the model class for the recipe's network and decoder."""
    if recipe.network != "vit":
        return kerasae.models.ConvolutionalMaskedAutoencoder
    own = {"cross": "CrossMaskedAutoencoder", "linear": "SimMIM"}
    return getattr(kerasae.models, own.get(recipe.decoder, "MaskedAutoencoder"))


def options(recipe):
    """Collect the model's arguments for masks and targets that the recipe sets."""
    names = ("mask_ratio", "mask_group", "prediction_ratio", "normalize_targets")
    given = {name: getattr(recipe, name) for name in names if getattr(recipe, name) is not None}
    if recipe.low_variance:
        given["target"] = kerasae.layers.LowVariance(recipe.low_variance)
    return given


def effective_batch(recipe, split):
    """Count the images of one update, at most the whole split."""
    return min(recipe.batch, len(split))


def peak_rate(recipe, split):
    """Scale the base learning rate to the effective batch."""
    return recipe.base_rate * effective_batch(recipe, split) / PER


def summary(recipe, model, split):
    """Describe network, effective batch and learning rate in two lines."""
    batch, patches = effective_batch(recipe, split), model.patches_shape[0]
    encoder, whole = (network.count_params() / 1e6 for network in (model.encoder, model))
    each, total = f"{batch // recipe.accumulate} × {recipe.accumulate}", f"{recipe.base_rate:g} × {batch} / {PER}"
    return (
        f"encoder {encoder:.2f} million weights, with decoder {whole:.2f}; "
        f"{model.visible} of {patches} patches visible\n"
        f"effective batch {batch} ({each}), effective learning rate {peak_rate(recipe, split):.3g} ({total})"
    )


def fit(directory, model, source, recipe):
    """Train the model on random crops of the unlabelled images; return its progress."""
    if recipe.new_decoder and not (directory.path / "checkpoints" / "mae").exists():
        warm_up_decoder(directory, model, source, recipe)
    settings = stage(recipe, source.train)
    compile_model(model, settings, source.train, recipe)
    return directory.fit(
        "mae",
        model,
        source.train,
        settings,
        seed=recipe.seed,
        augment=augmentation(recipe, source.info),
        callbacks=[pictures(directory, model, source, recipe)] if recipe.pictures_every else [],
    )


def warm_up_decoder(directory, model, source, recipe):
    """Train a new decoder with the encoder frozen."""
    from kerasae import runs
    from kerasae.optimizers import schedules

    epochs = recipe.decoder_epochs or max(1, recipe.epochs // 10)
    settings = runs.Stage(epochs=epochs, batch_size=effective_batch(recipe, source.train))
    rate, steps = peak_rate(recipe, source.train), settings.steps(source.train)
    optimizer = schedules.build(steps, rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.95))
    model.encoder.trainable = False
    model.compile(optimizer, micro_batches=recipe.accumulate, jit_compile=recipe.jit or "auto")
    augment = augmentation(recipe, source.info)
    directory.fit("decoder", model, source.train, settings, seed=recipe.seed, augment=augment)
    model.encoder.trainable = True


def cost(model, source, recipe):
    """Measure the time that training takes, without changing the model."""
    from kerasae import runs

    settings = stage(recipe, source.train)
    compile_model(model, settings, source.train, recipe)
    options = {"seed": recipe.seed, "workers": recipe.data_workers, "augment": augmentation(recipe, source.info)}
    return runs.measure(model, source.train, settings, recipe.minutes, **options)


def stage(recipe, split):
    """Collect the epochs and the images of an update."""
    from kerasae import runs

    return runs.Stage(epochs=recipe.epochs, batch_size=effective_batch(recipe, split))


def compile_model(model, settings, split, recipe):
    """Compile the model with AdamW, warm-up, cosine decay and the micro-batches of an update."""
    from kerasae.optimizers import schedules
    from kerasae.training import devices

    optimizer = schedules.build(
        settings.steps(split),
        peak_rate(recipe, split),
        warmup_steps=warmup_steps(recipe, settings.steps_per_epoch(split)),
        weight_decay=recipe.weight_decay,
        betas=(0.9, 0.95),
    )
    parts, at_once = devices.parts(recipe, settings.batch_size)
    model.compile(optimizer, micro_batches=parts, at_once=at_once, jit_compile=recipe.jit or "auto")


def warmup_steps(recipe, per_epoch):
    """Count the warm-up steps; with `minutes` at most a tenth of all, so that a short run reaches its peak rate."""
    steps = min(recipe.warmup_epochs, recipe.epochs) * per_epoch
    return steps if recipe.minutes is None else min(steps, recipe.epochs * per_epoch // 10)


def augmentation(recipe, info):
    """Build the random crop and flip, or None."""
    steps = [kerasae.data.RandomResizedCrop((recipe.crop, 1.0), maximum=info.max_value)] if recipe.crop < 1 else []
    steps += [kerasae.data.RandomFlip()] if recipe.flip else []
    return kerasae.data.Chain(*steps) if steps else None


def pictures(directory, model, source, recipe):
    """Build a callback that draws masked and reconstructed images into the run every few epochs."""
    import keras

    from kerasae.report.pictures import Examples, masked_figure
    from kerasae.training import processes

    examples = Examples.of(source, 10)
    folder = directory.path / "pictures"

    def draw(epoch, logs):
        due = (epoch + 1) % recipe.pictures_every == 0 or epoch + 1 == recipe.epochs
        if due and processes.writes():
            folder.mkdir(exist_ok=True)
            masked_figure(model, examples.images).savefig(folder / f"epoch-{epoch + 1:04d}.png", dpi=80)

    return keras.callbacks.LambdaCallback(on_epoch_end=draw)


def figures(progress, model, source):
    """Collect epochs, seconds and the loss on the test images."""
    numbers = {"epochs": progress.epoch, "training_seconds": progress.seconds}
    if source.has_test:
        numbers["test_loss"] = kerasae.evaluate.mean_score(model, source.test)
    return numbers
