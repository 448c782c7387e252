"""Experience: TorchRL's `Collector` over the environment copies of all seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torchrl.collectors import Collector

from rlopt.agents.common import Policy
from rlopt.envs import TorchEnv, as_seeds, env_seeds


class CollectorPolicy(TensorDictModuleBase):
    """The sampling policy as TorchRL calls it: `observation [S*E, O]` -> `action [S*E, A]`, nothing else.

    Both are on the CPU, where the environments are; the policy may be elsewhere. One observation goes there and one
    action comes back a step: TorchRL's own `policy_device` would move the whole step, and copy the policy if it thought
    the devices differed, so that updates were never seen.
    """

    in_keys = ("observation",)
    out_keys = ("action",)

    def __init__(self, policy: Policy, num_seeds: int, generator: torch.Generator):
        super().__init__()
        self.actor = policy.actor  # a submodule, so that TorchRL sees its parameters
        self.policy = policy
        self.num_seeds = num_seeds
        self.generator = generator

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:  # noqa: D102
        observation = tensordict.get("observation").to(self.generator.device, non_blocking=True)
        action = self.policy(as_seeds(observation, self.num_seeds), self.generator)
        return tensordict.set("action", action.flatten(0, 1).cpu())


def make_collector(
    env_id: str,
    policy: Policy,
    *,
    seeds: Sequence[int],
    num_envs: int,
    steps_per_batch: int,
    random_frames: int,
    device: torch.device,
) -> Collector:
    """A collector without an end whose batches are `[S*E, T]`, seed-major, on the CPU.

    Args:
        env_id: a gymnasium id.
        policy: acts on `device`, and is shared: what an update changes is what collects.
        seeds: S seeds; seed i's copies start from resets of its own.
        num_envs: E.
        steps_per_batch: T.
        random_frames: frames per seed of uniformly random actions at the start, rounded up to whole batches.
        device: of the policy. Environments and their data stay on the CPU.
    """
    env = TorchEnv(env_id, env_seeds(seeds, num_envs))
    generator = torch.Generator(device).manual_seed(seeds[0])
    frames_per_batch = len(seeds) * num_envs * steps_per_batch
    random_batches = math.ceil(len(seeds) * random_frames / frames_per_batch)  # the collector wants whole ones
    return Collector(
        env,
        CollectorPolicy(policy, len(seeds), generator),
        frames_per_batch=frames_per_batch,
        total_frames=-1,
        init_random_frames=random_batches * frames_per_batch,
        # trajectory numbers and preallocated batches cost more than the lean environment's step
        track_traj_ids=False,
        use_buffers=False,
        auto_register_policy_transforms=False,
    )
