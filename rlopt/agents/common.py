"""What the agents share: functions, not ancestors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from tensordict import TensorDictBase
from torch import Tensor, nn

from rlopt.networks import Actor
from rlopt.transition import Transition

Info = dict[str, Tensor]
"""What an update reports: one detached value per seed, `[S]`, and per name."""


class Agent(Protocol):
    """What the training loops need of an agent."""

    actor: Actor
    num_seeds: int
    device: torch.device
    observation_size: int
    action_size: int

    def update(self, batch: Transition) -> Info:
        """One gradient step of all seeds."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""


@runtime_checkable
class ExpertSource(Protocol):
    """What agents ask of demonstrations; `rlopt.imitation.ExpertReplayBuffer` answers it for any source."""

    def __len__(self) -> int:
        """Transitions."""

    @property
    def observation_size(self) -> int:
        """O."""

    @property
    def action_size(self) -> int:
        """A."""

    def sample_stacked(self, num_seeds: int, batch_size: int) -> TensorDictBase:
        """Expert transitions `[S, B]` under TorchRL's key names."""

    def observation_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation `[O]` of the expert's observations."""


class Policy:
    """The policies of S seeds as a function of observations `[S, B, O]`, with actions `[S, B, A]` in [-1, 1]."""

    def __init__(self, actor: Actor):
        self.actor = actor

    @torch.no_grad()
    def __call__(self, observation: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The mode of the policy; with a generator, a sample of it."""
        mean, log_std = self.actor(observation)
        if generator is None:
            return torch.tanh(mean)
        return torch.tanh(mean + log_std.exp() * standard_normal(mean.shape, generator))


@torch.compiler.disable  # compiled code cannot take a generator
def standard_normal(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Standard normal noise on the generator's device."""
    return torch.randn(*shape, device=generator.device, generator=generator)


@torch.compiler.disable
def uniform(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Uniform noise in [0, 1) on the generator's device."""
    return torch.rand(*shape, device=generator.device, generator=generator)


Gaussian = tuple[Tensor, Tensor]
"""Mean and log standard deviation before the tanh, each `[S, B, A]`: what an actor returns."""


@torch.no_grad()
def polyak_update(target: nn.Module, source: nn.Module, tau: float) -> None:
    """target <- (1 - tau) target + tau source."""
    torch._foreach_lerp_(list(target.parameters()), list(source.parameters()), tau)
