"""Offline IQ-Learn (Garg et al., arXiv 2106.12142, chi-squared): critics, but no environment. A third party's method."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from rlopt.agents import SAC, Method
from rlopt.agents.noise import standard_normal_like
from rlopt.config import SACConfig
from rlopt.losses import sample_tanh_gaussian, soft_value


@dataclass(frozen=True, kw_only=True)
class OfflineIQLearnConfig(SACConfig):
    """Offline IQ-Learn."""

    epochs: int = 20
    """Passes over the demonstrations."""
    min_steps_per_epoch: int = 100
    """Updates that an epoch has at least."""

    positive: ClassVar[tuple[str, ...]] = (*SACConfig.positive, "epochs", "min_steps_per_epoch")


class OfflineIQLearn:
    """S independent learners behind one `update`."""

    expert_batch_size = 0  # its batch is the expert's

    def __init__(self, config, observation_size, action_size, *, num_seeds=1, seed=0, device="cpu"):
        self.config, self.num_seeds, self.device = config, num_seeds, torch.device(device)
        self.observation_size, self.action_size = observation_size, action_size
        self.sac = SAC(config, observation_size, action_size, num_seeds=num_seeds, seed=seed, device=device)
        self.actor, self.policy = self.sac.actor, self.sac.policy

    @property
    def optimizers(self):
        return self.sac.optimizers

    @property
    def generators(self):
        return self.sac.generators

    def fit_standardizers(self, mean, std):
        pass

    def value(self, observation, noise, critic):
        action, log_prob = sample_tanh_gaussian(*self.actor(observation), noise)
        return soft_value(critic(observation, action), log_prob, self.sac.alpha)

    def update(self, batch, expert=None):
        noise = standard_normal_like(batch.action, 3, self.sac.generator)
        # max_Q  E_expert[ phi(Q(s,a) - gamma V(s')) ] - E_expert[ V(s) - gamma V(s') ],  phi(x) = x - x^2 / 4
        with torch.no_grad():
            next_value = self.value(batch.next_observation, noise[0], self.sac.target_critic)
            next_value = self.config.gamma * (1 - batch.terminated) * next_value
        reward = self.sac.critic(batch.observation, batch.action) - next_value.unsqueeze(1)  # [S, K, B]
        value = self.value(batch.observation, noise[1], self.sac.critic)
        loss = (reward.square() / 4 - reward).mean((1, 2)) + (value - next_value).mean(1)
        self.sac.critic_optimizer.minimize(loss)
        metrics = self.sac.update_actor(batch.observation, noise[2])
        self.sac.update_targets()
        return metrics | {"iqlearn_loss": loss.detach()}

    def state_dict(self):
        return {"sac": self.sac.state_dict()}

    def load_state_dict(self, state):
        self.sac.load_state_dict(state["sac"])


METHOD = Method(
    "offline_iqlearn",
    "Offline IQ-Learn",
    OfflineIQLearn,
    OfflineIQLearnConfig,
    "#F0E442",
    "RLOpt-OfflineIQLearn",
    "offline_iqlearn_model.pt",
    online=False,
)
