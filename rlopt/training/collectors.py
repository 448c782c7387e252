"""Experience: TorchRL's `Collector` over the environments of all seeds."""

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torchrl.collectors import Collector
from torchrl.envs import EnvBase

from rlopt.agents.common import Policy
from rlopt.envs.running import Running
from rlopt.envs.spec import EnvSpec, env_seeds
from rlopt.envs.torch_env import TorchEnv, as_seeds
from rlopt.envs.torchrl.env import TorchRLEnv
from rlopt.networks import Actor


class BehaviorPolicy(TensorDictModuleBase):
    """The sampling policy as TorchRL calls it: `observation [N, O]` -> `action [N, A]`, N = S*E, nothing else.

    It acts where the environments are, gymnasium's on the CPU. It shares an actor of that device: what an update changes is
    what acts. An actor of another device is copied at each `refresh`, so that no step waits for the updates that are under way
    there.

    Args:
        actor: of S seeds.
        num_seeds: S.
        seed: of the actions' noise.
        device: where the environments are.
    """

    in_keys = ("observation",)
    out_keys = ("action",)

    def __init__(self, actor: Actor, num_seeds: int, seed: int, device: torch.device | str = "cpu"):
        super().__init__()
        self.device = torch.device(device)
        self.followed = [*actor.parameters()]
        self.shared = all(parameter.is_cpu == (self.device.type == "cpu") for parameter in self.followed)
        self.actor = actor if self.shared else deepcopy(actor).to(self.device)
        self.policy = Policy(self.actor)
        self.num_seeds = num_seeds
        self.generator = torch.Generator(self.device).manual_seed(seed)

    @torch.no_grad()
    def refresh(self) -> None:
        """Act as the policy does now. Waits for the updates that were begun on its device."""
        for own, followed in zip(self.actor.parameters(), self.followed, strict=True):
            if own is not followed:
                own.copy_(followed)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The actors that act now and what they draw from, and torch's own stream: the random warm-up is drawn from it."""
        actor = {name: value.clone() for name, value in self.actor.state_dict().items()}
        return {"actor": actor, "generator": self.generator.get_state(), "random": self._random().get_state()}

    def load_state_dict(self, state: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        """Take over what `state_dict` returned."""
        if not self.shared:
            self.actor.load_state_dict(state["actor"])
        self.generator.set_state(state["generator"])
        self._random().set_state(state["random"])

    def _random(self) -> torch.Generator:
        """torch's own generator for the device."""
        if self.device.type == "cpu":
            return torch.default_generator
        return torch.cuda.default_generators[self.device.index or 0]

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:  # noqa: D102
        observation = tensordict.get("observation")
        action = self.policy(as_seeds(observation.flatten(0, -2), self.num_seeds), self.generator)
        return tensordict.set("action", action.view(*observation.shape[:-1], -1))


def make_collector(
    env: EnvSpec,
    policy: BehaviorPolicy,
    *,
    seeds: Sequence[int],
    num_envs: int,
    steps_per_batch: int,
    random_frames: int,
    env_workers: int = 0,
    workers: int = 1,
    running: Running | None = None,
    frames: int = 0,
) -> Collector:
    """A collector without an end whose batches are `[S*E, T]`, seed-major, where the policy acts.

    Args:
        env: the environment.
        policy: chooses the actions.
        seeds: S seeds; seed i's environments start from resets of their own.
        num_envs: E.
        steps_per_batch: T.
        random_frames: frames per seed of uniformly random actions at the start, rounded up to whole batches.
        env_workers: processes that share the stepping; the numbers stay the same. 0: this process steps.
        workers: threads that step them in this process, where rlopt has a batch for the task.
        running: episodes to go on with.
        frames: frames per seed of earlier runs: TorchRL environments cannot be brought back and begin others.
    """
    frames_per_batch = len(seeds) * num_envs * steps_per_batch
    random_batches = math.ceil(len(seeds) * random_frames / frames_per_batch)  # the collector wants whole ones
    made: EnvBase
    if env.torchrl:
        made = TorchRLEnv(env, seeds, num_envs, policy.device, frames)
    else:
        made = TorchEnv(env, env_seeds(seeds, num_envs), running, workers=workers, env_workers=env_workers)
    return Collector(
        made,
        policy,
        frames_per_batch=frames_per_batch,
        total_frames=-1,
        init_random_frames=random_batches * frames_per_batch,
        # trajectory numbers and preallocated batches cost more than the lean environment's step
        track_traj_ids=False,
        use_buffers=False,
        auto_register_policy_transforms=False,
        no_cuda_sync=policy.device.type == "cuda",  # environment, policy and storage share a stream
    )


def collect(collector: Collector) -> TensorDictBase:
    """The next batch `[S*E, T]`. Raises UserError if an environment fails."""
    env = collector.env
    if isinstance(env, TorchRLEnv) and env.interrupted:
        collector.reset()
    rollout = collector.next()
    if isinstance(env, TorchRLEnv):
        env.check_finite(rollout)
    return rollout
