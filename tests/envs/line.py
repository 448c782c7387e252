"""A point on a line, with two observations and one action, that tests change one thing of."""

import gymnasium as gym
import numpy as np


class Line(gym.Env):
    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    open_now = 0

    def __init__(self, goal=0.0):
        self.goal = goal
        self.is_open = True
        Line.open_now += 1

    def look(self):
        return np.array([self.x, self.v], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.v = self.np_random.uniform(-1, 1), 0.0
        return self.look(), {}

    def step(self, action):
        self.v = 0.9 * self.v + 0.1 * float(action[0])
        self.x += self.v
        return self.look(), -abs(self.x - self.goal), False, False, {}

    def close(self):
        Line.open_now -= self.is_open
        self.is_open = False


class Spoilt(Line):
    """Fails in its fifth episode."""

    def reset(self, **how):
        self.number = getattr(self, "number", 0) + 1
        if self.number == 5:
            raise RuntimeError("the simulator is gone")
        return super().reset(**how)


gym.register("rlopt-test/Line-v0", entry_point=Line, max_episode_steps=20)
