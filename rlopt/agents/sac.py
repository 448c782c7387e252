"""Soft actor-critic (Haarnoja et al., arXiv 1812.05905), S seeds in one update."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from rlopt import losses
from rlopt.agents.adam import Adam
from rlopt.agents.agent import Metrics
from rlopt.agents.common import Gaussian, Policy, polyak_update
from rlopt.agents.noise import standard_normal_like
from rlopt.agents.precision import settle_precision
from rlopt.config import SACConfig
from rlopt.networks import Actor, CriticEnsemble, Standardizer, seed_generators
from rlopt.states import check_form, set_generator
from rlopt.transition import Transition


class SAC:
    """S independent learners of soft actor-critic (Haarnoja et al., arXiv 1812.05905) behind one `update`.

    Arguments as of `Agent`, and a scaling of observations. A batch has the reward that it is to maximise.
    """

    expert_batch_size = 0
    needs_expert_actions = False

    def __init__(
        self,
        config: SACConfig,
        observation_size: int,
        action_size: int,
        *,
        num_seeds: int = 1,
        seed: int = 0,
        device: torch.device | str = "cpu",
        standardizer: Standardizer | None = None,
    ):
        self.config = config = settle_precision(config, device)
        self.observation_size, self.action_size = observation_size, action_size
        self.num_seeds = num_seeds
        self.device = torch.device(device)
        self.target_entropy = -float(action_size)

        generators = seed_generators(seed, num_seeds)
        sizes = (observation_size, action_size, config.hidden_sizes, generators)
        precision = config.matmul_precision
        self.actor = Actor(*sizes, precision=precision, standardizer=standardizer).to(self.device)
        self.critic = CriticEnsemble(
            *sizes,
            num_critics=config.num_critics,
            precision=precision,
            standardizer=standardizer,
            layer_norm=config.layer_norm,
        ).to(self.device)
        self.target_critic = deepcopy(self.critic).requires_grad_(False)
        self.ema_actor = deepcopy(self.actor).requires_grad_(False)
        initial = torch.full((num_seeds,), config.initial_alpha, device=self.device)
        self.log_alpha = initial.log().requires_grad_()  # [S]

        self.critic_optimizer = Adam(self.critic.parameters(), config.learning_rate)
        # actor and temperature share no parameter, so one optimiser steps both
        self.actor_optimizer = Adam([*self.actor.parameters(), self.log_alpha], config.learning_rate)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.policy = Policy(self.ema_actor)

    def update(self, batch: Transition, expert: Transition | None = None) -> Metrics:
        """One gradient step of every seed on a batch `[S, B]`."""
        noise = standard_normal_like(batch.action, 2, self.generator)  # first: torch.compile cannot use generators
        metrics = self.update_critic(batch, noise[0])
        metrics |= self.update_actor(batch.observation, noise[1])
        self.update_targets()
        return metrics

    def update_critic(
        self,
        batch: Transition,
        noise: Tensor,
        terminal_value: Tensor | float = 0.0,
        gamma: float | None = None,
        q_bounds: losses.QBounds | None = None,
        entropy_backup: bool = True,
    ) -> Metrics:
        """Critics towards y = r + gamma [ min_k Q'_k(s', a') - alpha log pi(a'|s') ], a' ~ pi(.|s') by `noise` `[S, B, A]`.

        Where the batch terminated, `terminal_value` (a number or `[S, B]`) stands in the brackets. min_k Q' is clipped at
        `q_bounds`, and without `entropy_backup` alpha is 0 here.
        """
        gamma = self.config.gamma if gamma is None else gamma
        with torch.no_grad():
            mean, log_std = self.actor(batch.next_observation)
            next_action, next_log_prob = losses.sample_tanh_gaussian(mean, log_std, noise)
            next_q = self.target_critic(batch.next_observation, next_action)
            alpha = self.alpha if entropy_backup else torch.zeros_like(self.alpha)
            next_value = losses.soft_value(next_q, next_log_prob, alpha, q_bounds)
            target = losses.critic_target(batch.reward, batch.terminated, next_value, gamma, terminal_value)

        q = self.critic(batch.observation, batch.action)
        critic_loss = losses.critic_loss(q, target)
        self.critic_optimizer.minimize(critic_loss)
        return {"critic_loss": critic_loss.detach(), "q_mean": q.detach().mean((1, 2))}

    def update_actor(
        self,
        observation: Tensor,
        noise: Tensor,
        mirror: Gaussian | None = None,
        inverse_eta: float = 0.0,
        num_policy_samples: int | None = None,
        tune_temperature: bool = True,
    ) -> Metrics:
        """Actors towards the soft greedy policies, actions by `noise` `[S, B, A]`; temperatures keep the entropy at -A.

        Temperatures are tuned (without `tune_temperature`, they stay) on the first `num_policy_samples` observations alone
        (None: all), the policies' own; the rest are the expert's. With `mirror`, the policies pi_k of the last mirror step on
        the same observations, (1/eta) KL(pi || pi_k) is added to the loss.
        """
        alpha = self.alpha
        mean, log_std = self.actor(observation)
        action, log_prob = losses.sample_tanh_gaussian(mean, log_std, noise)
        policy_loss = losses.policy_loss(log_prob, self.critic(observation, action), alpha)
        if mirror is not None:
            policy_loss = policy_loss + inverse_eta * losses.gaussian_kl(mean, log_std, *mirror).mean(-1)
        own_log_prob = log_prob.detach()[:, :num_policy_samples]
        temperature_loss = losses.temperature_loss(self.log_alpha, own_log_prob, self.target_entropy)
        self.actor_optimizer.minimize(policy_loss + float(tune_temperature) * temperature_loss)
        return {"policy_loss": policy_loss.detach(), "alpha": alpha, "entropy": -own_log_prob.mean(-1)}

    def update_targets(self) -> None:
        """Target critics and evaluated policies one step towards critics and actors (Polyak averaging)."""
        polyak_update(self.target_critic, self.critic, self.config.tau)
        polyak_update(self.ema_actor, self.actor, self.config.actor_ema_tau)

    @property
    def optimizers(self) -> list[Adam]:
        """Of critics and actors."""
        return [self.critic_optimizer, self.actor_optimizer]

    @property
    def generators(self) -> list[torch.Generator]:
        """Of the actions' noise."""
        return [self.generator]

    def fit_standardizers(self, mean: Tensor, std: Tensor) -> None:
        """SAC sees observations as they are."""

    @property
    def alpha(self) -> Tensor:
        """Temperatures `[S]`, without a gradient."""
        return self.log_alpha.detach().exp()

    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from; tensors and primitives only."""
        return {
            "actor": self.actor.state_dict(),
            "ema_actor": self.ema_actor.state_dict(),
            "critic": self.critic.state_dict(),
            "target_critic": self.target_critic.state_dict(),
            "log_alpha": self.log_alpha.detach(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
            "actor_optimizer": self.actor_optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned. Raises ValueError if it is of other networks."""
        check_form(state, self.state_dict(), "SAC")
        for name in ("actor", "ema_actor", "critic", "target_critic", "critic_optimizer", "actor_optimizer"):
            getattr(self, name).load_state_dict(state[name])
        with torch.no_grad():
            self.log_alpha.copy_(state["log_alpha"])
        set_generator(self.generator, state["generator"])
