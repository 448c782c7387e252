"""What the agents share: functions, not ancestors."""

import torch
from torch import Tensor, nn

from rlopt.agents.noise import standard_normal
from rlopt.errors import UserError
from rlopt.networks import Actor
from rlopt.transition import Transition

Gaussian = tuple[Tensor, Tensor]
"""Mean and log standard deviation before the tanh, each `[S, B, A]`: what an actor returns."""


class Policy:
    """The policies of S seeds as a function of observations `[S, B, O]`, with actions `[S, B, A]` in [-1, 1]."""

    def __init__(self, actor: Actor):
        self.actor = actor

    @property
    def num_seeds(self) -> int:
        """S."""
        return len(next(self.actor.parameters()))

    @torch.no_grad()
    def __call__(self, observation: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The mode of the policy; with a generator, a sample of it."""
        mean, log_std = self.actor(observation)
        if generator is None:
            return torch.tanh(mean)
        return torch.tanh(mean + log_std.exp() * standard_normal(mean.shape, generator))


@torch.no_grad()
def polyak_update(target: nn.Module, source: nn.Module, tau: float) -> None:
    """target <- (1 - tau) target + tau source."""
    torch._foreach_lerp_(list(target.parameters()), list(source.parameters()), tau)


def required(expert: Transition | None, title: str) -> Transition:
    """The expert's transitions. Raises UserError where a method of this title was given none."""
    if expert is None:
        raise UserError(f"{title} has no demonstrations to learn from: pass them to train_online(..., expert=...).")
    return expert
