"""The TorchRL environments of all seeds as one TorchRL environment.

A seed has an environment of its own with a stream of random numbers of its own: it gets the same episodes in any company. Where
only one environment can exist, it serves all seeds, and what they get depends on how many they are.
"""

from collections.abc import Sequence
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor
from torchrl.envs import EnvBase

from rlopt.envs.spec import EnvSpec, env_seeds, episode_seed
from rlopt.envs.torch_env import set_specs
from rlopt.envs.torchrl.simulator import Simulator, joined
from rlopt.errors import UserError


class TorchRLEnv(EnvBase):
    """The environments of S seeds as one TorchRL environment of batch `[S*E]`, seed-major.

    Keys of a step are those of `TorchEnv`; all stays on the device. A copy whose episode ends is reset at once;
    `("next", "observation")` stays the episode's true last one.

    Args:
        spec: of the environment.
        seeds: S seeds of the first episodes; later ones go on with the random numbers.
        num_envs: E.
        device: of everything.
        frames: frames per seed of earlier runs, which a run that goes on must not repeat.
    """

    def __init__(
        self, spec: EnvSpec, seeds: Sequence[int], num_envs: int, device: torch.device | str = "cpu", frames: int = 0
    ):
        self.spec_info, total = spec, len(seeds) * num_envs
        super().__init__(device=torch.device(device), batch_size=[total])
        share = total if isinstance(spec.source, EnvBase) else num_envs
        self.simulators = [Simulator(spec, share, device) for _ in range(total // share)]
        if self.simulators[0].num_envs != share:
            raise UserError(
                f"{spec.env_id} has {self.simulators[0].num_envs} copies, and {len(seeds)} seeds with {num_envs} environments "
                f"each need {total}: change --num-seeds, --num-envs, or what makes it."
            )
        self.seeds: Sequence[int | None] = [
            episode_seed(seed, frames) for seed in env_seeds(seeds, 1)[: len(self.simulators)]
        ]
        self.is_closed = False  # a new EnvBase is True, and would not close them
        self.episode_return = torch.zeros(total, 1, device=self.device)
        set_specs(self, *spec.sizes)

    @property
    def interrupted(self) -> bool:
        """Whether an evaluation has taken the only environment, so that the episodes that were under way are gone."""
        return any(simulator.interrupted for simulator in self.simulators)

    def _set_seed(self, seed: int | None) -> None:
        if seed is not None:
            self.seeds = env_seeds([seed], len(self.simulators))

    def _parts(self, value: Tensor) -> Sequence[Tensor]:
        """A batch `[S*E, ...]`, a part for each environment."""
        return value.chunk(len(self.simulators))

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDict:
        mask = None if tensordict is None else tensordict.get("_reset", None)
        if mask is not None:
            return self._begin_again(mask.view(-1, 1))
        observations = [simulator.begin(seed) for simulator, seed in zip(self.simulators, self.seeds, strict=True)]
        self.seeds = [None] * len(self.simulators)  # from now on the random numbers go on
        self.episode_return = torch.zeros_like(self.episode_return)
        return self._state(joined(observations), torch.zeros_like(self.episode_return, dtype=torch.int64))

    def _state(self, observation: Tensor, length: Tensor) -> TensorDict:
        """What a step starts from."""
        no = torch.zeros_like(self.episode_return, dtype=torch.bool)
        state = {"observation": observation, "episode_return": self.episode_return, "episode_length": length}
        return TensorDict({**state, "done": no, "terminated": no, "truncated": no}, self.batch_size, self.device)

    def _begin_again(self, ended: Tensor) -> TensorDict:
        """Reset the copies where `ended` `[S*E, 1]` is true; an environment without one is not touched."""
        touched = torch.stack([part.any() for part in self._parts(ended)]).tolist()
        parts = zip(self.simulators, self._parts(ended), touched, strict=True)
        observations = [
            simulator.begin_again(part) if any_ended else simulator.observed() for simulator, part, any_ended in parts
        ]
        self.episode_return = self.episode_return.masked_fill(ended, 0)
        lengths = [simulator.length.to(self.device, copy=True) for simulator in self.simulators]
        return self._state(joined(observations), joined(lengths))

    def _step(self, tensordict: TensorDictBase) -> TensorDict:
        parts = [
            simulator.step(action)
            for simulator, action in zip(self.simulators, self._parts(tensordict.get("action")), strict=True)
        ]
        names = ("observation", "reward", "terminated", "truncated", "episode_length")
        outcome = {name: joined([part[name] for part in parts]) for name in names}
        self.episode_return = self.episode_return + outcome["reward"]
        outcome |= {"done": outcome["terminated"] | outcome["truncated"], "episode_return": self.episode_return}
        return TensorDict(outcome, self.batch_size, self.device)

    def step_and_maybe_reset(self, tensordict: TensorDictBase) -> tuple[TensorDictBase, TensorDictBase]:
        """As EnvBase's, without its bookkeeping for nested and partial steps."""
        following = self._step(tensordict)
        tensordict.set("next", following)
        if following.get("done").any():
            return tensordict, self._begin_again(following.get("done"))
        return tensordict, following.exclude("reward")

    def check_finite(self, rollout: TensorDictBase) -> None:
        """Raise UserError if a batch `[S*E, T]` has NaN or infinity."""
        for what, name in (("observation", "an observation"), ("reward", "a reward")):
            finite = torch.isfinite(rollout.get(("next", what))).all(-1)
            if not finite.all():
                number, step = (~finite).nonzero()[0].tolist()
                length = int(rollout.get(("next", "episode_length"))[number, step])
                raise UserError(
                    f"{self.spec_info.env_id} gave NaN or infinity as {name}, in environment number {number} at step {length} "
                    "of an episode: the environment has to be mended, or shows no last observations."
                )

    def close(self, *, raise_if_closed: bool = True) -> None:
        """Close the environments."""
        if not self.is_closed:
            for simulator in self.simulators:
                simulator.close()
        super().close(raise_if_closed=raise_if_closed)
