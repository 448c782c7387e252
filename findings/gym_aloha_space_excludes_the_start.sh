#!/usr/bin/env bash
# gym-aloha 0.1.5 (MuJoCo 3.8.1, gymnasium 1.4.0): the action that holds the arms where an episode starts is not in the action space.
#
# A good guess: an action space from -1 to 1 holds all actions, scaled to the joints' ranges, or is the range of the joints itself, so that a
# demonstration's actions lie in it, and ClipAction, a policy with tanh, or a learner that clips to the space do no harm. But the
# actions are angles in radians, as read from agent_pos and unscaled, of joints that go from -3.1 to 3.1, and the environment takes any number. An episode starts
# with both elbows at 1.16. Clipped to the space, an action that should hold the start moves both elbows by 9 degrees and lifts the
# grippers by 6 cm. A policy that is cloned from demonstrations with such a limit cannot copy them, and fails without a sign; one that learns by itself never
# visits the poses in them. Random samples leave most of the joints' range out. Nothing warns, not even of actions outside of the space.
# What works: not to clip, or a space of MuJoCo's actuator_ctrlrange (grippers: 0 to 1) before scaling.
#
# Run: bash findings/gym_aloha_space_excludes_the_start.sh    (needs the package index; some minutes, 1 GB in a temporary folder)
# Output seen, of 25 steps with the start's agent_pos as the action:
#     as it is: in the space False; the joints moved by up to 0.01, the left gripper by 0.2 cm
#     clipped to the space: in the space True; the joints moved by up to 0.16, the left gripper by 5.7 cm
#     ranges of an arm's joints: 3.14, 1.26, 1.61, 3.14, 2.23, 3.14 at most
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install gym-aloha==0.1.5 gymnasium==1.4.0 mujoco==3.8.1 numpy==2.4.6
cd "$folder"
MUJOCO_GL=egl "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gym_aloha  # registers the environment
import gymnasium
import numpy as np

env = gymnasium.make("gym_aloha/AlohaTransferCube-v0", obs_type="pixels_agent_pos", observation_width=64, observation_height=48)
physics = env.unwrapped._env.physics
moved = {}
for name in ("as it is", "clipped to the space"):
    start = env.reset(seed=0)[0]["agent_pos"]
    gripper = physics.named.data.xpos["vx300s_left/gripper_link"].copy()
    action = start.astype(np.float32)
    if name != "as it is":
        action = np.clip(action, env.action_space.low, env.action_space.high)
    for _ in range(25):
        end = env.step(action)[0]["agent_pos"]
    moved[name] = np.abs(end - start).max(), 100 * np.linalg.norm(physics.named.data.xpos["vx300s_left/gripper_link"] - gripper)
    print("{}: in the space {}; the joints moved by up to {:.2f}, the left gripper by {:.1f} cm".format(name, env.action_space.contains(action), *moved[name]))
    assert env.action_space.contains(action) == (name != "as it is")
assert moved["as it is"][0] < 0.02 and moved["as it is"][1] < 1 and moved["clipped to the space"][0] > 0.1 and moved["clipped to the space"][1] > 4
limits = physics.model.actuator_ctrlrange[:6, 1]
print("ranges of an arm's joints:", ", ".join(f"{limit:.2f}" for limit in limits), "at most")
assert (limits > 1).all() and (env.action_space.high == 1).all()
PYTHON
