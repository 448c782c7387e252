"""GAIL (Ho, Ermon, arXiv 1606.03476) on SAC, S seeds in one update: what a third party writes for a method of its own."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from rlopt.agents import SAC, Method
from rlopt.agents.adam import Adam
from rlopt.agents.noise import standard_normal_like
from rlopt.config import SACConfig
from rlopt.networks import RewardNet, seed_generators


@dataclass(frozen=True, kw_only=True)
class GAILConfig(SACConfig):
    """GAIL."""

    discriminator_learning_rate: float = 3e-4
    """Adam's learning rate for the discriminators."""
    expert_batch_size: int = 256
    """Expert transitions per seed and update."""

    positive: ClassVar[tuple[str, ...]] = (*SACConfig.positive, "discriminator_learning_rate", "expert_batch_size")


class GAIL:
    """S independent GAIL learners behind one `update`."""

    def __init__(self, config, observation_size, action_size, *, num_seeds=1, seed=0, device="cpu"):
        self.config, self.num_seeds, self.device = config, num_seeds, torch.device(device)
        self.observation_size, self.action_size = sizes = (observation_size, action_size)
        self.expert_batch_size = config.expert_batch_size
        self.sac = SAC(config, *sizes, num_seeds=num_seeds, seed=seed, device=device)
        self.actor, self.policy = self.sac.actor, self.sac.policy
        generators = seed_generators((1 << 32) + seed, num_seeds)
        self.discriminator = RewardNet(*sizes, config.hidden_sizes, generators).to(self.device)
        self.discriminator_optimizer = Adam(self.discriminator.parameters(), config.discriminator_learning_rate)

    @property
    def optimizers(self):
        return [*self.sac.optimizers, self.discriminator_optimizer]

    @property
    def generators(self):
        return self.sac.generators

    def fit_standardizers(self, mean, std):
        self.discriminator.standardizer.fit(mean, std, 1e-3)

    def update(self, batch, expert=None):
        noise = standard_normal_like(batch.action, 2, self.sac.generator)
        # discriminator:  max_D  E_expert[log D] + E_pi[log(1 - D)],  D = sigmoid(logit)
        policy_logit, expert_logit = (
            self.discriminator(self.discriminator.features(t.observation, t.action, t.next_observation))
            for t in (batch, expert)
        )
        loss = F.softplus(policy_logit).mean(-1) + F.softplus(-expert_logit).mean(-1)
        self.discriminator_optimizer.minimize(loss)
        # generator:  SAC on r = -log(1 - D)
        batch = batch.with_reward(F.softplus(policy_logit.detach()))
        metrics = self.sac.update_critic(batch, noise[0])
        metrics |= self.sac.update_actor(batch.observation, noise[1])
        self.sac.update_targets()
        return metrics | {"discriminator_loss": loss.detach()}

    def state_dict(self):
        parts = ("sac", "discriminator", "discriminator_optimizer")
        return {name: getattr(self, name).state_dict() for name in parts}

    def load_state_dict(self, state):
        for name, part in state.items():
            getattr(self, name).load_state_dict(part)


METHOD = Method("gail", "GAIL", GAIL, GAILConfig, "#CC79A7", "RLOpt-GAIL", "gail_model.pt", seed=45)
