"""An environment whose every number is known. Loads no torch: processes that step it begin quickly."""

import gymnasium as gym
import numpy as np

COUNTER = "rlopt-test/Counter-v0"
COUNTER_LIMIT = 7


class CounterEnv(gym.Env):
    """After step t: observation (t, episode number, first action in the environment's units), reward t.

    Terminates at step 4 of every even-numbered episode; odd ones run into the time limit of 7 steps.
    """

    observation_space = gym.spaces.Box(-np.inf, np.inf, (3,), np.float64)
    action_space = gym.spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([3.0, 10.0], np.float32))

    def __init__(self) -> None:
        self.t, self.episode = 0, -1

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        self.t, self.episode = 0, self.episode + 1
        return np.array([0.0, self.episode, 0.0]), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.t += 1
        observation = np.array([self.t, self.episode, action[0]], np.float64)
        return observation, float(self.t), self.episode % 2 == 0 and self.t == 4, False, {}


gym.register(COUNTER, entry_point=CounterEnv, max_episode_steps=COUNTER_LIMIT)
