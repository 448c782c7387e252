"""What the tests of IPMD's parts share: a small agent, and its sizes."""

import torch

from rlopt.agents import IPMD
from rlopt.config import IPMDConfig

S, B, O, A = 2, 8, 3, 1  # noqa: E741


def build(seed=0, num_seeds=S, **settings):
    config = IPMDConfig(**{"hidden_sizes": (8, 8), "learning_rate": 1e-3, "gamma": 0.9, **settings})
    return IPMD(config, O, A, num_seeds=num_seeds, seed=seed)


def scale_reward(agent, factor):
    """Multiply the reward network's output."""
    with torch.no_grad():
        for parameter in agent.reward_net.mlp.layers[-1].parameters():
            parameter *= factor


def constant_reward(agent, value):
    scale_reward(agent, 0.0)
    agent.reward_net.mlp.layers[-1].bias.data.fill_(value)
