#!/usr/bin/env bash
# gymnasium 1.4.0: in the autoreset mode DISABLED the vector RecordEpisodeStatistics starts all copies anew when one of them is reset.
#
# A good guess: reset(options={"reset_mask": done}) begins the episodes of the copies in the mask, and the statistics of the others go on. The
# wrapper has code for it. But it hands the options to the vector environment first, which takes the mask out of the caller's own dictionary;
# the wrapper then finds none and sets the sums of all copies to 0. Nothing warns. "r" and "l" of an episode are those since the last reset of any
# copy: where episodes end at different times, long ones look short and returns are too small (or too good, where rewards are costs). The
# observations are right. Who uses the dictionary a second time has no mask left, and resets every copy in the middle of its episode.
# It matters to whoever reports returns, or keeps the best of a recording by them. The other two modes are right, as is the wrapper of a
# single environment inside each copy.
#
# Run: bash findings/gymnasium_partial_reset_forgets_all_returns.sh    (needs the package index; a minute, in a temporary folder)
# Output seen, of two copies with a reward of 1 per step, whose episodes have 3 and 5 steps; all lengths and returns in 30 steps:
#     NEXT_STEP: copy 0 [(3, 3.0)], copy 1 [(5, 5.0)]
#     SAME_STEP: copy 0 [(3, 3.0)], copy 1 [(5, 5.0)]
#     DISABLED: copy 0 [(1, 1.0), (2, 2.0), (3, 3.0)], copy 1 [(1, 1.0), (2, 2.0), (3, 3.0)]
#     DISABLED, added up by hand: copy 0 [(3, 3.0)], copy 1 [(5, 5.0)]
#     DISABLED, wrapper in each copy: copy 0 [(3, 3.0)], copy 1 [(5, 5.0)]
#     one dictionary used twice: after the first reset {}, observed [0.0, 1.0]; after the second one [0.0, 0.0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics
from gymnasium.wrappers.vector import RecordEpisodeStatistics as RecordVectorStatistics

NEXT_STEP, SAME_STEP, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED
RIGHT = [[(3, 3.0)], [(5, 5.0)]]


class Steps(gymnasium.Env):
    """An episode of `length` steps, observed as their number, with a reward of 1 for each."""

    observation_space = action_space = gymnasium.spaces.Box(-1, 1000, (1,))

    def __init__(self, length):
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.array([self.steps], np.float32), 1.0, self.steps == self.length, False, {}


def copies(mode, wrapper=lambda env: env):
    return SyncVectorEnv([lambda: wrapper(Steps(3)), lambda: wrapper(Steps(5))], autoreset_mode=mode)


def play(name, env, mode, by_hand=False):
    env.reset()
    seen, totals, lengths = [set(), set()], np.zeros(2), np.zeros(2, int)
    for _ in range(30):
        _, rewards, terminated, truncated, infos = env.step(np.zeros((2, 1), np.float32))
        done = terminated | truncated
        totals, lengths = totals + rewards, lengths + 1
        episode = {"l": lengths.copy(), "r": totals.copy()} if by_hand else infos.get("episode")
        if mode is SAME_STEP and not by_hand and "final_info" in infos:
            episode = infos["final_info"].get("episode", episode)
        for copy in np.flatnonzero(done):
            seen[copy].add((int(episode["l"][copy]), float(episode["r"][copy])))
        totals[done], lengths[done] = 0, 0
        if mode is DISABLED and done.any():
            env.reset(options={"reset_mask": done})
    pairs = [sorted(of_copy) for of_copy in seen]
    print(f"{name}: copy 0 {pairs[0]}, copy 1 {pairs[1]}")
    return pairs


for mode in (NEXT_STEP, SAME_STEP):
    assert play(mode.name, RecordVectorStatistics(copies(mode)), mode) == RIGHT
wrong = [(1, 1.0), (2, 2.0), (3, 3.0)]
assert play("DISABLED", RecordVectorStatistics(copies(DISABLED)), DISABLED) == [wrong, wrong]
assert play("DISABLED, added up by hand", copies(DISABLED), DISABLED, by_hand=True) == RIGHT
assert play("DISABLED, wrapper in each copy", copies(DISABLED, RecordEpisodeStatistics), DISABLED) == RIGHT

env = copies(DISABLED)
env.reset()
env.step(np.zeros((2, 1), np.float32))
options = {"reset_mask": np.array([True, False])}
first = [float(number) for number in env.reset(options=options)[0][:, 0]]
left = dict(options)
second = [float(number) for number in env.reset(options=options)[0][:, 0]]
print(f"one dictionary used twice: after the first reset {left}, observed {first}; after the second one {second}")
assert left == {} and first == [0, 1] and second == [0, 0]
PYTHON
