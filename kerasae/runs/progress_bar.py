"""Show a progress bar in the terminal while a stage trains."""

import sys

from tqdm import tqdm


class ProgressBar:
    """Show the progress of a stage: epochs, examples per second, time left, share of time waiting for data."""

    def __init__(self, stage, plan, images):
        self.plan, self.images = plan, images
        total = plan.epochs * plan.steps_per_epoch * images
        shown = sys.stderr.isatty()
        self.bar = tqdm(total=total, desc=stage, unit="ex", unit_scale=True, leave=False, disable=not shown)
        self.wait, self.started = 0.0, False

    def show(self, progress, wait):
        if not self.started and progress.step * self.images > self.images:
            self.bar.initial = self.bar.n = max(0, (progress.step - 1) * self.images)  # resumed: not done just now
        self.started = True
        self.wait += 0.1 * (wait - self.wait)
        self.bar.set_postfix_str(f"epoch {progress.epoch + 1}/{self.plan.epochs}, data-wait {self.wait:.0%}", False)
        self.bar.update(progress.step * self.images - self.bar.n)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.bar.close()
