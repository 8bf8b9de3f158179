"""The figures of a run, as every command ends with them."""


def finish(directory, figures):
    """Write the summary of a run, print its figures as a short table, and return the run."""
    directory.finish(figures)
    print(f"{directory.path}:")
    for name, value in figures.items():
        print(f"  {name:28} {value:.5g}")
    return directory
