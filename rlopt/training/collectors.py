"""Experience: TorchRL's `Collector` over the environments of all seeds."""

import math
import signal
from collections.abc import Sequence
from copy import deepcopy
from functools import partial

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torchrl.collectors import Collector
from torchrl.envs import EnvBase, ParallelEnv

from rlopt.agents.common import Policy
from rlopt.envs.spec import EnvSpec, env_seeds
from rlopt.envs.torch_env import TorchEnv, as_seeds
from rlopt.networks import Actor


class BehaviorPolicy(TensorDictModuleBase):
    """The sampling policy as TorchRL calls it: `observation [N, O]` -> `action [N, A]`, N = S*E, nothing else.

    It acts on the CPU, where the environments are. It shares an actor of the CPU: what an update changes is what acts. An actor
    of another device is copied at each `refresh`, so that no step waits for the updates that are under way there.

    Args:
        actor: of S seeds.
        num_seeds: S.
        seed: of the actions' noise.
    """

    in_keys = ("observation",)
    out_keys = ("action",)

    def __init__(self, actor: Actor, num_seeds: int, seed: int):
        super().__init__()
        self.followed = [*actor.parameters()]
        on_cpu = all(parameter.is_cpu for parameter in self.followed)
        self.actor = actor if on_cpu else deepcopy(actor).cpu()
        self.policy = Policy(self.actor)
        self.num_seeds = num_seeds
        self.generator = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def refresh(self) -> None:
        """Act as the policy does now. Waits for the updates that were begun on its device."""
        for own, followed in zip(self.actor.parameters(), self.followed, strict=True):
            if own is not followed:
                own.copy_(followed)

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
) -> Collector:
    """A collector without an end whose batches are `[S*E, T]`, seed-major, on the CPU.

    Args:
        env: the environment.
        policy: chooses the actions.
        seeds: S seeds; seed i's environments start from resets of their own.
        num_envs: E.
        steps_per_batch: T.
        random_frames: frames per seed of uniformly random actions at the start, rounded up to whole batches.
        env_workers: W processes that share the stepping, W a divisor of S*E: batches are `[W, S*E/W, T]` then, of the same
            numbers. 0: this process steps.
    """
    frames_per_batch = len(seeds) * num_envs * steps_per_batch
    random_batches = math.ceil(len(seeds) * random_frames / frames_per_batch)  # the collector wants whole ones
    return Collector(
        _make_torch_env(env, env_seeds(seeds, num_envs), env_workers),
        policy,
        frames_per_batch=frames_per_batch,
        total_frames=-1,
        init_random_frames=random_batches * frames_per_batch,
        # trajectory numbers and preallocated batches cost more than the lean environment's step
        track_traj_ids=False,
        use_buffers=False,
        auto_register_policy_transforms=False,
    )


def _make_torch_env(env: EnvSpec, reset_seeds: list[int], num_workers: int) -> EnvBase:
    if num_workers == 0:
        return TorchEnv(env, reset_seeds)
    share = len(reset_seeds) // num_workers
    shares = [reset_seeds[i : i + share] for i in range(0, len(reset_seeds), share)]
    # forked, a child would inherit the threads of torch and CUDA in whatever state they are
    workers = ParallelEnv(num_workers, [partial(TorchEnv, env, own) for own in shares], mp_start_method="spawn")
    # Ctrl-C reaches every process, but is blocked in the workers (they inherit that): the main process ends them
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        workers.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
    return workers
