"""SBX's SAC, in JAX: one update after every step of one environment, or blocks of updates in one compiled loop."""

import os

import sbx

from .settings import Settings
from .stable_baselines3_sac import run


def main(settings: Settings) -> None:
    """Train until the benchmark ends."""
    # JAX takes a GPU where it finds one, and most of its memory, which others of the benchmark need
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    if settings.device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    # XLA's thread pool has one thread for each core that the process may use
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    run(sbx.SAC, settings, cores, "sbx-rl", "jax")
