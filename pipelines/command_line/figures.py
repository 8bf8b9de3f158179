"""Write and print the figures of a run."""


def without_baselines(figures):
    """Drop the baselines' figures, which the summary of the probe or fine-tuning holds."""
    from kerasae.evaluate import LABEL_KINDS

    fitted = tuple(f"{name}_{kind.metric}" for kind in LABEL_KINDS.values() for name in kind.baselines)
    return {name: value for name, value in figures.items() if not name.startswith(fitted)}


def finish(directory, figures, meanings=None):
    """Write the summary of a run, print its figures as a short table, and return the run.

    `meanings` maps names of figures to their unit and what they mean, which are printed beside them.
    """
    directory.finish(figures)
    print(f"{directory.path}:")
    for name, value in figures.items():
        unit, words = (meanings or {}).get(name, ("", ""))
        text = value if isinstance(value, str) else format(value, ".5g")
        print(f"  {name:28} {text:10} {unit:8} {words}".rstrip())
    return directory
