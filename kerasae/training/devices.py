"""Choose the devices of a run: one, several of this machine, or those of several machines."""

import json
import math
import os
import platform
import re
from contextlib import nullcontext, suppress
from pathlib import Path

from kerasae.errors import InputError

KINDS = "auto, cpu, cpu:N, gpu, gpu:0,1 or tpu"
CPUINFO = Path("/proc/cpuinfo")
LEAST_SHARE = 16
"""Least number of examples per core for which sharing a batch pays."""
SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID")


def scope(devices: str = "auto"):
    """Return the context in which models are made for the devices; enter it before TensorFlow uses any device.

    | devices | what is used |
    |---|---|
    | auto | the TPU that TPU_NAME names; else all GPUs; else the CPU |
    | cpu, cpu:N | no GPU; the CPU as N devices, which is for trying out what several devices do |
    | gpu, gpu:0,1 | all GPUs of this machine, or those of these numbers |
    | tpu | the TPU that TPU_NAME names, or this machine's |

    The processes that TF_CONFIG names, or that a Slurm job started, train one model together. Each uses the devices
    of its own machine that `devices` names.

    Raises:
        InputError: another word, a GPU that is not there, devices that are in use already.
    """
    kind, numbers = parse(devices)
    hide(kind, numbers)
    if kind != "tpu" and (resolver := cluster()):
        return workers(resolver, kind).scope()
    if kind == "tpu" or (kind == "auto" and os.environ.get("TPU_NAME")):
        return tpu().scope()
    return one_machine(kind, numbers)


def parse(devices: str) -> tuple[str, tuple[int, ...]]:
    """Split a device text into its kind and the numbers behind the colon: "gpu:0,1" → ("gpu", (0, 1))."""
    found = re.fullmatch(r"(auto|tpu|cpu|gpu)|(cpu):([1-9]\d?)|(gpu):(\d{1,3}(?:,\d{1,3})*)", devices)
    if not found:
        raise InputError(f"devices: expected {KINDS}. Received: {devices!r}")
    plain, _, count, _, gpus = found.groups()
    if plain:
        return plain, ()
    numbers = (int(count),) if count else tuple(map(int, gpus.split(",")))
    if len(set(numbers)) < len(numbers):
        raise InputError(f"devices: expected each number once. Received: {devices!r}")
    return ("cpu" if count else "gpu"), numbers


def hide(kind, numbers):
    """Hide from TensorFlow every device that the run does not use."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if kind == "gpu" and (not gpus or max(numbers, default=0) >= len(gpus)):
        raise InputError(f"devices: gpu {','.join(map(str, numbers)) or '0'} is not there; TensorFlow sees {len(gpus)}")
    try:
        if kind == "cpu":
            tf.config.set_visible_devices([], "GPU")
            split_cpu(*numbers)
        elif kind == "gpu":
            tf.config.set_visible_devices([gpus[i] for i in numbers] if numbers else gpus, "GPU")
    except RuntimeError as error:
        raise InputError(f"devices: TensorFlow has used its devices already; start again ({error})") from error


def split_cpu(count=1):
    """Split the CPU into several logical devices, each of which may use all cores."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    if count > 1:
        tf.config.set_logical_device_configuration(cpu, parts)


def multiply_bfloat16():
    """Tell whether the visible devices multiply matrices faster in bfloat16 than in float32.

    TPUs do, NVIDIA's GPUs since Ampere, and x86 CPUs with instructions for it (AVX-512 BF16, AMX).
    """
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    if gpus or tf.config.list_logical_devices("TPU"):
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(each.get("compute_capability", (0, 0)) >= (8, 0) for each in details)
    return bool({"avx512_bf16", "amx_bf16"} & cpu_flags())


def cpu_flags():
    """Read the instruction sets of the CPU from Linux; an empty set on other systems."""
    try:
        text = CPUINFO.read_text()
    except OSError:
        return set()
    return set(found[1].split()) if (found := re.search(r"^flags\s*: (.*)$", text, re.MULTILINE)) else set()


def share_cores(recipe):
    """Limit every operation to one core if a recipe computes several micro-batches at once.

    To be called before TensorFlow has computed anything.
    """
    asked = getattr(recipe, "at_once", 0)
    if asked > 1:
        one_core_each()
    elif asked == 0 and hasattr(recipe, "batch") and shares_evenly(recipe) and can_share(recipe):
        with suppress(InputError):  # nobody asked for it
            one_core_each()


