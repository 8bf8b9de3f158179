"""The figures of a run, as every command ends with them."""

BASELINES = (
    "raw_probe",
    "raw_nearest",
    "raw_svm",
    "pca_probe",
    "pca_nearest",
    "untrained_probe",
    "majority",
    "convnet",
)
"""Beginnings of the names of figures of what knows no pretraining."""


def without_baselines(figures):
    """The figures of what was trained here; those of baselines stay with the probe or fine-tuning that fitted them."""
    return {name: value for name, value in figures.items() if not name.startswith(BASELINES)}


def finish(directory, figures):
    """Write the summary of a run, print its figures as a short table, and return the run."""
    directory.finish(figures)
    print(f"{directory.path}:")
    for name, value in figures.items():
        print(f"  {name:28} {value if isinstance(value, str) else format(value, '.5g')}")
    return directory
