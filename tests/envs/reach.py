"""A line whose `info` says whether an episode was a success, at steps that tests choose."""

import gymnasium as gym
import numpy as np

from .line import Line


class Reach(Line):
    """Succeeds at the steps `hits` while the action is positive; every step costs 1, so that rewards are constant.

    Args:
        key: under which it is told; "both" is `is_success`, and `success` never.
        hits: the steps, counted from 1.
        when: it is told "always", "at the end" of an episode only, or "if true" only.
        ends: the step after which an episode is over; None: never.
    """

    def __init__(self, key="is_success", hits=(5,), when="always", ends=5):
        super().__init__()
        self.key, self.hits, self.when, self.ends = key, hits, when, ends

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return super().reset(seed=seed, options=options)

    def step(self, action):
        observation, *_ = super().step(action)
        self.t += 1
        hit = self.t in self.hits and action[0] > 0
        over = self.t == self.ends
        told = {"always": True, "at the end": over, "if true": hit}[self.when]
        if self.key == "both":
            info = {"is_success": hit, "success": True}
        else:
            info = {self.key: np.array([hit], np.float32)} if told else {}
        return observation, -1.0, over, False, info


gym.register("rlopt-test/Reach-v0", entry_point=Reach, max_episode_steps=20)
