"""One TorchRL environment with random numbers of its own: actions in [-1, 1], float32, true last observations."""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from tensordict import TensorDictBase
from torch import Tensor
from torchrl.envs import EnvBase

from rlopt.envs.copies import SUCCESS
from rlopt.envs.spec import EnvSpec
from rlopt.envs.torchrl.source import copies, first_reset, make
from rlopt.envs.torchrl.spec import keys_of
from rlopt.envs.torchrl.streams import Stream
from rlopt.envs.versions import told
from rlopt.errors import ANYTHING, UserError

_in_use: WeakKeyDictionary[EnvBase, "Simulator"] = WeakKeyDictionary()
"""Who has reset each environment last: the only one of a process is used for training and for evaluation."""


class Simulator:
    """One TorchRL environment of N copies with its random numbers, and the state that the next step starts from.

    Args:
        spec: of the environment.
        num_envs: N; of the only environment that there is, at most its size.
        device: of actions and results; that of the environment may be another.
    """

    def __init__(self, spec: EnvSpec, num_envs: int, device: torch.device | str):
        self.spec, self.device = spec, torch.device(device)
        self.env = make(spec, num_envs, device)
        self.num_envs = copies(self.env) or num_envs
        self.keys = keys_of(self.env, spec.env_id)
        self.low = torch.as_tensor(spec.action_low, device=self.env.device)
        self.high = torch.as_tensor(spec.action_high, device=self.env.device)
        self.width = self.high - self.low
        self.dtype = self.env.full_action_spec[self.keys.action].dtype
        self.length = torch.zeros(self.num_envs, 1, dtype=torch.int64, device=self.env.device)
        self.stream = Stream(self.env.device)

    @property
    def interrupted(self) -> bool:
        """Whether someone else has reset the environment since."""
        return _in_use.get(self.env) is not self

    def begin(self, seed: int | None = None) -> Tensor:
        """Reset all copies, from a seed or as the random numbers go on. Returns their observations `[N, O]`."""
        if seed is not None:
            self.stream.restart(seed)
        with self.stream:
            try:
                if seed is not None:
                    self.env.set_seed(seed)
                self.state = first_reset(self.env, self.num_envs)
            except ANYTHING as error:  # an environment can raise anything
                raise self._failure("reset()", error) from error
        _in_use[self.env] = self
        self.length.zero_()
        return self.observed()

    def observed(self) -> Tensor:
        """The observations `[N, O]` that the next step starts from."""
        return self._observation(self.state)

    def begin_again(self, ended: Tensor) -> Tensor:
        """Reset the copies where `ended` `[N, 1]` is true. Returns the observations of all."""
        where = ended.to(self.length.device)
        with self.stream:
            try:
                state = self.state.set("_reset", where)
                self.state = self.env.reset(state, select_reset_only=True).exclude("_reset")
            except ANYTHING as error:  # likewise
                raise self._failure("reset()", error) from error
        self.length.masked_fill_(where, 0)
        return self.observed()

    def step(self, action: Tensor) -> dict[str, Tensor]:
        """Step all copies with `[N, A]` in [-1, 1]; none is reset.

        Returns:
            `observation` `[N, O]`; `reward`, `terminated`, `truncated`, `episode_length` and, where the environment says so,
            whether it is a success (`SUCCESS`), `[N, 1]`.
        """
        own = self.low + 0.5 * (action.to(self.low.device) + 1) * self.width
        own = own.minimum(self.high)  # in spite of rounding
        with self.stream:
            try:
                stepped = self.env.step(self.state.set(self.keys.action, own.to(self.dtype)))
            except ANYTHING as error:  # likewise
                raise self._failure("step()", error) from error
            following = stepped.get("next")
            self.state = self.env.step_mdp(stepped)
        self.length += 1
        done, terminated = following.get("done"), following.get("terminated")
        truncated = (self.length >= self.spec.max_episode_steps) | (done & ~terminated)
        results = {
            # copied: a simulator may write its next step to the same place
            "observation": self._observation(following),
            "reward": following.get("reward").to(torch.float32, copy=True),
            "terminated": terminated.clone(),
            "truncated": truncated | following.get("truncated", truncated),
            "episode_length": self.length.clone(),
        }
        results |= {name: following.get(name).clone().view(-1, 1) for name in SUCCESS if name in following}
        return {name: value.to(self.device) for name, value in results.items()}

    def _observation(self, state: TensorDictBase) -> Tensor:
        return state.get(self.keys.observation).to(self.device, torch.float32, copy=True)

    def close(self) -> None:
        """Close the environment, if it is not the only one."""
        if self.env is not self.spec.source:
            self.env.close(raise_if_closed=False)

    def _failure(self, what: str, error: BaseException) -> UserError:
        return UserError(f"{self.spec.env_id}: {what} fails: {told(error)}.")


def joined(parts: Sequence[Tensor]) -> Tensor:
    """The parts of a batch as one."""
    return parts[0] if len(parts) == 1 else torch.cat([*parts])
