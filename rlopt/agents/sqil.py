"""SQIL, soft Q imitation learning (Reddy, Dragan, Levine, ICLR 2020, arXiv 1905.11108), S seeds in one update.

SAC on batches of which half are the expert's transitions with a reward of 1, and half the policy's with a reward of 0. Nothing
else is learned; the environment's reward is not read.
"""

from typing import Any

import torch
from torch import Tensor

from rlopt import losses
from rlopt.agents.agent import Metrics
from rlopt.agents.common import required
from rlopt.agents.noise import standard_normal_like
from rlopt.agents.sac import SAC
from rlopt.peer_config import SQILConfig
from rlopt.transition import Transition

EXPERT_RATIO = 0.5
"""Share of a batch that is the expert's."""


class SQIL:
    """S independent SQIL learners behind one `update`; arguments as of `Agent`."""

    needs_expert_actions = True

    def __init__(
        self,
        config: SQILConfig,
        observation_size: int,
        action_size: int,
        *,
        num_seeds: int = 1,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        self.sac = SAC(config, observation_size, action_size, num_seeds=num_seeds, seed=seed, device=device)
        self.config = self.sac.config  # with a precision that is settled
        self.observation_size, self.action_size = observation_size, action_size
        self.num_seeds, self.device = num_seeds, self.sac.device
        self.expert_batch_size = round(EXPERT_RATIO * config.batch_size)
        self.optimizers, self.generators = self.sac.optimizers, self.sac.generators
        self.actor, self.policy = self.sac.actor, self.sac.policy

    def fit_standardizers(self, mean: Tensor, std: Tensor) -> None:
        """SQIL sees observations as they are."""

    def update(self, batch: Transition, expert: Transition | None = None) -> Metrics:
        """One gradient step of every seed on half of a batch `[S, B]` and expert transitions `[S, expert_batch_size]`."""
        noise = standard_normal_like(batch.action, 2, self.sac.generator)  # first: torch.compile cannot use generators
        expert = required(expert, "SQIL")

        # r = 1 on the expert's transitions, 0 on the policy's
        policy_reward, expert_reward = losses.sqil_rewards(batch.reward, expert.reward)
        batch, num_policy_samples = batch.with_reward(policy_reward).mixed_with(
            expert.with_reward(expert_reward), EXPERT_RATIO
        )

        # SAC:  delta^2(D_expert, 1) + delta^2(D_pi, 0),  and the soft greedy policy on the states of both
        metrics = self.sac.update_critic(batch, noise[0])
        metrics |= self.sac.update_actor(batch.observation, noise[1], num_policy_samples=num_policy_samples)
        self.sac.update_targets()
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from, the demonstrations excepted; tensors and primitives only."""
        return {"sac": self.sac.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned. Raises ValueError if it is of other networks."""
        self.sac.load_state_dict(state["sac"])
