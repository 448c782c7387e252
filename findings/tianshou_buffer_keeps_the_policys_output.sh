#!/usr/bin/env bash
# tianshou 2.0.1: the actions in a collector's buffer are the policy's outputs, not what the environment got.
#
# A good guess: (obs, act, obs_next) in a replay buffer is what happened: act, done in obs, leads to obs_next. But the collector stores what
# the policy returned, before it is clipped (or squashed by tanh) to [-1, 1] and scaled to the bounds of the action space, which is
# the default of its policies for a Box. For Pendulum-v1, whose torque lies in [-2, 2], a stored 0.5 was a torque of 1, and a stored 3 one of 2. So who
# clones the buffer's actions, saves it as demonstrations (save_hdf5) or fits dynamics to it gets wrong actions without a word, and the
# file does not say which mapping there was. policy.map_action(act) gives the action that was taken.
#
# Run: bash findings/tianshou_buffer_keeps_the_policys_output.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen: torques that Pendulum's own equation of motion gives for (obs, obs_next), of a policy that returns 0.5 and 3 in turn:
#     stored: [0.5, 3.0, 0.5, 3.0]
#     torque: [1.0, 2.0, 1.0, 2.0]
#     map_action: [1.0, 2.0, 1.0, 2.0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install tianshou==2.0.1 torch==2.13.0 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import gymnasium
import numpy as np
from tianshou.algorithm.algorithm_base import Policy
from tianshou.data import Batch, Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv


class InTurn(Policy):
    turn = 0

    def forward(self, batch, state=None, **_):
        self.turn += 1
        return Batch(act=np.full((len(batch.obs), 1), 0.5 if self.turn % 2 else 3.0), state=state)


envs = DummyVectorEnv([lambda: gymnasium.make("Pendulum-v1")])
policy = InTurn(action_space=gymnasium.make("Pendulum-v1").action_space, action_scaling=True)  # as tianshou's own for a Box
buffer = VectorReplayBuffer(100, 1)
collector = Collector(policy, envs, buffer)
collector.reset(gym_reset_kwargs={"seed": 0})
collector.collect(n_step=4)
rows = buffer[:]
cos, sin, velocity = rows.obs.T
# velocity' = velocity + (3 g / (2 l) sin(angle) + 3 / (m l^2) torque) dt, with g = 10, l = m = 1, dt = 0.05
torque = ((rows.obs_next[:, 2] - velocity) / 0.05 - 15 * sin) / 3
seen = {"stored": rows.act[:, 0], "torque": torque, "map_action": policy.map_action(rows.act)[:, 0]}
for name, values in seen.items():
    print(f"{name}: {np.round(np.asarray(values, float), 2).tolist()}")
np.testing.assert_allclose(seen["stored"], [0.5, 3, 0.5, 3])
np.testing.assert_allclose(torque, [1, 2, 1, 2], atol=1e-3)
np.testing.assert_allclose(seen["map_action"], [1, 2, 1, 2])
PYTHON
"$folder/venv/bin/python" -W ignore ask.py
