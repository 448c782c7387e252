"""What the tests of bad input share: command lines that are good but for one thing, and demonstrations for them."""

from pathlib import Path

import torch

from rlopt.envs.spec import env_spec
from rlopt.imitation.demonstrations import Demonstrations

from .shared import BC as BC_SCRIPT
from .shared import COLLECT, COMPARE
from .shared import IPMD as IPMD_SCRIPT

ALL = (COLLECT, IPMD_SCRIPT, BC_SCRIPT, COMPARE)
FRAMES_FLAG = {COLLECT: "--frames", IPMD_SCRIPT: "--frames", COMPARE: "--ipmd-frames"}
EXPERT = "data/expert_buffer.pt"
READERS = {IPMD_SCRIPT: [], BC_SCRIPT: [], COMPARE: ["--expert-data"]}
"""Scripts that read demonstrations, and the flag before the path."""


def demonstrations(env_id, episodes=3, steps=20):
    """Random ones of the environment's sizes, with a time limit of so many steps: evaluations take their time."""
    spec = env_spec(env_id)
    n = episodes * steps
    generator = torch.Generator().manual_seed(0)
    walks = torch.randn(episodes, steps + 1, spec.observation_size, generator=generator)
    return Demonstrations(
        env_id=env_id,
        observation=walks[:, :-1].flatten(0, 1),
        action=torch.rand(n, spec.action_size, generator=generator) * 2 - 1,
        next_observation=walks[:, 1:].flatten(0, 1),
        reward=torch.zeros(n),
        terminated=torch.zeros(n, dtype=torch.bool),
        truncated=torch.arange(n) % steps == steps - 1,
        episode_lengths=torch.full((episodes,), steps),
        action_low=torch.from_numpy(spec.action_low),
        action_high=torch.from_numpy(spec.action_high),
        expert_return=-100.0,
        random_return=-1000.0,
        max_episode_steps=steps,
    )


def files():
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def command(script, *flags):
    """A command line with good demonstrations where they are required."""
    return [script, *([EXPERT] if script in (IPMD_SCRIPT, BC_SCRIPT) else []), *map(str, flags)]
