"""Measure the overhead of checkpoints, guard and logging per training step of a ViT-T masked autoencoder.

    python benchmarks/overhead.py [--rounds 9] [--steps 12] [--batch 128] [--precision float32] [--size tiny]

The model is 192×12 with patches of 4 at 32×32. Bare is `train_step` in a loop inside TensorFlow. It is compared with
the training loop of the pipelines on the same batches, which refuses steps that are not finite, measures gradient norms
and the wait for data, and writes checkpoints, `metrics.csv` and TensorBoard. Both run in turns in one process, --steps
each, so that other load on the machine affects both. A round of the training loop is an epoch that ends with a
checkpoint, more often than in real trainings; the printed overhead therefore counts a checkpoint's time only as often
as the loop writes one.
"""

import argparse
import statistics
import tempfile
import time

from kerasae.training import devices

SIZES = {"tiny": (32, 4, {}), "toy": (8, 4, {"width": 12, "depth": 1, "heads": 2, "decoder_depth": 1})}
"""Side of the image and of a patch, and what differs from ViT-T."""


def main():
    arguments = parse()
    devices.use_onednn()
    with tempfile.TemporaryDirectory() as folder:
        bare, guarded = Bare(arguments), Guarded(arguments, folder)
        times = {"bare": [], "guarded": [], "checkpoint": []}
        for _ in range(arguments.rounds):
            times["bare"].append(bare.round())
            loop, checkpoint = guarded.round()
            times["guarded"].append(loop)
            times["checkpoint"].append(checkpoint)
    print(verdict(times))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12, help="steps of a round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    return parser.parse_args()


def model_of(arguments):
    """Build and compile the masked autoencoder of both loops."""
    import keras

    import kerasae
    from kerasae.optimizers import schedules
    from kerasae.training.precision import computing_in

    side, patch, changes = SIZES[arguments.size]
    keras.utils.set_random_seed(0)
    with computing_in(arguments.precision):
        model = kerasae.models.MaskedAutoencoder(*kerasae.networks.vit_tiny((side, side, 3), patch, **changes))
    model.compile(schedules.build(10_000, 1e-4, weight_decay=0.05), jit_compile=False)
    return model


def split_of(arguments):
    """Draw random images for one epoch."""
    import numpy as np

    import kerasae

    side, count = SIZES[arguments.size][0], arguments.steps * arguments.batch
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype("uint8")
    return kerasae.data.Split.of(pixels)


class Bare:
    """Loop of `train_step` inside a TensorFlow function."""

    def __init__(self, arguments):
        import tensorflow as tf

        import kerasae

        model, self.steps = model_of(arguments), arguments.steps
        self.iterator = iter(kerasae.data.batches(split_of(arguments), arguments.batch, seed=0))

        @tf.function
        def run(iterator, n):
            for _ in tf.range(n):
                model.train_step(next(iterator))
            return tf.constant(0)

        self.run = lambda n: int(run(self.iterator, tf.constant(n)))
        self.run(1)

    def round(self):
        """Time a step, in seconds."""
        began = time.perf_counter()
        self.run(self.steps)
        return (time.perf_counter() - began) / self.steps


class Guarded:
    """Training loop in a run directory, run in a thread that waits after each epoch's checkpoint."""

    def __init__(self, arguments, folder):
        import queue
        import threading

        self.steps = arguments.steps
        self.go, self.done = queue.Queue(), queue.Queue()
        threading.Thread(target=self._train, args=(arguments, folder), daemon=True).start()
        self.done.get()  # the first epoch, which traces the step
        self.done.get()

    def _train(self, arguments, folder):
        import keras

        from kerasae import runs
        from kerasae.training import loop
        from pipelines import mae

        # Write a checkpoint after every epoch, and time it.
        due = []
        loop._Loop._late = lambda loop: bool(due)
        saved = loop.Checkpoints.save

        def save(*args, **kwargs):
            due.clear()
            began = time.perf_counter()
            saved(*args, **kwargs)
            self.done.put(time.perf_counter() - began)
            self.go.get()

        loop.Checkpoints.save = save
        began = []
        callbacks = [
            keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: began.append(time.perf_counter()))
        ]
        directory = runs.Run(f"{folder}/run", "mae", mae.Recipe())
        log = directory._log

        def logged(*args):
            log(*args)
            due.append(True)
            self.done.put((time.perf_counter() - began[-1]) / self.steps)

        directory._log = logged
        settings = runs.Stage(epochs=arguments.rounds + 1, batch_size=arguments.batch)
        directory.fit("mae", model_of(arguments), split_of(arguments), settings, seed=0, callbacks=callbacks)

    def round(self):
        """Time a step of the training loop, averaged over an epoch, and a checkpoint, in seconds."""
        self.go.put(None)
        return self.done.get(), self.done.get()


def verdict(times):
    """Report the medians, and what the loop adds to a bare step, with the quartiles of the rounds."""
    middle = {name: statistics.median(values) for name, values in times.items()}
    added = [g / b - 1 for g, b in zip(times["guarded"], times["bare"], strict=True)]
    least, loop, most = statistics.quantiles(added, n=4) if len(added) > 1 else added * 3
    pause = max(10.0, middle["checkpoint"] / 0.005)  # the training loop's interval, which `Guarded` overrides
    saving = middle["checkpoint"] / pause
    return (
        f"bare {1e3 * middle['bare']:.1f} ms a step, with guard and logging {1e3 * middle['guarded']:.1f} ms "
        f"({loop:+.2%}, half of the rounds {least:+.2%} to {most:+.2%}), a checkpoint "
        f"{1e3 * middle['checkpoint']:.0f} ms ({saving:.2%} of the time, one every {pause:.0f} s)\n"
        f"overhead {loop + saving:.2%}, limit 2 %"
    )


if __name__ == "__main__":
    main()
