"""What IPMD optimises its policy against: a reward that is learned, one that was learned before, or the environment's."""

import math
from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor

from rlopt import losses
from rlopt.agents.adam import Adam
from rlopt.agents.agent import Metrics
from rlopt.agents.common import required
from rlopt.agents.noise import uniform_like
from rlopt.config import IPMDConfig
from rlopt.networks import RewardNet, seed_generators
from rlopt.states import check_form, check_tensor, set_generator
from rlopt.transition import Transition

REWARD_STREAM = 1 << 32
"""Reward networks draw from a stream of their own: on the environment's reward IPMD then is SAC, bit for bit."""
RUNNING_MEAN_RATE = 0.005
"""Step of the running means of rewards and of terminations, per update."""
_LEARNING_RATE = 3e-4
CLIP = 5.0
"""Standard deviations at which standardised observations are clipped, if actor and critics see them, too."""

Relabelled = tuple[Transition, Transition | None, Metrics]
"""The policy's batch and the expert's with the reward of now, and what the step reported."""


class Reward:
    """What an IPMD update asks of a reward. The defaults are those of one that does not learn and has no bounds."""

    needs_expert = False
    optimizers: Sequence[Adam] = ()
    """What takes its gradient steps."""
    generators: Sequence[torch.Generator] = ()
    """What `draw` draws from."""

    def draw(self, batch: Transition) -> Tensor | None:
        """The noise of one `update`."""
        return None

    def update(self, batch: Transition, expert: Transition | None, noise: Tensor | None) -> Relabelled:
        """One step, if it learns, and both batches with r(s, a, s') in place of their reward: computed now, never stored."""
        return batch, None, {}

    def absorbing_value(self, rho: Tensor) -> Tensor | float:
        """V `[S, 1]` of the absorbing state that follows a termination; `rho` `[S]`, the average reward."""
        return 0.0

    def q_bounds(self, terminal_value: Tensor | float) -> losses.QBounds | None:
        """Between what target critics are clipped, given the value of an end; None: no bounds."""
        return None

    def fit_standardizer(self, mean: Tensor, std: Tensor) -> None:
        """Take mean and standard deviation `[O]` of the expert's observations."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors and primitives."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""


class EnvironmentReward(Reward):
    """The environment's own reward: with inverse_eta = 0, IPMD then is SAC, bit for bit."""


