#!/usr/bin/env bash
# gymnasium 1.4.0: NormalizeReward's return runs on across a time limit, so the same episodes get another scale in each autoreset mode.
#
# A good guess: NormalizeReward divides rewards by the deviation of the discounted return, which starts anew in each episode. For the
# single environment, and for vector environments in the mode NEXT_STEP (the default), it starts anew at a final state only, never at a
# time limit: an environment without final states (Pendulum, HalfCheetah) has one return without end. At a final state it starts anew one step
# early: the last reward forgets the return before it and is carried into the next episode. In the mode SAME_STEP the vector wrapper
# starts anew at both. So the same rewards come out several times larger or smaller there.
#
# Below: episodes of ten rewards of 1, ended by a time limit, or by a fall with a reward of -100 in the last step.
#
# Run: bash findings/gymnasium_normalize_reward_runs_on.sh    (needs the package index; a minute, in a temporary folder)
# Output seen:
#     time limit: deviation by hand 2.73; single 14.89, NEXT_STEP 14.89, SAME_STEP 2.73
#     fall of -100: deviation by hand 28.99; single 8.47, NEXT_STEP 8.47, SAME_STEP 31.55
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import NormalizeReward
from gymnasium.wrappers.vector import NormalizeReward as NormalizeVectorReward

STEPS, EPISODES, GAMMA = 10, 200, 0.99


class Ten(gym.Env):
    observation_space = action_space = gym.spaces.Box(-1, 1, (1,))

    def __init__(self, last_reward=None):
        self.last_reward = last_reward

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        end, fall = self.steps == STEPS, self.last_reward is not None
        return np.zeros(1, np.float32), self.last_reward if end and fall else 1.0, end and fall, end and not fall, {}


def by_hand(last_reward):
    rewards = [1.0] * (STEPS - 1) + [1.0 if last_reward is None else last_reward]
    total, returns = 0.0, []
    for reward in rewards:
        total = GAMMA * total + reward
        returns.append(total)
    return np.std(returns)


def single(last_reward):
    env = NormalizeReward(Ten(last_reward), gamma=GAMMA)
    for _ in range(EPISODES):
        env.reset()
        for _ in range(STEPS):
            env.step(np.zeros(1, np.float32))
    return np.sqrt(env.return_rms.var)


def vector(last_reward, mode):
    env = NormalizeVectorReward(SyncVectorEnv([lambda: Ten(last_reward)], autoreset_mode=mode), gamma=GAMMA)
    env.reset()
    for _ in range(EPISODES * (STEPS + (mode == AutoresetMode.NEXT_STEP))):
        env.step(np.zeros((1, 1), np.float32))
    return np.sqrt(env.return_rms.var)


def compare(name, last_reward):
    modes = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP
    numbers = [by_hand(last_reward), single(last_reward), *(vector(last_reward, mode) for mode in modes)]
    print("{}: deviation by hand {:.2f}; single {:.2f}, NEXT_STEP {:.2f}, SAME_STEP {:.2f}".format(name, *numbers))
    return [round(float(number), 2) for number in numbers]


assert compare("time limit", None) == [2.73, 14.89, 14.89, 2.73]
assert compare("fall of -100", -100.0) == [28.99, 8.47, 8.47, 31.55]
PYTHON
