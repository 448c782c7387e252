"""Environments whose recordings the tests write down by hand."""

import gymnasium as gym
import numpy as np


class Push(gym.Env):
    """Two observations, one action in [0, 3]; the reward is -1."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    low, high = 0.0, 3.0

    def __init__(self, goal=0.0):
        self.goal = goal
        self.action_space = gym.spaces.Box(self.low, self.high, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.random(2).astype(np.float32), {}

    def step(self, action):
        return self.np_random.random(2).astype(np.float32), -1.0, False, False, {}


class Lopsided(Push):
    """A dict whose space has the order a, b."""

    observation_space = gym.spaces.Dict(
        {"b": gym.spaces.Box(-9, 9, (1,), np.float32), "a": gym.spaces.Box(-9, 9, (2,), np.float32)}
    )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.look(), {}

    def look(self):
        return {"b": self.np_random.random(1).astype(np.float32), "a": self.np_random.random(2).astype(np.float32)}

    def step(self, action):
        return self.look(), -1.0, False, False, {}
