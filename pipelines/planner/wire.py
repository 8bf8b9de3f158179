"""Estimate the time of updates, all-reduce, data loading and checkpoints on many GPUs.

    seconds = FLOPs / rate + bytes / bandwidth + blocks · seconds per block     computing on a GPU
            + all-reduce − the part of it that backward hides;      or the seconds of data loading, if they are more

Pure arithmetic; the first line is what `benchmarks/scale_fit.py` fits to measured steps.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Rates of a device: FLOP/s of matrix products, bytes/s of memory, and least seconds of a transformer block."""

    rate: float
    bandwidth: float
    block_seconds: float

    def parts(self, network, images, value_bytes, passes=1):
        """Estimate the seconds of an update's matrix products, memory traffic and kernel starts."""
        moved = network.moved(images, value_bytes, passes)
        return images * network.flops / self.rate, moved / self.bandwidth, passes * network.blocks * self.block_seconds


@dataclass(frozen=True, kw_only=True)
class Update:
    """Parts of the time of one update, in seconds, and bytes that a GPU and a host send."""

    images: int
    products: float
    traffic: float
    starting: float
    reducing: float
    hidden: float
    feeding: float
    sent: float
    between: float

    @property
    def computing(self):
        return self.products + self.traffic + self.starting

    @property
    def exposed(self):
        """Return the seconds of the all-reduce that backward does not hide."""
        return self.reducing - self.hidden

    @property
    def waiting(self):
        """Return the seconds that GPUs wait for data, which hosts prepare while the GPUs compute."""
        return max(0.0, self.feeding - self.computing - self.exposed)

    @property
    def seconds(self):
        return self.computing + self.exposed + self.waiting

    @property
    def rate(self):
        """Compute the images per second of all GPUs."""
        return self.images / self.seconds

    @property
    def bottleneck(self):
        """Name the bottleneck of an update in one sentence."""
        if self.waiting > 0:
            return f"Data loading is the bottleneck: the GPUs wait for it {self.waiting / self.seconds:.0%} of the time"
        all_reduce = f"; the all-reduce takes {self.exposed / self.seconds:.0%} of the time"
        if self.exposed > self.computing:
            return "Communication is the bottleneck" + all_reduce
        if self.starting > self.products + self.traffic:
            return "Starting kernels is the bottleneck: there are too few images on a GPU" + all_reduce
        return "Computing on the GPUs is the bottleneck" + all_reduce


def peak(recipe, job):
    """Look up the peak FLOP/s of one GPU in the job's number format."""
    return recipe.bfloat16_rate if job.value_bytes == 2 else recipe.float32_rate


def update(recipe, job):
    """Estimate the time of one update on the plan's GPUs."""
    images = job.at_once(recipe.gpus) * job.accumulate
    gpu = Machine(
        rate=recipe.rate_share * peak(recipe, job),
        bandwidth=recipe.memory_share * recipe.memory_rate,
        block_seconds=recipe.block_seconds,
    )
    products, traffic, starting = gpu.parts(job.network, images, job.value_bytes, job.accumulate)
    reducing, sent, between = all_reduce(recipe, 4 * job.network.trained)
    # Only the last pass of an update has gradients to send; two thirds of it are backward.
    backward = 2 / 3 * (products + traffic + starting) / job.accumulate
    return Update(
        images=job.batch,
        products=products,
        traffic=traffic,
        starting=starting,
        reducing=reducing,
        hidden=min(recipe.overlap * reducing, backward),
        feeding=0.0 if job.in_memory else images * min(recipe.gpus, recipe.host_gpus) / host_limit(recipe),
        sent=sent,
        between=between,
    )


def ring(size, members):
    """Count the bytes that each of N members of a ring sends to all-reduce `size` bytes: 2 (N − 1) / N · size."""
    return 2 * (members - 1) / members * size


def all_reduce(recipe, size):
    """Estimate an all-reduce of `size` bytes: seconds, bytes that a GPU sends in its host, bytes that a host sends out.

    The GPUs of a host reduce-scatter, those of equal rank all-reduce their share across the hosts, and the GPUs of a
    host all-gather: rings within and between hosts.
    """
    local, hosts = min(recipe.gpus, recipe.host_gpus), -(-recipe.gpus // recipe.host_gpus)
    sent, between = ring(size, local), ring(size, hosts)
    hops = 2 * (local - 1) + 2 * (hosts - 1)
    return sent / recipe.link_rate + between / recipe.network_rate + hops * recipe.hop_seconds, sent, between


def host_limit(recipe):
    """Compute the images per second that a host can read and decode."""
    return min(recipe.storage_rate / recipe.jpeg_bytes, recipe.decode_rate * recipe.host_cores)


def memory(recipe, job):
    """Estimate the memory of the GPU that gets most images: name → bytes."""
    return job.network.memory(job.at_once(recipe.gpus), job.value_bytes, job.accumulate > 1)


@dataclass(frozen=True, kw_only=True)
class CheckpointTimes:
    """Checkpoints of a run: seconds to write one, seconds of training between two, and their number."""

    seconds: float
    every: float
    count: int

    @property
    def share(self):
        """Return the share of training and checkpoint time that writing checkpoints takes."""
        return self.seconds / (self.seconds + self.every)


def checkpoints(recipe, job):
    """Count checkpoints at the training loop's interval, one at the end, and the seconds to write each."""
    training = update(recipe, job).seconds * job.updates
    seconds = job.network.checkpoint / recipe.write_rate
    pause = min(recipe.checkpoint_patience, seconds / recipe.checkpoint_share)
    every = min(training, max(recipe.checkpoint_seconds, pause))
    return CheckpointTimes(seconds=seconds, every=every, count=math.ceil(training / every))


@dataclass(frozen=True, kw_only=True)
class Total:
    """Hours of a run, and failures to expect in it."""

    training: float
    checkpoints: float
    failures: float
    lost: float

    @property
    def hours(self):
        return self.training + self.checkpoints + self.lost


def total(recipe, job):
    """Add up the hours of updates, checkpoints and failures; each failure loses half an interval and a restart."""
    kept = checkpoints(recipe, job)
    training, writing = update(recipe, job).seconds * job.updates / 3600, kept.count * kept.seconds / 3600
    failures = (training + writing) * recipe.gpus / recipe.failure_hours
    lost = failures * (kept.every / 2 + recipe.restart_seconds) / 3600
    return Total(training=training, checkpoints=writing, failures=failures, lost=lost)
