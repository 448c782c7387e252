"""Model files for the tests of what uses them."""

import numpy as np
import torch

from rlopt.agents import METHODS
from rlopt.agents.saving import save_agent

SMALL = {"hidden_sizes": (8, 8)}
LOW, HIGH = np.array([-1.0, 0.0], np.float32), np.array([3.0, 10.0], np.float32)
BOUNDS = {"action_low": torch.tensor(LOW), "action_high": torch.tensor(HIGH)}
SEEDS = [42, 43, 44]


def build(kind="sac", observation_size=3, action_size=2, num_seeds=3, **settings):
    """An agent with random weights, and observations of the size of 10 scaled where it scales them."""
    method = METHODS[kind]
    agent = method.agent(method.config(**SMALL, **settings), observation_size, action_size, num_seeds=num_seeds, seed=1)
    agent.fit_standardizers(torch.full((observation_size,), 2.0), torch.full((observation_size,), 10.0))
    return agent


def save(path, agent, env_id="nowhere:Unknown-v0", seeds=SEEDS, **extra):
    save_agent(path, agent, env_id, seeds, **{**BOUNDS, **extra})
    return path


def pendulum(folder):
    torque = {"action_low": torch.tensor([-2.0]), "action_high": torch.tensor([2.0])}
    return save(folder / "pendulum.pt", build(action_size=1), "Pendulum-v1", max_episode_steps=200, **torque)
