"""Measure a process's peak memory on Linux."""

import resource


def peak():
    """Return (peak MiB, MiB in pages of files, above all of libraries).

    The system shares pages of files between processes, and drops them when memory runs short.
    """
    with open("/proc/self/status") as file:
        pages = next(int(line.split()[1]) for line in file if line.startswith("RssFile:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, pages / 1024
