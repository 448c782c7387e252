"""How many cores this process may use."""

import os


def available_workers() -> int:
    """Cores that this process may use; OMP_NUM_THREADS, where it is set, if that is fewer."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(asked))) if asked.isdecimal() else cores
