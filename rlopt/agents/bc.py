"""Behaviour cloning: supervised regression of the expert's actions, S seeds in one update."""

from typing import Any

import torch

from rlopt import losses
from rlopt.agents.adam import Adam
from rlopt.agents.agent import Metrics
from rlopt.agents.common import Policy
from rlopt.config import BCConfig
from rlopt.networks import Actor, Standardizer, seed_generators
from rlopt.states import check_form
from rlopt.transition import Transition


class BC:
    """S independent behaviour cloning learners behind one `update`; arguments as of `Agent`.

    The loss is `behavior_cloning_loss` of `rlopt.losses`.
    """

    expert_batch_size = 0  # its batch is the expert's
    needs_expert_actions = True

    def __init__(
        self,
        config: BCConfig,
        observation_size: int,
        action_size: int,
        *,
        num_seeds: int = 1,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        self.config = config
        self.observation_size, self.action_size = observation_size, action_size
        self.num_seeds = num_seeds
        self.device = torch.device(device)
        generators = seed_generators(seed, num_seeds)
        self.standardizer = Standardizer(observation_size)
        self.actor = Actor(
            observation_size, action_size, config.hidden_sizes, generators, standardizer=self.standardizer
        )
        self.actor.to(self.device)
        # a standard deviation that regression does not train has no gradient, and Adam leaves its weights alone
        self.optimizer = Adam(self.actor.parameters(), config.learning_rate)
        self.optimizers, self.generators = [self.optimizer], list[torch.Generator]()  # an update draws nothing
        self.policy = Policy(self.actor)

    def fit_standardizers(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Standardise observations with the expert's mean and standard deviation `[O]`."""
        self.standardizer.fit(mean, std, min_std=1e-3)

    def update(self, batch: Transition, expert: Transition | None = None) -> Metrics:
        """One gradient step of every seed on expert transitions `[S, B]`."""
        mean, _ = self.actor(batch.observation)
        bc_loss = losses.behavior_cloning_loss(mean, batch.action)
        self.optimizer.minimize(bc_loss)
        return {"bc_loss": bc_loss.detach()}

    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from; tensors and primitives only."""
        return {"actor": self.actor.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned. Raises ValueError if it is of other networks."""
        check_form(state, self.state_dict(), "BC")
        self.actor.load_state_dict(state["actor"])
        self.optimizer.load_state_dict(state["optimizer"])
