"""From gymnasium to TorchRL: one environment that holds those of all seeds.

Inside the library actions lie in [-1, 1] and everything is float32; both change here, at the edge.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor
from torchrl.data import Bounded, Composite, Unbounded
from torchrl.data.tensor_specs import Binary
from torchrl.envs import EnvBase

from rlopt.envs.processes import copies_of
from rlopt.envs.running import Running
from rlopt.envs.spec import EnvSpec, as_spec, env_seeds


class TorchEnv(EnvBase):
    """N = S*E gymnasium environments as one TorchRL environment of batch `[N]`, seed-major.

    Keys of a step: `observation [N, O]`, `action [N, A]` in [-1, 1]; under `next`: `observation`, `reward [N, 1]`,
    `terminated`, `truncated`, `done [N, 1]`, and `episode_return`, `episode_length [N, 1]` of the running episode.
    One whose episode ends is reset at once; `("next", "observation")` stays the episode's true last one.

    Args:
        env: an id or a spec.
        reset_seeds: N seeds of the first reset; those of later episodes follow from them.
        running: episodes to go on with, in place of the first reset.
        workers: threads that step them, where rlopt has a batch for the task.
        env_workers: processes that share the stepping; 0: this process steps.
    """

    def __init__(
        self,
        env: str | EnvSpec,
        reset_seeds: Sequence[int],
        running: Running | None = None,
        *,
        workers: int = 1,
        env_workers: int = 0,
    ):
        self.env_info = as_spec(env)
        num_envs = len(reset_seeds)
        super().__init__(device=torch.device("cpu"), batch_size=[num_envs])
        self.copies = copies_of(self.env_info, reset_seeds, threads=workers, processes=env_workers)
        self.running = running
        self.is_closed = False  # a new EnvBase is True, and would not close them
        self.episode_return = np.zeros((num_envs, 1), np.float32)
        set_specs(self, *self.env_info.sizes)

    def _set_seed(self, seed: int | None) -> None:
        if seed is not None:
            self.copies.reset_seeds[:] = env_seeds([seed], self.batch_size.numel())
            self.copies.episode[:] = -1

    def _observed(self) -> dict[str, Tensor]:
        """What the environments show now, copied, because the next step writes over it."""
        return {
            "observation": torch.from_numpy(self.copies.observation.copy()),
            "episode_return": torch.from_numpy(self.episode_return.copy()),
            "episode_length": torch.from_numpy(self.copies.length[:, None].copy()),
        }

    def _state(self) -> TensorDict:
        """What a step starts from."""
        flags = {key: torch.zeros(*self.batch_size, 1, dtype=torch.bool) for key in ("done", "terminated", "truncated")}
        return TensorDict({**self._observed(), **flags}, batch_size=self.batch_size)

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDict:
        mask = None if tensordict is None else tensordict.get("_reset", None)
        if self.running is not None:
            self.copies.bring_back(self.running)
            self.running = None
        else:
            self._begin(np.ones(len(self.copies), bool) if mask is None else mask.numpy().reshape(-1))
        return self._state()

    def _begin(self, mask: np.ndarray) -> None:
        self.copies.begin(np.flatnonzero(mask))
        self.episode_return[mask] = 0

    def _step(self, tensordict: TensorDictBase) -> TensorDict:
        copies = self.copies
        copies.step(tensordict.get("action").numpy())
        reward = copies.reward.astype(np.float32)
        self.episode_return += reward[:, None]
        columns = {
            "reward": reward,
            "done": copies.terminated | copies.truncated,
            "terminated": copies.terminated,
            "truncated": copies.truncated,
        }
        outcome = {key: torch.from_numpy(value[:, None].copy()) for key, value in columns.items()}
        return TensorDict({**self._observed(), **outcome}, batch_size=self.batch_size)

    def step_and_maybe_reset(self, tensordict: TensorDictBase) -> tuple[TensorDictBase, TensorDictBase]:
        """As EnvBase's, without its bookkeeping for nested and partial steps, which costs ten times this step."""
        following = self._step(tensordict)
        tensordict.set("next", following)
        done = following.get("done").squeeze(-1).numpy()
        if done.any():
            self._begin(done)
            return tensordict, self._state()
        keys = ("observation", "episode_return", "episode_length", "done", "terminated", "truncated")
        return tensordict, following.select(*keys)

    def rand_action(self, tensordict: TensorDictBase | None = None) -> TensorDictBase:
        """As EnvBase's, without `TensorDict.from_dict`, which looks for pandas on the disk, for half the time of a step."""
        if tensordict is None:
            return super().rand_action()
        return tensordict.set("action", self.action_spec.rand())

    def close(self, *, raise_if_closed: bool = True) -> None:
        """Close the environments."""
        if not self.is_closed:
            self.copies.close()
        super().close(raise_if_closed=raise_if_closed)


def set_specs(env: EnvBase, observation_size: int, action_size: int) -> None:
    """Tell TorchRL what an environment of batch `[N]` shows and takes, as `TorchEnv` says."""
    n, device = env.batch_size.numel(), env.device

    def flag() -> Binary:
        return Binary(1, shape=(n, 1), dtype=torch.bool, device=device)

    env.observation_spec = Composite(
        observation=Unbounded(shape=(n, observation_size), device=device),
        episode_return=Unbounded(shape=(n, 1), device=device),
        episode_length=Unbounded(shape=(n, 1), dtype=torch.int64, device=device),
        shape=(n,),
    )
    env.action_spec = Bounded(-1.0, 1.0, shape=(n, action_size), device=device)
    env.reward_spec = Unbounded(shape=(n, 1), device=device)
    env.done_spec = Composite(done=flag(), terminated=flag(), truncated=flag(), shape=(n,))


def as_seeds(data: Tensor, num_seeds: int) -> Tensor:
    """View an environment batch `[S*E, ...]` as `[S, E, ...]`."""
    return data.view(num_seeds, -1, *data.shape[1:])
