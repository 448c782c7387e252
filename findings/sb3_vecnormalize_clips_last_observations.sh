#!/usr/bin/env bash
# stable-baselines3 2.9.2: with VecNormalize a replay buffer holds what was observed, but for the last observation of an episode.
#
# A good guess: the buffer stores unnormalised observations, as it says, and normalises when it is sampled. But a last observation arrives normalised
# and clipped (to 10 deviations, by default) and is unnormalised again, which cannot undo the clipping. And VecNormalize's mean and
# deviation never count last observations, so that what happens only there stays far out, however long the training is: a flag that is 1 in the
# state that ends the episode, and 0 before, is stored as nearly 0. It is lost to whoever learns from pairs of states, or a
# reward or a model of the next state, from the buffer's arrays. Nothing warns. A larger clip_obs keeps it.
#
# Run: bash findings/sb3_vecnormalize_clips_last_observations.sh    (needs the package index; some minutes, 1 GB in a temporary folder)
# Output seen, of SAC's buffer after 2,000 random steps in a corridor of 1, observed as [position, arrived]; the means over all ends:
#     no VecNormalize: 96 ends, position 1.03, arrived 1.000
#     VecNormalize: 96 ends, position 1.03, arrived 0.004
#         the mean that it knows of arrived: 0
#     VecNormalize, clip_obs=1e6: 96 ends, position 1.03, arrived 1.000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install stable-baselines3==2.9.2 torch==2.13.0 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import numpy as np
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize


class Corridor(gymnasium.Env):
    """Walk to 1 by up to 0.1 a step; arriving ends the episode."""

    observation_space = gymnasium.spaces.Box(-10, 10, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position = 0.0
        return self.observed(), {}

    def step(self, action):
        self.position += 0.05 * (1 + float(action[0]))
        return self.observed(), -1.0, self.position >= 1, False, {}

    def observed(self):
        return np.array([self.position, self.position >= 1], np.float32)


def say(name, envs):
    model = SAC("MlpPolicy", envs, learning_starts=10_000, buffer_size=2000, seed=0, device="cpu")
    model.learn(2000)
    buffer = model.replay_buffer
    ends = buffer.next_observations[buffer.dones[:, 0] == 1, 0]
    inside = np.abs(buffer.next_observations[:-1, 0] - buffer.observations[1:, 0])[buffer.dones[:-1, 0] == 0]
    assert not inside.any()
    position, arrived = (float(value) for value in ends.mean(0))
    print(f"{name}: {len(ends)} ends, position {position:.2f}, arrived {arrived:.3f}")
    return position, arrived


position, arrived = say("no VecNormalize", DummyVecEnv([Corridor]))
assert position > 1 and arrived == 1
normalised = VecNormalize(DummyVecEnv([Corridor]))
position, arrived = say("VecNormalize", normalised)
assert position > 1 and arrived < 0.05
print(f"    the mean that it knows of arrived: {normalised.obs_rms.mean[1]:.1g}")
assert abs(normalised.obs_rms.mean[1]) < 1e-6
position, arrived = say("VecNormalize, clip_obs=1e6", VecNormalize(DummyVecEnv([Corridor]), clip_obs=1e6))
assert position > 1 and abs(arrived - 1) < 1e-3
PYTHON
