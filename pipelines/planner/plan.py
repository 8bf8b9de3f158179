"""Predict the cost of a masked autoencoder's pretraining on N GPUs: memory, FLOPs, network traffic, hours.

Nothing is run: a plan is arithmetic on the recipe's sizes and on assumptions about the machines. Each assumption is a
flag, and is printed with the plan. docs/scale.md compares plans with measurements; `benchmarks/scale_fit.py` measures
the flags of a machine.
"""

from dataclasses import asdict, dataclass, field, fields, replace

from pipelines.command_line.ranges import check, within
from pipelines.planner import wire
from pipelines.planner.job import Job


def assumed(kind):
    """Make the metadata of a field that is an assumption about the machines, printed with the plan."""
    return within(kind, assumed=True)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings: the pretraining to plan, and assumptions about the machines."""

    recipe: str = field(metadata={"positional": True})
    """Named recipe of `kerasae mae`; vit-b, vit-l or vit-h, the published ones; or a run directory of `kerasae mae`."""
    gpus: int = field(default=8, metadata=within("count"))
    """Number of GPUs; the recipe's batch is divided among them."""
    host_gpus: int = field(default=8, metadata=within("count"))
    """GPUs per host."""
    accumulate: int | None = field(default=None, metadata=within("count"))
    """Passes into which the effective batch is divided; as in the recipe when not given."""
    images: int | None = field(default=None, metadata=within("count"))
    """Number of training images, for data that the plan does not know."""
    image_size: tuple[int, ...] | None = field(default=None, metadata=within("count"))
    """Size of the images, for data that the plan does not know: one number, or height and width."""
    channels: int | None = field(default=None, metadata=within("count"))
    """Channels of the images, for data that the plan does not know; 3 when not given."""
    bfloat16_rate: float = field(default=989e12, metadata=assumed("positive"))
    """FLOP/s of a GPU's matrix products in bfloat16; peak of an H100 SXM's data sheet."""
    float32_rate: float = field(default=495e12, metadata=assumed("positive"))
    """FLOP/s of a GPU's matrix products in float32; peak of TF32, which TensorFlow uses, in the same data sheet."""
    rate_share: float = field(default=0.4, metadata=assumed("factor"))
    """Share of the peak FLOP/s that matrix products reach."""
    memory_rate: float = field(default=3.35e12, metadata=assumed("positive"))
    """Bytes/s of a GPU's memory; peak of the data sheet."""
    memory_share: float = field(default=0.6, metadata=assumed("factor"))
    """Share of the memory's peak that operations other than matrix products reach."""
    block_seconds: float = field(default=4e-4, metadata=assumed("amount"))
    """Least seconds of a transformer block, in which about a hundred kernels are started."""
    gpu_memory: float = field(default=80e9, metadata=assumed("positive"))
    """Bytes of memory of a GPU."""
    link_rate: float = field(default=450e9, metadata=assumed("positive"))
    """Bytes/s that a GPU sends to others of its host; NVLink's data sheet, one direction."""
    network_rate: float = field(default=50e9, metadata=assumed("positive"))
    """Bytes/s that a host sends to others; one link of 400 Gbit/s."""
    hop_seconds: float = field(default=1e-5, metadata=assumed("amount"))
    """Seconds of one hop in a ring all-reduce."""
    overlap: float = field(default=0.0, metadata=assumed("fraction"))
    """Share of the all-reduce that backward hides; 0, as TensorFlow joins all gradients in one message."""
    jpeg_bytes: float = field(default=115e3, metadata=assumed("positive"))
    """Bytes of a stored image; the tar file of ImageNet's 1,281,167 images has 147,897,477,120."""
    storage_rate: float = field(default=2e9, metadata=assumed("positive"))
    """Bytes/s at which a host reads images."""
    decode_rate: float = field(default=320.0, metadata=assumed("positive"))
    """Images/s that a core reads, decodes and crops; measured on a CPU, see docs/scale.md."""
    host_cores: int = field(default=64, metadata=assumed("count"))
    """Cores of a host that read, decode and crop."""
    write_rate: float = field(default=1e9, metadata=assumed("positive"))
    """Bytes/s at which a checkpoint is written, by one host while the others wait."""
    checkpoint_seconds: float = field(default=10.0, metadata=assumed("amount"))
    """Least seconds between checkpoints; as in the training loop."""
    checkpoint_share: float = field(default=0.005, metadata=assumed("factor"))
    """Largest share of the time for writing checkpoints; as in the training loop."""
    checkpoint_patience: float = field(default=1800.0, metadata=assumed("positive"))
    """Most seconds between checkpoints, even if writing them then takes a larger share; as in the training loop."""
    failure_hours: float = field(default=50_000.0, metadata=assumed("positive"))
    """Hours of one GPU between failures that stop the run; 419 in 54 days of 16,384 GPUs, arXiv 2407.21783."""
    restart_seconds: float = field(default=300.0, metadata=assumed("amount"))
    """Seconds from a failure to the next step."""

    def __post_init__(self):
        check(self)


def run(recipe: Recipe):
    """Print the plan."""
    job = Job.of(recipe)
    print(describe(recipe, job))
    sections = {
        "network": counts(job),
        f"memory of a GPU, {job.at_once(recipe.gpus)} images at once": memory(recipe, job),
        "an update": times(wire.update(recipe, job)),
        "data, each host": feeding(recipe, job),
        "checkpoints": checkpoints(recipe, job),
        "whole run": whole(recipe, job),
        "assumptions about the machines, each a flag": assumptions(recipe),
    }
    for title, rows in sections.items():
        print(f"\n{title}\n" + "\n".join(f"  {label:24} {text}" for label, text in rows))
    print("\n" + "\n".join(verdicts(recipe, job)))


