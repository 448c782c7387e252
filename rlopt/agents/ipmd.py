"""Inverse policy mirror descent (Wu, Ke, Wu, NeurIPS 2023, arXiv 2305.14608), S seeds in one update.

A reward network learns to tell the expert's transitions from the policy's; SAC, with a KL to the policy of the last
mirror step, optimises the policy against it. The environment's reward is not read.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from rlopt import losses
from rlopt.adam import Adam
from rlopt.agents.common import ExpertSource, Info, standard_normal, uniform
from rlopt.agents.sac import SAC
from rlopt.config import IPMDConfig
from rlopt.errors import UserError
from rlopt.networks import RewardNet, Standardizer, seed_generators
from rlopt.transition import Transition

# Reward networks draw from a stream of their own: on the environment's reward IPMD then is SAC, bit for bit.
_REWARD_STREAM = 1 << 32
# Standard deviations at which standardised observations are cut off, if actor and critics see them, too.
_CLIP = 5.0
# How fast the running means of rewards and of episode ends follow, per update.
_RUNNING_MEAN_RATE = 0.005


class IPMD:
    """S independent IPMD learners behind one `update`.

    Args:
        config: the settings, the same for every seed.
        observation_size: O.
        action_size: A.
        num_seeds: S.
        seed: seed i starts from weights drawn with `seed + i`.
        device: where the networks live.
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
    ):
        self.config = config
        self.observation_size, self.action_size = observation_size, action_size
        self.num_seeds = num_seeds
        self.device = torch.device(device)

        standardizes = config.standardize_observations and not config.use_environment_reward
        clip = _CLIP if standardizes else math.inf
        self.sac = SAC(
            config,
            observation_size,
            action_size,
            num_seeds=num_seeds,
            seed=seed,
            device=device,
            standardizer=Standardizer(observation_size, clip) if standardizes else None,
        )
        self.actor, self.policy = self.sac.actor, self.sac.policy
        self.mirror_actor = deepcopy(self.actor).requires_grad_(False)  # pi_k

        hidden_sizes = config.reward_hidden_sizes or config.hidden_sizes
        generators = seed_generators(_REWARD_STREAM + seed, num_seeds)
        self.reward_net = RewardNet(
            observation_size,
            action_size,
            hidden_sizes,
            generators,
            inputs=config.reward_inputs,
            precision=config.matmul_precision,
            clip=clip,
        ).to(self.device)
        # the mean of all reward networks so far: the convergence theory of mirror descent speaks of means
        self.mean_reward_net = deepcopy(self.reward_net).requires_grad_(False)
        self.reward_weight = torch.zeros(num_seeds, device=self.device)  # of that mean, so far [S]
        self.reward_optimizer = Adam(self.reward_net.parameters(), config.reward_learning_rate)
        self.reward_generator = torch.Generator(self.device).manual_seed(_REWARD_STREAM + seed)

        # the horizon of an absorbing state: gamma + gamma^2 + ... = gamma / (1 - gamma)
        self.horizon = config.gamma / (1 - config.gamma)
        self.average_reward = torch.zeros(num_seeds, device=self.device)  # rho [S]
        self.policy_ends = torch.zeros(num_seeds, device=self.device)  # share of transitions that terminate [S]
        self.expert_ends = torch.zeros(num_seeds, device=self.device)
        # [S]: 1 / lambda or, with expert_bound, the running mean of the best reward in an expert batch
        self.highest_reward = torch.full((num_seeds,), 1 / config.value_regularizer, device=self.device)
        self.num_updates = torch.zeros((), dtype=torch.int64, device=self.device)
        self.expert_buffer: ExpertSource | None = None

    def set_expert_buffer(self, buffer: ExpertSource) -> None:
        """Take the demonstrations, an `rlopt.imitation.ExpertReplayBuffer`.

        Raises UserError if it is something else, or of another environment's shapes.
        """
        if not isinstance(buffer, ExpertSource):
            raise UserError(f"IPMD needs an ExpertReplayBuffer: wrap the {type(buffer).__name__} in one.")
        sizes, own = (buffer.observation_size, buffer.action_size), (self.observation_size, self.action_size)
        if sizes != own:
            raise UserError(
                f"The expert's data has observations of size {sizes[0]} and actions of size {sizes[1]}, "
                f"but this agent has {own[0]} and {own[1]}: they are of different environments."
            )
        self.fit_standardizers(*buffer.observation_statistics(), self.config.min_observation_std)
        self.expert_buffer = buffer

    def fit_standardizers(self, mean: Tensor, std: Tensor, min_std: float = 0.0) -> None:
        """Standardise observations with mean and standard deviation `[O]` in every network that does so."""
        sac, rewards = self.sac, (self.reward_net, self.mean_reward_net)
        for net in (self.actor, sac.mean_actor, self.mirror_actor, sac.critic, sac.target_critic, *rewards):
            if isinstance(net.standardizer, Standardizer):
                net.standardizer.fit(mean, std, min_std)

    @property
    def needs_expert(self) -> bool:
        """Whether an update learns from demonstrations."""
        return not (self.config.use_environment_reward or self.config.freeze_reward)

    @property
    def recent_share(self) -> float:
        """The share of recent data that a batch should have."""
        return self.config.recent_share if self.needs_expert else 0.0

    @property
    def optimizers(self) -> list[Adam]:
        """What takes an update's gradient steps."""
        return [*self.sac.optimizers, self.reward_optimizer]

    @property
    def generators(self) -> list[torch.Generator]:
        """What an update draws from."""
        return [*self.sac.generators, self.reward_generator]

    def sample_expert(self, num_updates: int) -> Tensor:
        """Packed expert batches `[U, S, B, D]` for U updates, all gathered at once.

        Raises UserError if there is no expert buffer.
        """
        if self.expert_buffer is None:
            raise UserError(
                "IPMD has no demonstrations to learn from: call set_expert_buffer(...) first, "
                "or set use_environment_reward=True in its config."
            )
        config = self.config
        size = max(config.expert_batch_size, round(config.expert_share * config.batch_size))
        data = self.expert_buffer.sample_stacked(self.num_seeds, num_updates * size).to(self.device)
        packed = Transition.from_tensordict(data).pack()  # [S, U*B, D]
        return packed.view(self.num_seeds, num_updates, size, -1).transpose(0, 1).contiguous()

    def update(self, batch: Transition, expert: Transition | None = None) -> Info:
        """One gradient step of every seed on a batch `[S, B]` and, from the expert buffer unless given, expert data."""
        config = self.config
        # first of all: compiled code cannot draw
        noise = standard_normal((2, *batch.action.shape), self.sac.generator)
        weight = uniform((*batch.reward.shape, 1), self.reward_generator)
        if expert is None and self.needs_expert:
            expert = Transition.unpack(self.sample_expert(1)[0], self.observation_size, self.action_size)
        self.num_updates += 1
        terminal_value: Tensor | float = 0.0
        info: Info = {}
        mixed, num_own = batch, batch.reward.shape[1]
        if not config.use_environment_reward:
            # reward step:  min_theta  E_pi[r] - E_expert[r] + psi(theta)
            batch, expert, info = self.relabel(batch, expert, weight)
            # critic and policy learn of the expert's states long before the policy gets there (SQIL, RLPD)
            mixed, num_own = (batch, num_own) if expert is None else batch.with_share_of(expert, config.expert_share)
            # what follows termination is the absorbing state, for ever
            terminal_value = self.absorbing_value()

        # policy evaluation, discounted or by the average-reward criterion:  y = r - rho + V(s')
        if config.average_reward:
            mixed = mixed.with_reward(mixed.reward - self.average_reward.unsqueeze(-1))
        gamma = 1.0 if config.average_reward else config.gamma
        bounds = self.q_bounds(terminal_value)
        info |= self.sac.evaluate_policy(mixed, noise[0], terminal_value, gamma, bounds, self.entropy_backup)

        # policy improvement:  min_pi  E[ alpha log pi - min Q ] + (1/eta) KL(pi || pi_k),  alpha by its own states
        if config.inverse_eta > 0:
            with torch.no_grad():
                mirror = self.mirror_actor(mixed.observation)
            info |= self.sac.improve_policy(mixed.observation, noise[1], mirror, config.inverse_eta, num_own)
            self.renew_mirror_policy()
        else:
            info |= self.sac.improve_policy(mixed.observation, noise[1], num_own=num_own)
        self.sac.renew_averages()

        if config.average_reward:
            # the average reward, soft if critics count entropy: rho <- rho + rate (E[r + alpha H] - rho)
            bonus = info["alpha"] * info["entropy"] if self.entropy_backup else 0.0
            self.average_reward.add_(_RUNNING_MEAN_RATE * (batch.reward.mean(-1) - self.average_reward + bonus))
        return info

    def relabel(
        self, batch: Transition, expert: Transition | None, weight: Tensor
    ) -> tuple[Transition, Transition | None, Info]:
        """Both batches with r_theta(s, a, s') in place of r, computed now and never stored, after a step of the reward.

        A frozen reward takes no step, and needs no expert.
        """
        if self.config.freeze_reward:
            with torch.no_grad():
                x = self.reward_net.features(batch.observation, batch.action, batch.next_observation)
                return batch.with_reward(self.reward_net(x)), None, {}
        assert expert is not None
        reward, expert_reward, info = self.improve_reward(batch, expert, weight)
        return batch.with_reward(reward), expert.with_reward(expert_reward), info

    def improve_reward(self, batch: Transition, expert: Transition, weight: Tensor) -> tuple[Tensor, Tensor, Info]:
        """One step of the reward networks; returns r_theta `[S, B]` of both batches, without a gradient.

        `weight`, uniform, `[S, B, 1]`, says where between the two batches the gradient penalty takes its points.
        """
        net, config = self.reward_net, self.config
        size = min(batch.reward.shape[1], expert.reward.shape[1]) // 2 or 1  # half a batch of points costs half as much
        policy_x = net.features(batch.observation, batch.action, batch.next_observation)  # [S, B, F]
        expert_x = net.features(expert.observation, expert.action, expert.next_observation)
        rewards = net(torch.cat([policy_x, expert_x], dim=1))
        policy_reward, expert_reward = rewards.split([policy_x.shape[1], expert_x.shape[1]], dim=1)
        reward_loss = losses.reward_loss(policy_reward, expert_reward, config.value_regularizer)
        info = {
            "reward_policy": policy_reward.detach().mean(-1),
            "reward_expert": expert_reward.detach().mean(-1),
            "reward_loss": reward_loss.detach(),
        }

        if config.gradient_penalty > 0:
            x = losses.interpolate(policy_x[:, :size], expert_x[:, :size], weight[:, :size])
            penalty = losses.gradient_penalty(net.input_gradient(x), config.reward_slope)
            reward_loss = reward_loss + config.gradient_penalty * penalty
            info["gradient_penalty"] = penalty.detach()
        self.reward_optimizer.minimize(reward_loss)
        self.average_reward_nets(expert_reward.mean(-1) - policy_reward.mean(-1))

        self.policy_ends.lerp_(batch.terminated.mean(-1), _RUNNING_MEAN_RATE)
        self.expert_ends.lerp_(expert.terminated.mean(-1), _RUNNING_MEAN_RATE)
        if config.expert_bound:
            best = expert_reward.detach().amax(-1).clamp_max(1 / config.value_regularizer)
            self.highest_reward.lerp_(best, _RUNNING_MEAN_RATE)
        return policy_reward.detach(), expert_reward.detach(), info

    def q_bounds(self, terminal_value: Tensor | float) -> losses.QBounds | None:
        """What rewards within +-1/lambda add up to, discounted; critics that know better are wrong (LS-IQ, 2303.00599).

        With `expert_bound` it is at most what the expert's best transition adds up to, or what the end of an episode is worth,
        `terminal_value`. Entropy, where it counts, has no lower bound, and what it adds above is left out. The environment's
        reward may be anything, and without a discount there are no bounds.
        """
        config = self.config
        if config.use_environment_reward or config.average_reward:
            return None
        least = -math.inf if self.entropy_backup else -1 / config.value_regularizer / (1 - config.gamma)
        most = self.highest_reward / (1 - config.gamma)
        return least, most.unsqueeze(-1).clamp_min(terminal_value)

    @property
    def entropy_backup(self) -> bool:
        """Whether critics count the policy's entropy, as SAC's do."""
        return self.config.entropy_backup or self.config.use_environment_reward

    def absorbing_value(self) -> Tensor | float:
        """V of the absorbing state `[S, 1]`: its reward r_abs for ever, discounted or above the average reward."""
        config = self.config
        if not config.absorbing_states:
            return 0.0
        r_abs = losses.absorbing_reward(self.expert_ends, self.policy_ends, self.horizon, config.value_regularizer)
        if config.average_reward:  # undiscounted, for ever would be infinitely long: as long as the discount's horizon
            return (self.horizon * (r_abs - self.average_reward)).unsqueeze(-1)
        return (r_abs / (1 - config.gamma)).unsqueeze(-1)

    @torch.no_grad()
    def average_reward_nets(self, margin: Tensor) -> None:
        """Add the reward networks to their mean, each with the margin `[S]` by which it prefers the expert.

        The last reward flattens where the policy has caught up with the expert, and says little; the mean keeps what was
        learned on the way.
        """
        weight = margin.clamp_min(0)
        self.reward_weight += weight
        share = (weight / self.reward_weight.clamp_min(1e-12)).view(-1, 1, 1)  # parameters are [S, in, out]
        for mean, new in zip(self.mean_reward_net.parameters(), self.reward_net.parameters(), strict=True):
            mean.lerp_(new, share)

    @torch.no_grad()
    def renew_mirror_policy(self) -> None:
        """pi_k <- pi at every `mirror_period`-th update, decided on the device: a captured graph has no branches."""
        renew = self.num_updates % self.config.mirror_period == 0
        for old, new in zip(self.mirror_actor.parameters(), self.actor.parameters(), strict=True):
            old.copy_(torch.where(renew, new, old))

    @torch.no_grad()
    def reward(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """The learned reward `[S, B]` of transitions `[S, B, .]`: that of the networks' mean over training."""
        net = self.mean_reward_net
        return net(net.features(observation, action, next_observation))

    def take_reward(self, teacher: IPMD) -> None:
        """Copy the reward of a trained IPMD, and what it makes of episodes that end."""
        for net in (self.reward_net, self.mean_reward_net):
            net.load_state_dict(teacher.mean_reward_net.state_dict())
        self.fit_standardizers(self.reward_net.standardizer.mean, self.reward_net.standardizer.std)
        for name in ("policy_ends", "expert_ends"):
            getattr(self, name).copy_(getattr(teacher, name))

    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from, the demonstrations excepted; tensors and primitives only."""
        return {
            "sac": self.sac.state_dict(),
            "mirror_actor": self.mirror_actor.state_dict(),
            "reward_net": self.reward_net.state_dict(),
            "mean_reward_net": self.mean_reward_net.state_dict(),
            "reward_optimizer": self.reward_optimizer.state_dict(),
            "reward_generator": self.reward_generator.get_state(),
            **{name: getattr(self, name) for name in self._RUNNING},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.sac.load_state_dict(state["sac"])
        for name in ("mirror_actor", "reward_net", "mean_reward_net", "reward_optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.reward_generator.set_state(state["reward_generator"].cpu())
        for name in self._RUNNING:
            getattr(self, name).copy_(state[name])

    _RUNNING = ("average_reward", "reward_weight", "policy_ends", "expert_ends", "highest_reward", "num_updates")
