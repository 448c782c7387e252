"""IQ-Learn, inverse soft Q-learning (Garg et al., NeurIPS 2021, arXiv 2106.12142), online, S seeds in one update.

Critics alone are learned, no reward: every Q is right for the one reward r = Q(s, a) - gamma V(s'), and that reward is made
high on the expert's transitions and low on the policy's. The actor follows the critics as SAC's does, at a temperature that
stays. The environment's reward is not read.
"""

from typing import Any

import torch
from torch import Tensor

from rlopt import losses
from rlopt.agents.adam import Adam
from rlopt.agents.agent import Metrics
from rlopt.agents.common import required
from rlopt.agents.noise import standard_normal_like
from rlopt.agents.sac import SAC
from rlopt.networks import CriticEnsemble
from rlopt.peer_config import IQLearnConfig
from rlopt.transition import Transition

_REWARD_SAMPLES = 16
"""Actions over which V(s') of the learned reward is averaged."""


class IQLearn:
    """S independent IQ-Learn learners behind one `update`; arguments as of `Agent`."""

    needs_expert_actions = True

    def __init__(
        self,
        config: IQLearnConfig,
        observation_size: int,
        action_size: int,
        *,
        num_seeds: int = 1,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        self.sac = SAC(config, observation_size, action_size, num_seeds=num_seeds, seed=seed, device=device)
        self.config: IQLearnConfig = self.sac.config  # type: ignore[assignment]  # with a precision that is settled
        self.observation_size, self.action_size = observation_size, action_size
        self.num_seeds, self.device = num_seeds, self.sac.device
        self.expert_batch_size = config.expert_batch_size
        # Q is pushed down at the actor's actions and held at those of the data: an actor that is too fast is never met by data
        self.sac.actor_optimizer = Adam(self.sac.actor_optimizer.parameters, config.actor_learning_rate)
        self.optimizers, self.generators = self.sac.optimizers, self.sac.generators
        self.actor, self.policy = self.sac.actor, self.sac.policy

    def fit_standardizers(self, mean: Tensor, std: Tensor) -> None:
        """IQ-Learn sees observations as they are."""

    def update(self, batch: Transition, expert: Transition | None = None) -> Metrics:
        """One gradient step of every seed on a batch `[S, B]` and expert transitions `[S, expert_batch_size]`."""
        expert = required(expert, "IQ-Learn")
        # first: torch.compile cannot use generators
        noises = [standard_normal_like(side.action, 3, self.sac.generator) for side in (batch, expert)]
        noise, both = torch.cat(noises, dim=2), batch.joined_with(expert)  # [3, S, B + B_expert, A]

        # critic step:  min_Q  - E_expert[r] + 1/2 (E_pi + E_expert)[V(s) - gamma V(s')] + lambda/2 (E_pi[r^2] + E_expert[r^2])
        metrics = self.update_critic(both, noise[:2], batch.reward.shape[1])

        # actor step:  min_pi  E[ alpha log pi - Q ]  on the states of both
        metrics |= self.sac.update_actor(both.observation, noise[2], tune_temperature=self.config.tune_temperature)
        self.sac.update_targets()
        return metrics

    def update_critic(self, both: Transition, noise: Tensor, num_policy_samples: int) -> Metrics:
        """Critics towards those whose reward r = Q(s, a) - gamma V'(s') tells the expert from the policy.

        The first `num_policy_samples` transitions are the policy's, the others the expert's; V'(s') and V(s) are those of
        actions by `noise` `[2, S, B, A]`.
        """
        sac = self.sac
        with torch.no_grad():
            next_value = self.value(both.next_observation, noise[0], sac.target_critic)
            next_value = losses.discounted_value(next_value, both.terminated, self.config.gamma)
        drop = self.value(both.observation, noise[1], sac.critic) - next_value  # [S, B]
        reward = sac.critic(both.observation, both.action) - next_value.unsqueeze(1)  # [S, K, B]
        n = num_policy_samples
        critic_loss = losses.iq_learn_loss(
            reward[..., :n], reward[..., n:], drop[:, :n], drop[:, n:], self.config.value_regularizer
        )
        sac.critic_optimizer.minimize(critic_loss)
        reward = reward.detach().mean(1)  # of the critics' mean
        return {
            "reward_policy": reward[:, :n].mean(-1),
            "reward_expert": reward[:, n:].mean(-1),
            "critic_loss": critic_loss.detach(),
        }

    def value(self, observation: Tensor, noise: Tensor, critic: CriticEnsemble) -> Tensor:
        """V `[S, B]` of states by the policy's actions, drawn by `noise` `[S, B, A]`; a gradient to the critic alone."""
        with torch.no_grad():
            mean, log_std = self.actor(observation)
            action, log_prob = losses.sample_tanh_gaussian(mean, log_std, noise)
        return losses.soft_value(critic(observation, action), log_prob, self.sac.alpha)

    @torch.no_grad()
    def reward(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """The learned reward `[S, B]` of transitions that do not terminate: Q(s, a) - gamma V(s'), of the critics' mean."""
        generator = torch.Generator(self.device).manual_seed(0)
        noise = standard_normal_like(action, _REWARD_SAMPLES, generator)
        next_value = torch.stack([self.value(next_observation, sample, self.sac.critic) for sample in noise]).mean(0)
        return self.sac.critic(observation, action).mean(1) - self.config.gamma * next_value

    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from, the demonstrations excepted; tensors and primitives only."""
        return {"sac": self.sac.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned. Raises ValueError if it is of other networks."""
        self.sac.load_state_dict(state["sac"])
