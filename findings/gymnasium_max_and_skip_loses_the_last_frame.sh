#!/usr/bin/env bash
# gymnasium 1.4.0: where an episode ends in the middle of a skip, MaxAndSkipObservation hands out old frames as its last observation.
#
# A good guess, and what its documentation says: the observation is the maximum of the last two frames. But frames are kept by their place
# in the skip: the last but one and the last of the four. If the episode ends at the first or second, none of the two places is written, and
# the maximum is that of the skip before; at the third it mixes both skips. reset() does not clear the places either, so an episode that is
# over at once ends with frames of the episode before it. Reward and flags are right, and nothing warns. Demonstrations recorded
# so lack the frame of success or failure, their last transition leads from a frame to the same one, and its next observation is what a critic
# bootstraps from at a time limit. Episodes whose length is a multiple of the skip are right.
#
# Run: bash findings/gymnasium_max_and_skip_loses_the_last_frame.sh    (needs the package index; a minute, in a temporary folder)
# Output seen: frames in the last observation; frame t of an episode is an image in which pixel t is bright, skip 4:
#     8 steps: frames [7, 8]
#     9 steps: frames [7, 8], expected [8, 9]
#     10 steps: frames [7, 8], expected [9, 10]
#     11 steps: frames [8, 11], expected [10, 11]
#     1 step, after these: frames [8, 11], expected [0, 1]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import numpy as np
from gymnasium.wrappers import MaxAndSkipObservation


class Clock(gymnasium.Env):
    """Frame t has one bright pixel, t. Episodes end after `length` steps."""

    observation_space = gymnasium.spaces.Box(0, 255, (16,), np.uint8)
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def frame(self):
        return np.where(np.arange(16) == self.time, 255, 0).astype(np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.length = 0, options["length"]
        return self.frame(), {}

    def step(self, action):
        self.time += 1
        return self.frame(), 1.0, self.time == self.length, False, {}


env = MaxAndSkipObservation(Clock(), skip=4)
for length, expected in ((8, [7, 8]), (9, [7, 8]), (10, [7, 8]), (11, [8, 11]), (1, [8, 11])):
    env.reset(options={"length": length})
    total, terminated = 0, False
    while not terminated:
        observation, reward, terminated, _, _ = env.step(np.zeros(1, np.float32))
        total += reward
    frames = np.flatnonzero(observation).tolist()
    right = [length - 1, length]
    after = ", after these" if length == 1 else ""
    print(f"{length} step{'s' * (length > 1)}{after}: frames {frames}{'' if frames == right else f', expected {right}'}")
    assert (frames, total) == (expected, length)
PYTHON