def parts(recipe, batch):
    """Choose the number of micro-batches of a batch, and how many of them are computed at once.

    If the recipe leaves this open (`at_once` 0, or no such field), a single CPU whose operations run on one core each
    (see `share_cores`) gets two micro-batches per core, or one, and computes one per core at once. Else the recipe's
    `accumulate` is the number of micro-batches.

    Args:
        recipe: recipe of a pipeline that trains with micro-batches.
        batch: examples of an update.

    Returns:
        (micro-batches, micro-batches computed at once).
    """
    import tensorflow as tf

    given, at_once, count = getattr(recipe, "accumulate", 1), getattr(recipe, "at_once", 0), cores()
    apart = tf.config.threading.get_intra_op_parallelism_threads() == 1
    if at_once == 0 and apart and can_share(recipe):
        for dealt in (math.lcm(given, 2 * count), math.lcm(given, count)):
            if batch % dealt == 0:
                return dealt, count
    return given, max(1, at_once)


def can_share(recipe):
    """Tell whether a single CPU trains the recipe, and its cores can share the batch evenly and with a gain."""
    if not (shares_evenly(recipe) and recipe.divisible):
        return False
    import tensorflow as tf

    return recipe.devices == "cpu" or not tf.config.list_physical_devices("GPU")


def shares_evenly(recipe):
    """Tell, without TensorFlow, whether the cores of this machine get equal parts of the recipe's batch."""
    elsewhere = {"TPU_NAME", "TF_CONFIG", *SLURM} & set(os.environ)
    if elsewhere or recipe.devices not in ("auto", "cpu") or cores() == 1:
        return False
    return recipe.batch % cores() == 0 and recipe.batch // cores() >= LEAST_SHARE


def cores():
    """Count the CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def use_onednn():
    """Switch on oneDNN's matrix products on any x86 CPU; call this before TensorFlow is imported.

    By default TensorFlow does so only where the CPU has AVX-512 VNNI, but AVX2 gains too. A value of
    TF_ENABLE_ONEDNN_OPTS that the user has set stays.
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def one_core_each():
    """Limit every operation to one core, for steps that compute several micro-batches at once.

    To be called before TensorFlow has computed anything.
    """
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError as error:
        raise InputError(f"at_once: TensorFlow has started its threads already; start again ({error})") from error


def one_machine(kind, numbers):
    """Return the strategy scope of several devices of this machine, or an empty context for one device."""
    import tensorflow as tf

    if kind == "cpu":
        names = [f"CPU:{i}" for i in range(numbers[0])] if numbers else []
    else:
        names = [device.name for device in tf.config.list_logical_devices("GPU")]
    return tf.distribute.MirroredStrategy(names).scope() if len(names) > 1 else nullcontext()


# ---- several processes


def cluster():
    """Return the cluster resolver of the processes that train together, or None for a single process."""
    import tensorflow as tf

    if "TF_CONFIG" in os.environ:
        check_config(os.environ["TF_CONFIG"])
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        return resolver if count(resolver) > 1 else None
    if all(name in os.environ for name in SLURM) and int(os.environ["SLURM_STEP_NUM_TASKS"]) > 1:
        return tf.distribute.cluster_resolver.SlurmClusterResolver()
    return None


def check_config(text):
    """Raise InputError unless TF_CONFIG names all processes and which of them this one is."""
    try:
        content = json.loads(text)
        task, addresses = content["task"], content["cluster"]
        addresses[task["type"]][int(task["index"])]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        example = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
        raise InputError(f"TF_CONFIG: expected something like {example}. Received: {text[:200]}") from error


def count(resolver):
    """Count the processes of a cluster."""
    return sum(len(addresses) for addresses in resolver.cluster_spec().as_dict().values())


def workers(resolver, kind):
    """Return the distribution strategy of several processes."""
    import tensorflow as tf

    collectives = tf.distribute.experimental.CommunicationImplementation
    gpus = kind != "cpu" and tf.config.list_physical_devices("GPU")
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=collectives.NCCL if gpus else collectives.RING
    )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver, options)


def tpu():
    """Connect to a TPU and return its distribution strategy."""
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(os.environ.get("TPU_NAME", "local"))
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise InputError(f"devices: no TPU can be reached: {str(error).splitlines()[0]}") from error
    return tf.distribute.TPUStrategy(resolver)
