#!/usr/bin/env bash
# TorchRL 0.14.1 (gymnasium 1.4.0): of an environment that returns its observation in the same array every time, a rollout holds the last one only.
#
# A good guess: GymWrapper copies what a gymnasium environment returns, as stable-baselines3's buffer and gymnasium's vector environments do, so that an
# environment may fill one array of its own again and again. But the tensor of an observation is that array, and rollout() and Collector keep the tensors
# of all steps and stack them at the end. All rows of a batch, observation and next observation alike, are then the state after the last step; in batches of
# one step, an observation equals its next one. Rewards and flags are right, shapes too, and nothing warns: a policy or a critic is trained on
# transitions that do not move. A SerialEnv copies, also of one environment, and is right. What works otherwise: an environment that
# returns copies. (TorchRL's own environments make new tensors.)
#
# Run: bash findings/torchrl_rollout_of_one_array.sh    (needs the package index; some minutes, 1 GB in a temporary folder)
# Output seen, of an environment that counts its steps; observations, and the next ones:
#     a new array each time, rollout: [0, 1, 2, 3] and [1, 2, 3, 4]
#     a new array each time, Collector: [0, 1, 2, 3] and [1, 2, 3, 4]
#     a new array each time, Collector of single steps: [0, 1, 2, 3] and [1, 2, 3, 4]
#     a new array each time, SerialEnv of one: [0, 1, 2, 3] and [1, 2, 3, 4]
#     one array, rollout: [4, 4, 4, 4] and [4, 4, 4, 4]
#     one array, Collector: [4, 4, 4, 4] and [4, 4, 4, 4]
#     one array, Collector of single steps: [1, 2, 3, 4] and [1, 2, 3, 4]
#     one array, SerialEnv of one: [0, 1, 2, 3] and [1, 2, 3, 4]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torchrl==0.14.1 tensordict==0.14.3 torch==2.13.0 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - 2> log <<'PYTHON' || { cat log; exit 1; }
import gymnasium
import numpy as np
import torch
from torchrl.collectors import Collector
from torchrl.envs import GymWrapper, SerialEnv


class Counter(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-100, 100, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, one_array):
        self.count, self.one_array = np.zeros(1, np.float32), one_array

    def observation(self):
        return self.count if self.one_array else self.count.copy()

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.count[:] = 0
        return self.observation(), {}

    def step(self, action):
        self.count += 1
        return self.observation(), 1.0, False, False, {}


moved = [[0, 1, 2, 3], [1, 2, 3, 4]]
for one_array in (False, True):
    make = lambda: GymWrapper(Counter(one_array))
    batches = {
        "rollout": lambda: make().rollout(4),
        "Collector": lambda: next(iter(Collector(make(), None, frames_per_batch=4, total_frames=4))),
        "Collector of single steps": lambda: torch.cat([batch.clone() for batch in Collector(make(), None, frames_per_batch=1, total_frames=4)]),
        "SerialEnv of one": lambda: SerialEnv(1, make).rollout(4),
    }
    for name, batch in batches.items():
        batch = batch()
        found = [batch[key].int().ravel().tolist() for key in ("observation", ("next", "observation"))]
        print(f"{'one array' if one_array else 'a new array each time'}, {name}: {found[0]} and {found[1]}")
        still = {"rollout": [[4] * 4] * 2, "Collector": [[4] * 4] * 2, "Collector of single steps": [[1, 2, 3, 4]] * 2}
        assert found == (still.get(name, moved) if one_array else moved), found
PYTHON
