"""What the training loops, saving and comparison ask of an agent. A new agent implements this and is registered (`methods`)."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from rlopt.agents.adam import Adam
from rlopt.agents.common import Policy
from rlopt.errors import UserError
from rlopt.networks import Actor
from rlopt.transition import Transition

Metrics = dict[str, Tensor]
"""What an update reports: one detached value per seed, `[S]`, and per name."""


class Agent(Protocol):
    """S independent learners behind one `update`.

    The constructor takes `(config, observation_size, action_size, *, num_seeds, seed, device)`: settings that are the same for
    every seed, O, A, S, and a seed; seed i starts from weights drawn with `seed + i`. An update may not synchronise the device,
    branch on data or move tensors; it draws its noise first, because torch.compile cannot use generators.
    """

    config: Any
    """Its settings, a dataclass. The loops read `batch_size`, `hidden_sizes` and, where the class has them, `recent_ratio`,
    `matmul_precision`; the offline loop also `epochs` and `min_steps_per_epoch`."""
    num_seeds: int
    """S."""
    device: torch.device
    """Where its networks are."""
    observation_size: int
    """O."""
    action_size: int
    """A."""
    actor: Actor
    """Gathers experience."""
    policy: Policy
    """Is evaluated."""

    @property
    def expert_batch_size(self) -> int:
        """Expert transitions per seed that `update` needs beside its batch; 0: none."""

    @property
    def needs_expert_actions(self) -> bool:
        """Whether it reads the actions of expert transitions; an agent without this does."""

    @property
    def optimizers(self) -> Sequence[Adam]:
        """What takes an update's gradient steps; the loop lets their learning rates decay."""

    @property
    def generators(self) -> Sequence[torch.Generator]:
        """What an update draws from."""

    def fit_standardizers(self, mean: Tensor, std: Tensor) -> None:
        """Take mean and standard deviation `[O]` of the expert's observations, before the first update."""

    def update(self, batch: Transition, expert: Transition | None = None) -> Metrics:
        """One gradient step of every seed on a batch `[S, B]` and expert transitions `[S, expert_batch_size]`, if any."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from, the data excepted; tensors and primitives only."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""


@runtime_checkable
class ExpertSource(Protocol):
    """What the loops ask of demonstrations; `rlopt.imitation.ExpertReplayBuffer` answers it for any source."""

    def __len__(self) -> int:
        """Transitions."""

    @property
    def observation_size(self) -> int:
        """O."""

    @property
    def action_size(self) -> int:
        """A."""

    def sample_packed(self, num_updates: int, num_seeds: int, batch_size: int) -> Tensor:
        """Expert batches `[U, S, B, D]` for U updates, packed as `Transition.pack` does, gathered at once."""

    def observation_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation `[O]` of the expert's observations."""


def check_expert(agent: Agent, source: Any) -> None:
    """Raise UserError if `source` is no source of demonstrations, or of another environment's shapes."""
    if not isinstance(source, ExpertSource):
        raise UserError(f"Demonstrations are needed: wrap the {type(source).__name__} in an ExpertReplayBuffer.")
    sizes, own = (source.observation_size, source.action_size), (agent.observation_size, agent.action_size)
    if not sizes[1] and sizes[0] == own[0]:
        if getattr(agent, "needs_expert_actions", True):
            raise UserError(
                f"{type(agent).__name__} with these settings needs the expert's actions, and the demonstrations have none."
            )
    elif sizes != own:
        raise UserError(
            f"The expert's data has observations of size {sizes[0]} and actions of size {sizes[1]}, "
            f"but this agent has {own[0]} and {own[1]}: they are of different environments."
        )
