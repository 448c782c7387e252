#!/usr/bin/env bash
# imitation 1.0.1: SQIL keeps the expert's actions in the environment's units and the learner's in [-1, 1], in one batch.
#
# A good guess: SQIL(venv, demonstrations, policy) on Pendulum-v1, whose actions lie in [-2, 2], shows its critics the expert's actions in
# the units of the learner's. But stable-baselines3 stores a learner's actions scaled to [-1, 1], and SQIL's buffer adds
# the demonstrations as they are. So an expert's torque of 2 is stored as 2, where the learner's own 2 is stored as 1, and half of every batch
# has actions that the policy cannot take. With bounds of -1 and 1 nothing differs; elsewhere RescaleAction around the environment,
# before the demonstrations are recorded, avoids it.
#
# Run: bash findings/imitation_sqil_mixes_action_units.sh    (needs the package index; some minutes, 2 GB in a temporary folder)
# Output seen:
#     largest action: learner's in the buffer 1.0, in the environment 2.0; demonstrations given 2.0, in the buffer 2.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install imitation==1.0.1 stable-baselines3==2.2.1 gymnasium==0.29.1 torch==2.13.0 "numpy<2" "setuptools<80"
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium as gym
import numpy as np
from imitation.algorithms.sqil import SQIL
from imitation.data.types import Transitions
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import DummyVecEnv

taken = []


class Told(gym.Wrapper):
    def step(self, action):
        taken.append(float(np.abs(action).max()))
        return self.env.step(action)


env = gym.make("Pendulum-v1")
env.action_space.seed(0)
observation, _ = env.reset(seed=0)
rows = []
for _ in range(200):
    action = env.action_space.sample()
    following, _, _, _, _ = env.step(action)
    rows.append((observation, action, following))
    observation = following
observations, actions, following = (np.stack(column) for column in zip(*rows))
actions[0] = 2.0  # an action at the bound
ends = np.zeros(len(rows), bool)
demonstrations = Transitions(observations, actions, np.array([{}] * len(rows)), following, ends)

venv = DummyVecEnv([lambda: Told(gym.make("Pendulum-v1"))])
learner = SQIL(
    venv=venv, demonstrations=demonstrations, policy="MlpPolicy", rl_algo_class=SAC,
    rl_kwargs={"seed": 0, "learning_starts": 300, "device": "cpu"},
)
learner.train(total_timesteps=250)
buffer = learner.rl_algo.replay_buffer
own = np.abs(buffer.actions).max()
expert = np.abs(buffer.expert_buffer.actions).max()
numbers = tuple(round(float(x), 1) for x in (own, max(taken), np.abs(actions).max(), expert))
print("largest action: learner's in the buffer {}, in the environment {}; demonstrations given {}, in the buffer {}".format(*numbers))
assert numbers == (1.0, 2.0, 2.0, 2.0)
PYTHON