# ---- the tables


def describe(recipe, job):
    """Describe the training and its GPUs in two lines."""
    size, hosts = "×".join(map(str, job.shape)), -(-recipe.gpus // recipe.host_gpus)
    return (
        f"{job.name}: {job.images:,} images {size}, {job.epochs} epochs, {job.updates:,} updates of {job.batch}\n"
        f"on {recipe.gpus} GPU{'s'[: recipe.gpus > 1]} in {hosts} host{'s'[: hosts > 1]}"
    )


def counts(job):
    """Tabulate weights, tokens and FLOPs."""
    net = job.network
    return [
        ("weights, millions", f"{net.trained / 1e6:.1f} trained, of the encoder {net.encoder_weights / 1e6:.1f}"),
        ("tokens of an image", f"{net.tokens} in the encoder; {net.patches} patches"),
        ("GFLOP of an image", f"{net.flops / 1e9:.4g} forward and backward"),
        ("FLOP of the run", f"{net.flops * job.batch * job.updates:.3g}"),
    ]


def memory(recipe, job):
    """Tabulate the gigabytes on a GPU."""
    parts = wire.memory(recipe, job)
    total = f"{sum(parts.values()) / 1e9:.2f} GB of {recipe.gpu_memory / 1e9:.0f}"
    return [(name, f"{size / 1e9:.2f} GB") for name, size in parts.items()] + [("together", total)]


def times(update):
    """Tabulate the parts of an update's time."""
    rows = [
        ("products", update.products, ""),
        ("memory traffic", update.traffic, ""),
        ("starting kernels", update.starting, ""),
        (
            "all-reduce",
            update.reducing,
            f"{update.sent / 1e9:.3g} GB sent by a GPU, {update.between / 1e9:.3g} by a host",
        ),
        ("… hidden by backward", update.hidden, ""),
        ("waiting for data", update.waiting, ""),
        ("together", update.seconds, f"{update.rate:,.0f} images/s"),
    ]
    return [(name, f"{1e3 * seconds:10.2f} ms  {more}".rstrip()) for name, seconds, more in rows]


def feeding(recipe, job):
    """Tabulate the images and bytes that a host must read."""
    update, hosts = wire.update(recipe, job), -(-recipe.gpus // recipe.host_gpus)
    rate = update.rate / hosts
    if job.in_memory:
        return [("images/s", f"{rate:,.0f}"), ("held in memory", "nothing is read or decoded")]
    return [
        ("images/s", f"{rate:,.0f} of {wire.host_limit(recipe):,.0f}"),
        ("read", f"{rate * recipe.jpeg_bytes / 1e9:.3g} GB/s of {recipe.storage_rate / 1e9:.3g}"),
        ("cores that decode", f"{rate / recipe.decode_rate:,.1f} of {recipe.host_cores}"),
    ]


def checkpoints(recipe, job):
    """Tabulate size, duration and interval of the checkpoints."""
    kept = wire.checkpoints(recipe, job)
    return [
        ("size", f"{job.network.checkpoint / 1e9:.3g} GB"),
        ("written in", f"{kept.seconds:.2f} s, {kept.count:,} times, every {kept.every / 60:.1f} minutes"),
        ("share of the time", f"{kept.share:.1%}"),
    ]


def whole(recipe, job):
    """Tabulate the hours of the run, its failures, and its share of the GPUs' peak."""
    total = wire.total(recipe, job)
    share = job.network.flops * job.batch * job.updates / (total.hours * 3600 * recipe.gpus) / wire.peak(recipe, job)
    return [
        ("training", f"{total.training:,.2f} hours"),
        ("checkpoints", f"{total.checkpoints:,.2f} hours"),
        ("failures", f"{total.failures:.2f} expected, {total.lost:,.2f} hours lost"),
        ("together", f"{total.hours:,.2f} hours, {total.hours * recipe.gpus:,.2f} GPU hours"),
        ("share of the peak", f"{share:.0%}"),
    ]


def assumptions(recipe):
    """Tabulate flag, value and description of every assumption."""
    from pipelines.command_line.main import attribute_docstrings

    helps, values = attribute_docstrings(Recipe), asdict(recipe)
    names = [f.name for f in fields(Recipe) if f.metadata.get("assumed")]
    return [(f"--{name.replace('_', '-')} {values[name]:g}", helps[name]) for name in names]


def verdicts(recipe, job):
    """Yield a line that names the bottleneck, and one for memory that does not fit."""
    update, held = wire.update(recipe, job), sum(wire.memory(recipe, job).values())
    if held > recipe.gpu_memory:
        yield f"It does not fit: {held / 1e9:.1f} GB of {recipe.gpu_memory / 1e9:.0f}; {remedy(recipe, job)}."
    yield f"{update.bottleneck}."


def remedy(recipe, job):
    """Find the number of passes with which an update fits into memory."""
    passes = job.accumulate
    while job.batch % (2 * passes) == 0 and job.batch // (2 * passes) >= recipe.gpus:
        passes *= 2
        if sum(wire.memory(recipe, replace(job, accumulate=passes)).values()) <= recipe.gpu_memory:
            return f"with --accumulate {passes} it does"
    return "no number of passes makes it fit"
