"""What the tests of IPMD's parts share: a small agent, and its sizes."""

import torch

from rlopt.agents import IPMD, FrozenReward, LearnedReward
from rlopt.config import IPMDConfig

S, B, O, A = 2, 8, 3, 1  # noqa: E741


def configure(**settings):
    return IPMDConfig(**{"hidden_sizes": (8, 8), "learning_rate": 1e-3, "gamma": 0.9, **settings})


def build(seed=0, num_seeds=S, reward=None, **settings):
    return IPMD(configure(**settings), O, A, num_seeds=num_seeds, seed=seed, reward=reward)


def learned_reward(seed=0, num_seeds=S, **settings):
    return LearnedReward(configure(**settings), O, A, num_seeds=num_seeds, seed=seed)


def build_frozen(seed=0, taken=None, **settings):
    """An agent on a frozen reward: that of the LearnedReward `taken`, or an untrained one."""
    state = (taken or learned_reward(seed, **settings)).state_dict()
    return build(seed, reward=FrozenReward(configure(**settings), O, A, state), **settings)


def network_of(reward):
    """The network whose output an update learns from."""
    return reward.net if reward.needs_expert else reward.scoring_net


def scale_reward(agent, factor):
    """Multiply the reward network's output."""
    with torch.no_grad():
        for parameter in network_of(agent.reward).mlp.layers[-1].parameters():
            parameter *= factor


def constant_reward(agent, value):
    scale_reward(agent, 0.0)
    network_of(agent.reward).mlp.layers[-1].bias.data.fill_(value)


def set_reward_rate(reward, learning_rate):
    """Let the reward learn faster or slower than it does."""
    reward.optimizer.learning_rate.fill_(learning_rate)
