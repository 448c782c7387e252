#!/usr/bin/env bash
# TorchRL 0.14.1: FrameSkipTransform repeats an action beyond the end of an episode, and adds up the rewards of steps after it.
#
# A good guess: TransformedEnv(GymEnv(name), FrameSkipTransform(4)) is GymEnv(name, frame_skip=4). The latter stops in the middle of the four
# steps where the episode ends. The transform looks at no flag: it steps the finished environment on, sums all four rewards, and hands out
# observation and flags of the last one alone. MountainCarContinuous pays 100 on arrival, and so again for each step that is left, though
# the true return is below 100. An end that is not reported again, as of an environment that says `terminated` in one step only, is
# lost: the episode goes on. Nothing warns. Demonstrations recorded so have returns that no policy can reach, which scores
# are then divided by. With frame_skip of GymEnv the numbers are right.
#
# Run: bash findings/torchrl_frame_skip_goes_on_after_the_end.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen. Full engine power to the left and the right, by the sign of the speed; then an environment of five steps, reward 1 each:
#     MountainCarContinuous, frame_skip of GymEnv: rows 28, last reward 99.9, return 89.1, terminated True
#     MountainCarContinuous, FrameSkipTransform: rows 28, last reward 399.6, return 388.8, terminated True
#     five steps, frame_skip of GymWrapper: rewards [4.0, 1.0, 4.0], terminated [False, True, False]
#     five steps, FrameSkipTransform: rewards [4.0, 4.0, 4.0], terminated [False, False, False]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torchrl==0.14.1 tensordict==0.14.3 torch==2.13.0 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
RL_LOGGING_LEVEL=ERROR "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import numpy as np
import torch
from torchrl.envs import FrameSkipTransform, GymEnv, GymWrapper, TransformedEnv

CAR, SKIP = "MountainCarContinuous-v0", 4


class FiveSteps(gymnasium.Env):
    """Reward 1 in each step; says at the fifth, and only there, that it is over."""

    observation_space = gymnasium.spaces.Box(-100, 100, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.time += 1
        return np.full(1, self.time, np.float32), 1.0, self.time == 5, False, {}


def swing(td):
    """With the speed."""
    return td.set("action", torch.where(td["observation"][..., 1:] < 0, -1.0, 1.0))


def drive(name, env):
    torch.manual_seed(0)
    env.set_seed(0)
    after = env.rollout(1000, policy=swing)["next"]
    last, total, over = after["reward"][-1].item(), after["reward"].sum().item(), after["terminated"][-1].item()
    print(f"MountainCarContinuous, {name}: rows {len(after)}, last reward {last:.1f}, return {total:.1f}, terminated {over}")
    assert over
    return last, total


def count(name, env):
    after = env.rollout(3, break_when_any_done=False)["next"]
    rewards, over = after["reward"].ravel().tolist(), after["terminated"].ravel().tolist()
    print(f"five steps, {name}: rewards {rewards}, terminated {over}")
    return rewards, over


last, total = drive("frame_skip of GymEnv", GymEnv(CAR, frame_skip=SKIP))
assert last < 100 and total < 100
last, total = drive("FrameSkipTransform", TransformedEnv(GymEnv(CAR), FrameSkipTransform(SKIP)))
assert last > 100 and total > 100
found = count("frame_skip of GymWrapper", GymWrapper(FiveSteps(), frame_skip=SKIP))
assert found == ([4, 1, 4], [False, True, False])
found = count("FrameSkipTransform", TransformedEnv(GymWrapper(FiveSteps()), FrameSkipTransform(SKIP)))
assert found == ([4, 4, 4], [False] * 3)
PYTHON
