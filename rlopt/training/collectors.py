"""Experience: TorchRL's `Collector` over the environments of all seeds."""

import math
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torchrl.collectors import Collector
from torchrl.envs import EnvBase, ParallelEnv

from rlopt.agents.common import Policy
from rlopt.envs.running import Running
from rlopt.envs.spec import EnvSpec, env_seeds
from rlopt.envs.torch_env import TorchEnv, as_seeds
from rlopt.envs.torchrl.env import TorchRLEnv
from rlopt.errors import UserError
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
        env_workers: W processes that share the stepping, W a divisor of S*E: batches are `[W, S*E/W, T]` then, of the same
            numbers (`collect` makes one of the other). 0: this process steps.
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
        made = _make_torch_env(env, env_seeds(seeds, num_envs), env_workers, workers, running)
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
    """The next batch as `[S*E, T]`, whatever the number of processes. Raises UserError if one of them has ended."""
    env = collector.env
    if isinstance(env, TorchRLEnv) and env.interrupted:
        collector.reset()
    try:
        rollout = collector.next()
    except (RuntimeError, EOFError, OSError) as error:
        if isinstance(error, RuntimeError) and "process failed" not in str(error):
            raise
        reason = " ".join(str(error).split()).partition(" Check for")[0].rstrip(".") or "it is gone"
        raise UserError(
            f"A process that steps environments has ended ({reason}); if it gave a reason, that stands above."
        ) from error
    if isinstance(env, TorchRLEnv):
        env.check_finite(rollout)
    return rollout.flatten(0, 1) if rollout.ndim == 3 else rollout


class _WorkersEnv(TorchEnv):
    """The environments of one process: what is wrong with them is said there in one sentence, and ends it."""

    def _reset(self, *args: Any, **kwargs: Any) -> Any:
        with _last_words():
            return super()._reset(*args, **kwargs)

    def step_and_maybe_reset(self, *args: Any, **kwargs: Any) -> Any:
        with _last_words():
            return super().step_and_maybe_reset(*args, **kwargs)


@contextmanager
def _last_words() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        os._exit(2)  # an exception would end it with a traceback


def _make_torch_env(
    env: EnvSpec, reset_seeds: list[int], num_workers: int, threads: int, running: Running | None
) -> EnvBase:
    if num_workers == 0:
        return TorchEnv(env, reset_seeds, running, workers=threads)
    share = len(reset_seeds) // num_workers
    makers = []
    for first in range(0, len(reset_seeds), share):
        own = None if running is None else running.part(first, first + share)
        makers.append(partial(_WorkersEnv, env, reset_seeds[first : first + share], own, first))
    # forked, a child would inherit the threads of torch and CUDA in whatever state they are
    # with buffers the main process polls at full speed for as long as they step, and takes a core from them
    workers = ParallelEnv(num_workers, makers, mp_start_method="spawn", use_buffers=False)
    with _stops_blocked():
        workers.start()
    return workers


@contextmanager
def _stops_blocked() -> Iterator[None]:
    """For processes that start meanwhile: Ctrl-C and a closed terminal reach each one, but the main process ends the workers.

    Windows cannot block signals: there, Ctrl-C may leave the workers' tracebacks behind.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
