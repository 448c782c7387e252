"""Whether a training fits into memory: what it takes at the least, before anything is allocated."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from rlopt.config import LoopConfig, TrainingConfig
from rlopt.errors import UserError, warn

_FLOAT = 4  # bytes
_ENVIRONMENT = 2_000
"""Bytes of an environment copy, at the least."""


@dataclass(frozen=True)
class Part:
    """Something that takes memory."""

    what: str
    size: int
    """Bytes, at the least."""
    flags: str
    """What to lower, for a sentence."""
    filled_slowly: bool = False
    """Memory is taken while it fills up."""


def check_memory(
    agent: Any, loop: LoopConfig, sizes: tuple[int, int], device: torch.device | str, episodes: int = 0
) -> None:
    """Raise UserError, naming the size and the flags, if a part of a training is larger than all the memory that there is.

    One line warns of a replay buffer that is larger than what is free now. Where the memory is not known, nothing is checked.

    Args:
        agent: the agent's config.
        loop: the loop's config.
        sizes: O and A.
        device: where networks, replay buffer and batches are.
        episodes: demonstrations that will be recorded.
    """
    there = {"device": memory(torch.device(device)), "host": memory(torch.device("cpu"))}
    for place, part in parts(agent, loop, sizes, episodes):
        free, total = there[place]
        where = "the GPU" if place == "device" and torch.device(device).type == "cuda" else "this machine"
        if total is not None and part.size > total:
            raise UserError(
                f"{part.what} would take {_told(part.size)}, and {where} has {_told(total)} of memory: lower {part.flags}."
            )
        if part.filled_slowly and free is not None and part.size > free:
            warn(
                f"{part.what} will take up to {_told(part.size)}, and {_told(free)} of memory are free: "
                f"lower {part.flags} if the run ends for want of memory."
            )


def parts(agent: Any, loop: LoopConfig, sizes: tuple[int, int], episodes: int = 0) -> Iterator[tuple[str, Part]]:
    """What takes memory, each with where: "device" or "host". Arguments as of `check_memory`."""
    observation, action = sizes
    seeds, batch = loop.num_seeds, agent.batch_size
    width = 2 * observation + action + 2  # of a transition in a batch
    yield (
        "device",
        Part("Networks with their optimisers", _networks(agent, seeds, *sizes), "--hidden-sizes or --num-seeds"),
    )
    critics = getattr(agent, "num_critics", 1)
    kept = 2 if getattr(agent, "layer_norm", False) else 1  # what it normalises is kept for its gradient, too
    activations = kept * seeds * critics * batch * sum(agent.hidden_sizes) * 2  # 2 bytes: bfloat16
    yield "device", Part("One update", activations, "--batch-size, --hidden-sizes or --num-seeds")
    playing = seeds * min(loop.eval_envs or loop.eval_episodes, loop.eval_episodes)
    yield (
        "host",
        Part("The environments of an evaluation", playing * _ENVIRONMENT, "--eval-episodes, or set --eval-envs"),
    )
    recorded = episodes * observation * _FLOAT  # a step of each, at the least
    yield "host", Part("Demonstrations", max(recorded, episodes * _ENVIRONMENT), "--episodes")
    if not isinstance(loop, TrainingConfig):
        yield "device", Part("A batch", seeds * batch * width * _FLOAT, "--batch-size or --num-seeds")
        return
    envs = seeds * loop.num_envs
    yield "host", Part("The environments", envs * _ENVIRONMENT, "--num-envs or --num-seeds")
    steps = envs * loop.steps_per_batch * width * _FLOAT
    yield "host", Part("A collector batch", steps, "--num-envs, --steps-per-batch or --num-seeds")
    capacity = min(loop.buffer_size, loop.frames + loop.frames_per_batch) + loop.num_envs
    buffer = capacity * seeds * (observation + action + 3) * _FLOAT
    yield "device", Part("The replay buffer", buffer, "--buffer-size or --num-seeds", filled_slowly=True)
    updates = max(1, int(loop.frames_per_batch * loop.updates_per_frame))
    transitions = batch + getattr(agent, "expert_batch_size", 0)
    samples = updates * seeds * transitions * width * _FLOAT
    flags = "--updates-per-frame, --num-envs, --batch-size or --num-seeds"
    yield "device", Part(f"What the {updates:,} updates of a collector batch learn from", samples, flags)


def _networks(agent: Any, seeds: int, observation: int, action: int) -> int:
    """Bytes of weights, gradients, Adam's two moments, and of what follows them (targets, averages, mirror policies)."""

    def weights(inputs: int, outputs: int) -> int:
        return sum((i + 1) * o for i, o in pairwise([inputs, *agent.hidden_sizes, outputs]))

    actor = weights(observation, 2 * action)
    count = 4 * actor
    if critics := getattr(agent, "num_critics", 0):
        count += actor + 5 * critics * weights(observation + action, 1)
    if inputs := getattr(agent, "reward_inputs", ""):
        count += actor + 5 * weights(inputs.count("s") * observation + inputs.count("a") * action, 1)
    return count * seeds * _FLOAT


def memory(device: torch.device) -> tuple[int | None, int | None]:
    """Free and total bytes of a GPU's memory or of this machine's, as far as this process may have them; None: not known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)
    free, total = _machine()
    for used, limit in _cgroups():
        free = limit - used if free is None else min(free, limit - used)
        total = limit if total is None else min(total, limit)
    return free, total


def _machine() -> tuple[int | None, int | None]:
    try:
        lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
        kilobytes = {fields[0]: int(fields[1]) for fields in lines}
        return kilobytes["MemAvailable:"] * 1024, (kilobytes["MemTotal:"] + kilobytes.get("SwapTotal:", 0)) * 1024
    except (OSError, ValueError, LookupError):
        pass
    try:
        return None, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows
        return None, None


def _cgroups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[tuple[int, int]]:
    """Used and highest bytes of every control group with a limit that this process is in: a container's, a scheduler's."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top, names = root, ("memory.current", "memory.max")
        elif "memory" in controllers.split(","):  # version 1
            top, names = root / "memory", ("memory.usage_in_bytes", "memory.limit_in_bytes")
        else:
            continue
        first = top / path.lstrip("/")
        for folder in (first, *first.parents):
            try:
                used, limit = ((folder / name).read_text().strip() for name in names)
                yield int(used), int(limit)
            except (OSError, ValueError):  # no such group here (inside of a container), or "max", no limit
                pass
            if folder == top:
                break


def _told(size: int) -> str:
    return f"{size:,} bytes ({size / 1e9:,.1f} GB)"