class DiscriminatingReward(Reward):
    """A reward whose networks learn to tell the expert's transitions from the policy's, with a gradient penalty."""

    needs_expert = True
    name = "the reward"
    """For messages."""
    parts: ClassVar[tuple[str, ...]]
    """Names of networks and optimiser."""
    running: ClassVar[tuple[str, ...]]
    """Names of tensors `[S]`."""

    def __init__(self, net: RewardNet, learning_rate: float, num_seeds: int, seed: int, device: torch.device | str):
        self.net, self.optimizer = net, Adam(net.parameters(), learning_rate)
        self.generator = torch.Generator(device).manual_seed(REWARD_STREAM + seed)
        self.optimizers, self.generators = [self.optimizer], [self.generator]
        self.policy_termination_rate = torch.zeros(num_seeds, device=device)
        self.expert_termination_rate = torch.zeros(num_seeds, device=device)

    def draw(self, batch: Transition) -> Tensor:
        """Weights `[S, B, 1]`, uniform: where between the two batches the gradient penalty is taken."""
        return uniform_like(batch.reward, self.generator)

    def update_termination_rates(self, batch: Transition, expert: Transition) -> None:
        """Running means `[S]` of the share of each side's transitions that terminate."""
        self.policy_termination_rate.lerp_(batch.terminated.mean(-1), RUNNING_MEAN_RATE)
        self.expert_termination_rate.lerp_(expert.terminated.mean(-1), RUNNING_MEAN_RATE)

    def state_dict(self) -> dict[str, Any]:
        """Everything that training goes on from; tensors and primitives only."""
        parts = {name: getattr(self, name).state_dict() for name in self.parts}
        running = {name: getattr(self, name) for name in self.running}
        return {**parts, "generator": self.generator.get_state(), **running}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned. Raises ValueError if it is of other networks."""
        check_form(state, self.state_dict(), self.name)
        for name in self.parts:
            getattr(self, name).load_state_dict(state[name])
        set_generator(self.generator, state["generator"])
        for name in self.running:
            getattr(self, name).copy_(state[name])


class _NetworkReward(Reward):
    """What the learned and the frozen reward share: networks that score, and what follows the end of an episode."""

    config: IPMDConfig
    scoring_net: RewardNet
    policy_termination_rate: Tensor
    """Share of the policy's transitions that terminate `[S]`, a running mean."""
    expert_termination_rate: Tensor
    """Likewise of the expert's."""
    highest_reward: Tensor
    """r_max `[S]`: 1 / lambda or, with expert_bound, the running mean of the highest reward in an expert batch."""

    @torch.no_grad()
    def __call__(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """The learned reward `[S, B]` of transitions `[S, B, .]`: that of the networks' mean over training."""
        return self.scoring_net(self.scoring_net.features(observation, action, next_observation))

    def absorbing_value(self, rho: Tensor) -> Tensor | float:
        """The absorbing state's reward r_abs for ever, discounted or above the average reward."""
        config = self.config
        if not config.absorbing_states:
            return 0.0
        horizon = config.gamma / (1 - config.gamma)  # gamma + gamma^2 + ...
        rates = (self.expert_termination_rate, self.policy_termination_rate)
        r_abs = losses.absorbing_reward(*rates, horizon, config.value_regularizer)
        if config.average_reward:  # undiscounted, for ever would be infinitely long: as long as the discount's horizon
            return (horizon * (r_abs - rho)).unsqueeze(-1)
        return (r_abs / (1 - config.gamma)).unsqueeze(-1)

    def q_bounds(self, terminal_value: Tensor | float) -> losses.QBounds | None:
        """The discounted sums of rewards within -1/lambda and r_max (LS-IQ, 2303.00599); None without a discount.

        The upper bound is at least `terminal_value`. Entropy, where critics count it, has no lower bound, and what it adds
        above is left out.
        """
        config = self.config
        if config.average_reward:
            return None
        least = -math.inf if config.entropy_backup else -1 / config.value_regularizer / (1 - config.gamma)
        most = self.highest_reward / (1 - config.gamma)
        return least, most.unsqueeze(-1).clamp_min(terminal_value)


class LearnedReward(DiscriminatingReward, _NetworkReward):
    """Reward networks of S seeds that learn to tell the expert's transitions from the policy's."""

    parts = ("net", "scoring_net", "optimizer")
    running = ("mean_weight", "policy_termination_rate", "expert_termination_rate", "highest_reward")

    def __init__(
        self,
        config: IPMDConfig,
        observation_size: int,
        action_size: int,
        *,
        num_seeds: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        self.config = config
        generators = seed_generators(REWARD_STREAM + seed, num_seeds)
        net = make_reward_net(config, observation_size, action_size, config.hidden_sizes, generators).to(device)
        super().__init__(net, _LEARNING_RATE, num_seeds, seed, device)
        # the mean of all reward networks so far: the convergence theory of mirror descent is about means
        self.scoring_net = deepcopy(self.net).requires_grad_(False)
        self.mean_weight = torch.zeros(num_seeds, device=device)  # [S]
        self.highest_reward = torch.full((num_seeds,), 1 / config.value_regularizer, device=device)

    def update(self, batch: Transition, expert: Transition | None, noise: Tensor | None) -> Relabelled:
        """One step of  min_theta  E_pi[r] - E_expert[r] + psi(theta); returns r_theta of both batches from before it."""
        expert, net, config = required(expert, "IPMD"), self.net, self.config
        assert noise is not None
        size = min(batch.reward.shape[1], expert.reward.shape[1]) // 2 or 1  # half a batch of points costs half as much
        policy_x = net.features(batch.observation, batch.action, batch.next_observation)  # [S, B, F]
        expert_x = net.features(expert.observation, expert.action, expert.next_observation)
        rewards = net(torch.cat([policy_x, expert_x], dim=1))
        policy_reward, expert_reward = rewards.split([policy_x.shape[1], expert_x.shape[1]], dim=1)
        reward_loss = losses.reward_loss(policy_reward, expert_reward, config.value_regularizer)
        metrics = {
            "reward_policy": policy_reward.detach().mean(-1),
            "reward_expert": expert_reward.detach().mean(-1),
            "reward_loss": reward_loss.detach(),
        }
        if config.gradient_penalty > 0:
            x = losses.interpolate(policy_x[:, :size], expert_x[:, :size], noise[:, :size])
            penalty = losses.gradient_penalty(net.input_gradient(x), config.lipschitz_constant)
            reward_loss = reward_loss + config.gradient_penalty * penalty
            metrics["gradient_penalty"] = penalty.detach()
        self.optimizer.minimize(reward_loss)
        self.update_scoring_net(expert_reward.mean(-1) - policy_reward.mean(-1))
        self.update_running_means(batch, expert, expert_reward.detach())
        relabelled = batch.with_reward(policy_reward.detach()), expert.with_reward(expert_reward.detach())
        return *relabelled, metrics

    @torch.no_grad()
    def update_scoring_net(self, margin: Tensor) -> None:
        """Add the reward networks to their mean, each with the margin `[S]` by which it prefers the expert.

        The last reward flattens where the policy has caught up with the expert; the mean keeps what was learned before.
        """
        weight = margin.clamp_min(0)
        self.mean_weight += weight
        share = (weight / self.mean_weight.clamp_min(1e-12)).view(-1, 1, 1)  # parameters are [S, in, out]
        for mean, new in zip(self.scoring_net.parameters(), self.net.parameters(), strict=True):
            mean.lerp_(new, share)

    def update_running_means(self, batch: Transition, expert: Transition, expert_reward: Tensor) -> None:
        """Termination rates `[S]` of both sides and, with `expert_bound`, the expert's highest reward `[S]`."""
        self.update_termination_rates(batch, expert)
        if self.config.expert_bound:
            highest = expert_reward.amax(-1).clamp_max(1 / self.config.value_regularizer)
            self.highest_reward.lerp_(highest, RUNNING_MEAN_RATE)

    def fit_standardizer(self, mean: Tensor, std: Tensor) -> None:
        """Standardise observations with mean and standard deviation `[O]`."""
        for net in (self.net, self.scoring_net):
            net.standardizer.fit(mean, std, self.config.min_observation_std)


class FrozenReward(_NetworkReward):
    """A reward that was learned, and stays as it is: new learners on it alone show what it is worth.

    `state` is the `state_dict` of a `LearnedReward` or a `FrozenReward`, whatever the widths of its networks.
    """

    def __init__(
        self,
        config: IPMDConfig,
        observation_size: int,
        action_size: int,
        state: dict[str, Any],
        device: torch.device | str = "cpu",
    ):
        self.config = config
        weights = [value for name, value in state["scoring_net"].items() if name.endswith("weight")]  # [S, in, out]
        hidden = tuple(weight.shape[-1] for weight in weights[:-1])
        for before, weight in pairwise(weights):  # else networks of any size would be made
            check_tensor(weight, "a weight of the reward", (len(before), before.shape[-1], None))
        net = make_reward_net(config, observation_size, action_size, hidden, seed_generators(0, len(weights[0])))
        self.scoring_net = net.to(device).requires_grad_(False)
        for name in self._RATES:
            check_tensor(state[name], name, (len(weights[0]),))
            setattr(self, name, state[name].clone().to(device))
        self.highest_reward = torch.full_like(self.policy_termination_rate, 1 / config.value_regularizer)
        self.load_state_dict(state)

    def update(self, batch: Transition, expert: Transition | None, noise: Tensor | None) -> Relabelled:
        """The policy's batch with the learned reward."""
        return batch.with_reward(self(batch.observation, batch.action, batch.next_observation)), None, {}

    def state_dict(self) -> dict[str, Any]:
        """Tensors and primitives."""
        return {"scoring_net": self.scoring_net.state_dict(), **{name: getattr(self, name) for name in self._RATES}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        check_form({name: state[name] for name in self.state_dict()}, self.state_dict(), "the reward")
        self.scoring_net.load_state_dict(state["scoring_net"])
        for name in self._RATES:
            getattr(self, name).copy_(state[name])

    _RATES = ("policy_termination_rate", "expert_termination_rate")


def make_reward_net(
    config: IPMDConfig,
    observation_size: int,
    action_size: int,
    hidden_sizes: tuple[int, ...],
    generators: list[torch.Generator],
) -> RewardNet:
    """Reward networks of one seed a generator."""
    return RewardNet(
        observation_size,
        action_size,
        hidden_sizes,
        generators,
        inputs=config.reward_inputs,
        precision=config.matmul_precision,
        clip=CLIP if config.standardize_observations else math.inf,
    )
