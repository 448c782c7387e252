#!/usr/bin/env bash
# gym-xarm 0.1.1 (MuJoCo 2.3.7, gymnasium 1.4.0): the start of an episode depends on the last action of the episode before it.
#
# A good guess: reset(seed=0) gives one start in an environment, whatever was played before. But reset() sets positions, speeds and the clock, not
# MuJoCo's controls, and then simulates ten steps, in which the gripper still follows the last action. After an episode that ended with a closing
# gripper, the next one begins with it partly closed, and goes on differently under the same actions. A demonstration of the task
# lifts the cube, so nearly all of them end closed, and all but the first of a recording begin so. The first episode of a new environment does not.
# Its recorded actions, played again with its seed after another episode, lead elsewhere. Nothing warns.
# What works: unwrapped.data.ctrl[:] = 0 before reset(), or a new environment for each episode.
#
# Run: bash findings/gym_xarm_start_has_the_last_grip.sh    (needs the package index; two minutes, 600 MB in a temporary folder)
# Output seen, of reset(seed=0): the gripper's angle at the start, and how far the observation is from that of a new environment at the start and
# after 40 equal actions:
#     after an episode that ended opening: angle 0.0005, differences 0.0005 and 0.0016
#     after an episode that ended doing nothing: angle 0.0000, differences 0.0000 and 0.0000
#     after an episode that ended closing: angle 0.0147, differences 0.0147 and 0.0299
#     after an episode that ended closing, controls set to 0: angle 0.0000, differences 0.0000 and 0.0000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install gym-xarm==0.1.1 gymnasium-robotics==1.4.2 mujoco==2.3.7 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
MUJOCO_GL=egl "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gym_xarm  # registers the environment
import gymnasium
import numpy as np

NAME = "gym_xarm/XarmLift-v0"


def play(env):
    """First and last observation of an episode of seed 0."""
    start = env.reset(seed=0)[0]
    for _ in range(40):
        end = env.step(np.array([0.3, 0.2, -0.5, 0], np.float32))[0]
    return start, end


new = play(gymnasium.make(NAME))
env = gymnasium.make(NAME)
found = {}
for name, grip, cleared in (("opening", -1, False), ("doing nothing", 0, False), ("closing", 1, False), ("closing, controls set to 0", 1, True)):
    env.reset(seed=1)
    for _ in range(40):
        env.step(np.array([0, 0, 0, grip], np.float32))
    if cleared:
        env.unwrapped.data.ctrl[:] = 0
    start, end = play(env)
    found[name] = np.abs(start - new[0]).max(), np.abs(end - new[1]).max()
    print("after an episode that ended {}: angle {:.4f}, differences {:.4f} and {:.4f}".format(name, abs(start[-1]), *found[name]))
assert found["closing"][0] > 0.01 and found["closing"][1] > 0.01
assert 1e-4 < found["opening"][0] < found["closing"][0]
assert max(found["doing nothing"][0], found["closing, controls set to 0"][0]) < 1e-6
PYTHON
