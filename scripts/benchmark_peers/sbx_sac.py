"""SBX's SAC, in JAX: one update after every step of one environment, or blocks of updates in one compiled loop."""

from __future__ import annotations

import os

import sbx

from .stable_baselines3_sac import run

if __name__ == "__main__":
    # XLA's thread pool has one thread for each core that the process may use
    run(sbx.SAC, len(os.sched_getaffinity(0)), "sbx-rl", "jax")
