"""The peak of a process's memory, of ours and of the peers alike; for Linux."""

import resource


def peak():
    """(MiB at most, MiB of these that are pages of files), the files being the libraries' above all.

    Pages of files are the system's: it shares them between processes, and drops them when it needs the room.
    """
    with open("/proc/self/status") as file:
        pages = next(int(line.split()[1]) for line in file if line.startswith("RssFile:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, pages / 1024
