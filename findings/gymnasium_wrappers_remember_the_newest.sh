#!/usr/bin/env bash
# gymnasium 1.4.0: frame stacks, delays and sticky actions do nothing where an environment or a policy fills one array again and again.
#
# A good guess: an environment may return its observation in the same array every time, and a policy write its action into the same one, to save
# copies: gymnasium's vector environments copy observations, and stable-baselines3's buffer both. But three wrappers that remember something keep the array.
# - FrameStackObservation: all frames are the newest one. The stack has the right shape, and no motion in it.
# - DelayObservation: after the first zeros there is no delay at all; the first observations are left out.
# - StickyAction: the action to be repeated is the new one, so no action is ever repeated, whatever the probability. The same goes for copies in
#   a SyncVectorEnv whose actions are filled in place; in an AsyncVectorEnv, where actions are sent to processes, they do stick.
# So a policy is trained, or a demonstration recorded, on another task than was set up, and vector environments of both kinds differ. Nothing warns.
# What works: an environment that returns copies (a TransformObservation with a copy below the wrapper), step(action.copy()).
#
# Run: bash findings/gymnasium_wrappers_remember_the_newest.sh    (needs the package index; a minute, in a temporary folder)
# Output seen, of an environment that counts its steps, and actions 1 to 4:
#     a new array each time: third stack of three 1, 2, 3; delayed by two 0, 0, 0, 1, 2; sticky 1, 1, 1, 1
#     one array: third stack of three 3, 3, 3; delayed by two 0, 0, 2, 3, 4; sticky 1, 2, 3, 4
#     one array of actions of two copies: SyncVectorEnv 1, 2, 3, 4; AsyncVectorEnv 1, 1, 1, 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
cat > counter.py <<'PYTHON'
import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from gymnasium.wrappers import DelayObservation, FrameStackObservation, StickyAction


class Counter(gymnasium.Env):
    """Observes how many steps were made, and tells the action that arrived."""

    observation_space = action_space = gymnasium.spaces.Box(-10, 10, (1,), np.float32)

    def __init__(self, one_array=False):
        self.count, self.one_array = np.zeros(1, np.float32), one_array

    def observation(self):
        return self.count if self.one_array else self.count.copy()

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.count[:] = 0
        return self.observation(), {}

    def step(self, action):
        self.count += 1
        return self.observation(), 0.0, False, False, {"action": float(action[0])}


def sticky():
    return StickyAction(Counter(), 0.9999)


def arrived(env, actions, one_array):
    env.reset(seed=0)
    found = []
    for number in range(1, 5):
        actions[:] = number
        found.append(int(np.ravel(env.step(actions if one_array else actions.copy())[4]["action"])[0]))
    return found


if __name__ == "__main__":
    still, text = np.zeros(1, np.float32), lambda numbers: ", ".join(f"{number:.0f}" for number in numbers)
    results = []
    for one_array in (False, True):
        stack, delay = FrameStackObservation(Counter(one_array), 3), DelayObservation(Counter(one_array), 2)
        stack.reset()
        frames = [stack.step(still)[0].ravel().tolist() for _ in range(3)][-1]
        late = [delay.reset()[0].item()] + [delay.step(still)[0].item() for _ in range(4)]
        results.append((frames, late, arrived(sticky(), np.zeros(1, np.float32), one_array)))
        print(f"{'one array' if one_array else 'a new array each time'}: third stack of three {text(frames)}; delayed by two {text(late)}; sticky {text(results[-1][2])}")
    assert results == [([1, 2, 3], [0, 0, 0, 1, 2], [1, 1, 1, 1]), ([3, 3, 3], [0, 0, 2, 3, 4], [1, 2, 3, 4])]
    copies = [arrived(kind([sticky] * 2), np.zeros((2, 1), np.float32), True) for kind in (SyncVectorEnv, AsyncVectorEnv)]
    print(f"one array of actions of two copies: SyncVectorEnv {text(copies[0])}; AsyncVectorEnv {text(copies[1])}")
    assert copies == [[1, 2, 3, 4], [1, 1, 1, 1]]
PYTHON
"$folder/venv/bin/python" -W ignore counter.py
