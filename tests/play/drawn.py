"""An environment that draws what step it is at, without any package."""

import gymnasium as gym
import numpy as np

LENGTH = 5
DRAWN = "rlopt-test/Drawn-v0"


class Drawn(gym.Env):
    """Observes (t, seed of the reset, the last action); rewards are t, steps 3 and 4 successes, and t is drawn in grey 40 t."""

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 10}  # noqa: RUF012
    observation_space = gym.spaces.Box(-np.inf, np.inf, (3,), np.float64)
    action_space = gym.spaces.Box(-2.0, 2.0, (1,))
    shown = 0  # in windows

    def __init__(self, render_mode=None, size=(6, 8)):
        self.render_mode, self.size = render_mode, size

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.start = 0, float(seed % 1000)
        return self.observe(0.0)

    def observe(self, action):
        Drawn.shown += self.render_mode == "human"
        return np.array([self.t, self.start, action]), {"success": self.t in (3, 4)}

    def step(self, action):
        self.t += 1
        observation, info = self.observe(action[0])
        return observation, float(self.t), self.t == LENGTH, False, info

    def render(self):
        return np.full((*self.size, 3), 40 * self.t, np.uint8)


class Blank(Drawn):
    """Has no way to draw."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self):
        super().__init__()


class Broken(Drawn):
    """Cannot draw here."""

    def render(self):
        raise RuntimeError("No OpenGL backend could be imported.\nIt is a pity")


gym.register(DRAWN, entry_point=Drawn, max_episode_steps=9)
gym.register("rlopt-test/Blank-v0", entry_point=Blank, max_episode_steps=9)
gym.register("rlopt-test/Broken-v0", entry_point=Broken, max_episode_steps=9)
