"""Random expert distillation (Wang et al., arXiv 1905.06750), S seeds in one update: what a third party writes for a method."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from rlopt.agents import SAC, Method
from rlopt.agents.adam import Adam
from rlopt.agents.noise import standard_normal_like
from rlopt.config import SACConfig
from rlopt.networks import RewardNet, seed_generators


@dataclass(frozen=True, kw_only=True)
class REDConfig(SACConfig):
    """Random expert distillation."""

    reward_scale: float = 10.0
    """sigma: how soon the reward falls where the two networks differ."""
    expert_batch_size: int = 256
    """Expert transitions per seed and update."""

    positive: ClassVar[tuple[str, ...]] = (*SACConfig.positive, "reward_scale", "expert_batch_size")


class RED:
    """S independent RED learners behind one `update`."""

    def __init__(self, config, observation_size, action_size, *, num_seeds=1, seed=0, device="cpu"):
        self.config, self.num_seeds, self.device = config, num_seeds, torch.device(device)
        self.observation_size, self.action_size = sizes = (observation_size, action_size)
        self.expert_batch_size = config.expert_batch_size
        self.sac = SAC(config, *sizes, num_seeds=num_seeds, seed=seed, device=device)
        self.actor, self.policy = self.sac.actor, self.sac.policy
        generators = seed_generators((1 << 32) + seed, num_seeds)
        self.random, self.predictor = (RewardNet(*sizes, (32, 32), generators).to(self.device) for _ in range(2))
        self.optimizer = Adam(self.predictor.parameters(), 1e-3)

    @property
    def optimizers(self):
        return [*self.sac.optimizers, self.optimizer]

    @property
    def generators(self):
        return self.sac.generators

    def fit_standardizers(self, mean, std):
        for net in (self.random, self.predictor):
            net.standardizer.fit(mean, std, 1e-3)

    def error(self, t):
        x = self.random.features(t.observation, t.action, t.next_observation)
        return (self.predictor(x) - self.random(x).detach()).square()

    def update(self, batch, expert=None):
        noise = standard_normal_like(batch.action, 2, self.sac.generator)
        # a network learns what a random one says of the expert's transitions, and of no others
        prediction_loss = self.error(expert).mean(-1)
        self.optimizer.minimize(prediction_loss)
        # SAC on  r = exp(-sigma (f(s, a) - f_random(s, a))^2)
        batch = batch.with_reward(torch.exp(-self.config.reward_scale * self.error(batch).detach()))
        metrics = self.sac.update_critic(batch, noise[0])
        metrics |= self.sac.update_actor(batch.observation, noise[1])
        self.sac.update_targets()
        return metrics | {"prediction_loss": prediction_loss.detach()}

    def state_dict(self):
        parts = ("sac", "random", "predictor", "optimizer")
        return {name: getattr(self, name).state_dict() for name in parts}

    def load_state_dict(self, state):
        for name, part in state.items():
            getattr(self, name).load_state_dict(part)


METHOD = Method("red", "RED", RED, REDConfig, "#999999", "RLOpt-RED", "red_model.pt", seed=48)
