"""Inverse policy mirror descent (Wu, Ke, Wu, NeurIPS 2023, arXiv 2305.14608), S seeds in one update.

A reward network learns to tell the expert's transitions from the policy's; SAC, with a KL to the policy of the last
mirror step, optimises the policy against it. The environment's reward is not read.
"""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from rlopt.agents.adam import Adam
from rlopt.agents.agent import ExpertSource, Metrics, check_expert
from rlopt.agents.common import Gaussian
from rlopt.agents.noise import standard_normal_like
from rlopt.agents.precision import settle_precision
from rlopt.agents.reward import CLIP, RUNNING_MEAN_RATE, EnvironmentReward, FrozenReward, LearnedReward, Reward
from rlopt.agents.sac import SAC
from rlopt.config import IPMDConfig
from rlopt.errors import UserError
from rlopt.networks import Standardizer
from rlopt.states import check_form
from rlopt.transition import Transition


class IPMD:
    """S independent learners of inverse policy mirror descent (Wu, Ke, Wu, arXiv 2305.14608) behind one `update`.

    Arguments as of `Agent`, and `reward`, by default a `LearnedReward`. The reward in a batch is not read, unless `reward` is
    `EnvironmentReward`. Raises UserError for a reward that does not go with the settings.
    """

    def __init__(
        self,
        config: IPMDConfig,
        observation_size: int,
        action_size: int,
        *,
        num_seeds: int = 1,
        seed: int = 0,
        device: torch.device | str = "cpu",
        reward: Reward | None = None,
    ):
        self.config = config = settle_precision(config, device)
        self.observation_size, self.action_size = observation_size, action_size
        self.num_seeds = num_seeds
        self.device = torch.device(device)
        sizes = (config, observation_size, action_size)
        self.reward: Reward = reward or LearnedReward(*sizes, num_seeds=num_seeds, seed=seed, device=device)
        _check_reward(config, self.reward)
        standardizer = Standardizer(observation_size, CLIP) if config.standardize_observations else None
        self.sac = SAC(*sizes, num_seeds=num_seeds, seed=seed, device=device, standardizer=standardizer)
        self.actor, self.policy = self.sac.actor, self.sac.policy
        self.mirror_actor = deepcopy(self.actor).requires_grad_(False)  # pi_k
        self.gamma = 1.0 if config.average_reward else config.gamma
        self.rho = torch.zeros(num_seeds, device=self.device)  # the average reward [S]
        self.num_updates = torch.zeros((), dtype=torch.int64, device=self.device)
        self.expert_buffer: ExpertSource | None = None

    @property
    def expert_batch_size(self) -> int:
        """Expert transitions per seed and update; 0 for a reward that does not learn."""
        return self.config.expert_batch_size if self.reward.needs_expert else 0

    @property
    def needs_expert_actions(self) -> bool:
        """A reward of states alone needs none, critics need them."""
        return "a" in self.config.reward_inputs or self.config.expert_ratio > 0

    @property
    def optimizers(self) -> list[Adam]:
        """Of critics, actors and rewards."""
        return [*self.sac.optimizers, *self.reward.optimizers]

    @property
    def generators(self) -> list[torch.Generator]:
        """Of SAC and of the reward."""
        return [*self.sac.generators, *self.reward.generators]

    def set_expert_buffer(self, buffer: ExpertSource) -> None:
        """Demonstrations for a `train_online` that is given none. Raises UserError if they do not fit."""
        check_expert(self, buffer)
        self.expert_buffer = buffer

    def fit_standardizers(self, mean: Tensor, std: Tensor) -> None:
        """Standardise observations with the expert's mean and standard deviation `[O]` in every network that does so."""
        self.reward.fit_standardizer(mean, std)
        sac = self.sac
        for net in (self.actor, sac.ema_actor, self.mirror_actor, sac.critic, sac.target_critic):
            if isinstance(net.standardizer, Standardizer):
                net.standardizer.fit(mean, std, self.config.min_observation_std)

    def update(self, batch: Transition, expert: Transition | None = None) -> Metrics:
        """One gradient step of every seed on a batch `[S, B]` and expert transitions `[S, expert_batch_size]`."""
        # first: torch.compile cannot use generators
        noise, reward_noise = standard_normal_like(batch.action, 2, self.sac.generator), self.reward.draw(batch)
        self.num_updates += 1

        # reward step:  min_theta  E_pi[r] - E_expert[r] + psi(theta)
        batch, expert, metrics = self.reward.update(batch, expert, reward_noise)
        # critics and actor learn from expert states, too, before the policy reaches them (SQIL, RLPD)
        mixed, num_policy_samples = batch.mixed_with(expert, self.config.expert_ratio)

        # policy evaluation:  y = r - rho + gamma V(s'), and the absorbing state's value after a termination
        terminal_value = self.reward.absorbing_value(self.rho)
        bounds = self.reward.q_bounds(terminal_value)
        metrics |= self.sac.update_critic(
            self.above_average(mixed), noise[0], terminal_value, self.gamma, bounds, self.config.entropy_backup
        )

        # policy improvement:  min_pi  E[ alpha log pi - min Q ] + (1/eta) KL(pi || pi_k)
        mirror = self.mirror_policy(mixed.observation)
        metrics |= self.sac.update_actor(
            mixed.observation, noise[1], mirror, self.config.inverse_eta, num_policy_samples
        )
        self.sac.update_targets()
        self.update_mirror_policy()
        self.update_average_reward(batch.reward, metrics)
        return metrics

    def above_average(self, batch: Transition) -> Transition:
        """The batch with r - rho in place of r, under the average-reward criterion."""
        return batch.with_reward(batch.reward - self.rho.unsqueeze(-1)) if self.config.average_reward else batch

    @torch.no_grad()
    def mirror_policy(self, observation: Tensor) -> Gaussian | None:
        """pi_k on observations `[S, B, O]`; None without a mirror term."""
        return self.mirror_actor(observation) if self.config.inverse_eta > 0 else None

    @torch.no_grad()
    def update_mirror_policy(self) -> None:
        """pi_k <- pi at every `mirror_period`-th update, decided on the device: a captured graph has no branches."""
        if self.config.inverse_eta == 0:
            return
        renew = self.num_updates % self.config.mirror_period == 0
        for old, new in zip(self.mirror_actor.parameters(), self.actor.parameters(), strict=True):
            old.copy_(torch.where(renew, new, old))

    def update_average_reward(self, reward: Tensor, metrics: Metrics) -> None:
        """rho <- rho + rate (E[r + alpha H] - rho), under the average-reward criterion; alpha H where critics count entropy."""
        if self.config.average_reward:
            bonus = metrics["alpha"] * metrics["entropy"] if self.config.entropy_backup else 0.0
            self.rho.add_(RUNNING_MEAN_RATE * (reward.mean(-1) - self.rho + bonus))

    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from, the demonstrations excepted; tensors and primitives only."""
        parts = {name: getattr(self, name).state_dict() for name in ("sac", "mirror_actor", "reward")}
        return {**parts, "rho": self.rho, "num_updates": self.num_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; a reward that does not learn takes the place of one that does."""
        if not isinstance(state["reward"], dict):
            raise TypeError("the reward is not a dict")
        if isinstance(self.reward, LearnedReward) and "optimizer" not in state["reward"]:
            sizes = (self.config, self.observation_size, self.action_size)
            frozen = state["reward"]
            self.reward = FrozenReward(*sizes, frozen, self.device) if frozen else EnvironmentReward()
            _check_reward(self.config, self.reward)
        own = {"mirror_actor": self.mirror_actor.state_dict(), "rho": self.rho, "num_updates": self.num_updates}
        check_form({name: state[name] for name in own}, own, "IPMD")
        for name in ("sac", "mirror_actor", "reward"):
            getattr(self, name).load_state_dict(state[name])
        for name in ("rho", "num_updates"):
            getattr(self, name).copy_(state[name])


def _check_reward(config: IPMDConfig, reward: Reward) -> None:
    """Raise UserError for an option that this reward would silence."""
    if reward.needs_expert:
        return
    silenced = [name for name in ("expert_ratio", "expert_bound") if getattr(config, name)]
    if not isinstance(reward, FrozenReward) and config.standardize_observations:
        silenced.append("standardize_observations")
    if silenced:
        kind = type(reward).__name__
        raise UserError(f"{', '.join(silenced)} has no effect with {kind}, which learns from no demonstrations.")
