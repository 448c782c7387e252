"""GAIL (Ho, Ermon, NeurIPS 2016, arXiv 1606.03476) on SAC, S seeds in one update.

That is discriminator-actor-critic (Kostrikov et al., ICLR 2019, arXiv 1809.02925): discriminators with a gradient penalty tell
the expert's transitions from those of the replay buffer, and SAC optimises the policy against r = log D - log(1 - D). An ended
episode goes on in an absorbing state, which discriminators know by a mark. The environment's reward is not read.
"""

from typing import Any

import torch
from torch import Tensor

from rlopt import losses
from rlopt.agents.agent import Metrics
from rlopt.agents.common import required
from rlopt.agents.noise import standard_normal_like
from rlopt.agents.reward import REWARD_STREAM, DiscriminatingReward, Relabelled
from rlopt.agents.sac import SAC
from rlopt.networks import RewardNet, seed_generators
from rlopt.peer_config import GAILConfig
from rlopt.transition import Transition


class Discriminator(DiscriminatingReward):
    """Discriminators of S seeds, and the reward r = log D - log(1 - D), which is their logit."""

    name = "the discriminator"
    parts = ("net", "optimizer")
    running = ("policy_termination_rate", "expert_termination_rate", "absorbing_reward")

    def __init__(
        self,
        config: GAILConfig,
        observation_size: int,
        action_size: int,
        *,
        num_seeds: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        self.config = config
        net = RewardNet(
            observation_size,
            action_size,
            config.hidden_sizes,
            seed_generators(REWARD_STREAM + seed, num_seeds),
            inputs=config.reward_inputs,
            precision=config.matmul_precision,
            absorbing=True,
        ).to(device)
        super().__init__(net, config.discriminator_learning_rate, num_seeds, seed, device)
        self.horizon = config.gamma / (1 - config.gamma)  # gamma + gamma^2 + ...: steps in the absorbing state
        self.absorbing_reward = torch.zeros(num_seeds, device=device)

    @torch.no_grad()
    def __call__(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """The learned reward `[S, B]` of transitions `[S, B, .]`."""
        return self.net(self.net.features(observation, action, next_observation))

    def update(self, batch: Transition, expert: Transition | None, noise: Tensor | None) -> Relabelled:
        """One step of  max_D  E_expert[log D] + E_pi[log(1 - D)] - penalty; returns rewards of both batches from before it."""
        expert, net = required(expert, "GAIL"), self.net
        assert noise is not None
        policy_x = net.features(batch.observation, batch.action, batch.next_observation)  # [S, B, F]
        expert_x = net.features(expert.observation, expert.action, expert.next_observation)
        absorbing_x = net.absorbing_features(policy_x)
        logits = net(torch.cat([policy_x, expert_x, absorbing_x], dim=1))
        policy_logit, expert_logit, absorbing_logit = logits.split([policy_x.shape[1], expert_x.shape[1], 1], dim=1)
        self.absorbing_reward.copy_(absorbing_logit.detach().squeeze(1))
        policy_share, expert_share = self.absorbing_shares(batch, expert)
        loss = losses.discriminator_loss(
            policy_logit, expert_logit, absorbing_logit.squeeze(1), policy_share, expert_share
        )
        metrics = {
            "reward_policy": policy_logit.detach().mean(-1),
            "reward_expert": expert_logit.detach().mean(-1),
            "discriminator_loss": loss.detach(),
        }
        if self.config.discriminator_penalty > 0:
            size = min(policy_x.shape[1], expert_x.shape[1])
            policy_end = losses.with_absorbing(policy_x[:, :size], absorbing_x, policy_share)
            expert_end = losses.with_absorbing(expert_x[:, :size], absorbing_x, expert_share)
            x = losses.interpolate(policy_end, expert_end, noise[:, :size])
            penalty = losses.gradient_penalty(net.input_gradient(x), two_sided=True)
            loss = loss + self.config.discriminator_penalty * penalty
            metrics["gradient_penalty"] = penalty.detach()
        self.optimizer.minimize(loss)
        relabelled = batch.with_reward(policy_logit.detach()), expert.with_reward(expert_logit.detach())
        return *relabelled, metrics

    def absorbing_shares(self, batch: Transition, expert: Transition) -> tuple[Tensor, Tensor]:
        """The absorbing state's share `[S]` of the policy's occupancy and of the expert's, from running termination rates."""
        self.update_termination_rates(batch, expert)
        horizon = self.horizon if self.config.absorbing_states else 0.0
        rates = (self.policy_termination_rate, self.expert_termination_rate)
        return losses.absorbing_share(rates[0], horizon), losses.absorbing_share(rates[1], horizon)

    def absorbing_value(self, rho: Tensor | None = None) -> Tensor | float:
        """The discriminator's reward of the absorbing state for ever, r_abs / (1 - gamma) `[S, 1]`; 0 without such states."""
        if not self.config.absorbing_states:
            return 0.0
        return (self.absorbing_reward / (1 - self.config.gamma)).unsqueeze(-1)

    def fit_standardizer(self, mean: Tensor, std: Tensor) -> None:
        """Standardise observations with mean and standard deviation `[O]`."""
        self.net.standardizer.fit(mean, std, self.config.min_observation_std)


class GAIL:
    """S independent GAIL learners behind one `update`; arguments as of `Agent`."""

    def __init__(
        self,
        config: GAILConfig,
        observation_size: int,
        action_size: int,
        *,
        num_seeds: int = 1,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        sizes = (observation_size, action_size)
        self.sac = SAC(config, *sizes, num_seeds=num_seeds, seed=seed, device=device)
        self.config: GAILConfig = self.sac.config  # type: ignore[assignment]  # with a precision that is settled
        self.observation_size, self.action_size = sizes
        self.num_seeds, self.device = num_seeds, self.sac.device
        self.expert_batch_size = config.expert_batch_size
        self.reward = Discriminator(self.config, *sizes, num_seeds=num_seeds, seed=seed, device=device)
        self.optimizers = [*self.sac.optimizers, *self.reward.optimizers]
        self.generators = [*self.sac.generators, *self.reward.generators]
        self.actor, self.policy = self.sac.actor, self.sac.policy

    @property
    def needs_expert_actions(self) -> bool:
        """A discriminator of states alone needs none."""
        return "a" in self.config.reward_inputs

    def fit_standardizers(self, mean: Tensor, std: Tensor) -> None:
        """Let the discriminators standardise observations with the expert's mean and standard deviation `[O]`."""
        self.reward.fit_standardizer(mean, std)

    def update(self, batch: Transition, expert: Transition | None = None) -> Metrics:
        """One gradient step of every seed on a batch `[S, B]` and expert transitions `[S, expert_batch_size]`."""
        # first: torch.compile cannot use generators
        noise, reward_noise = standard_normal_like(batch.action, 2, self.sac.generator), self.reward.draw(batch)

        # discriminator step:  max_D  E_expert[log D] + E_pi[log(1 - D)] - lambda E[(|grad logit| - 1)^2]
        batch, _, metrics = self.reward.update(batch, expert, reward_noise)

        # SAC on  r = log D - log(1 - D),  and r_abs / (1 - gamma) after a termination
        metrics |= self.sac.update_critic(batch, noise[0], self.reward.absorbing_value())
        metrics |= self.sac.update_actor(batch.observation, noise[1])
        self.sac.update_targets()
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from, the demonstrations excepted; tensors and primitives only."""
        return {"sac": self.sac.state_dict(), "reward": self.reward.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned. Raises ValueError if it is of other networks."""
        self.sac.load_state_dict(state["sac"])
        self.reward.load_state_dict(state["reward"])
