#!/usr/bin/env bash
# MuJoCo 3.17.0: the action of an actuator without limits is always 0 in gymnasium, and up to 1e10 in dm_control.
#
# MuJoCo's XML needs no ctrlrange: such an actuator is unlimited (actuator_ctrllimited 0), and its ctrlrange reads 0 0. A good guess: an
# environment of such a model has an action space with infinite bounds, which wrappers and learners then refuse. But gymnasium's MujocoEnv 1.4.0
# takes the ctrlrange as it stands: Box(0, 0), in which every sample is 0 and which cannot be scaled, although the motor obeys
# any number. dm_control 1.0.50 gives MuJoCo's largest number, 1e10, as bounds (its lqr domain has such actuators). They are finite, so
# RescaleAction(env, -1, 1) by shimmy 2.0.1 makes a torque of 1e9 of an action of 0.1, and the simulation breaks off.
# Give actuators a ctrlrange.
#
# Run: bash findings/mujoco_actuator_without_limits.sh    (needs the package index; two minutes, in a temporary folder)
# Output seen:
#     model: limited False, ctrlrange [0.0, 0.0]
#     gymnasium: Box(0.0, 0.0, (1,), float32), largest of 100 samples 0.0; the action 1 moves the joint: True
#     dm_control: Box(-10000000000.0, 10000000000.0, (1,), float64); rescaled: Box(-1.0, 1.0, (1,), float64), the action 0.1: PhysicsError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install mujoco==3.17.0 dm_control==1.0.50 shimmy==2.0.1 gymnasium==1.4.0 numpy==2.4.6 imageio packaging h5py
cd "$folder"
cat > ask.py <<'PYTHON'
from pathlib import Path

import gymnasium as gym
import mujoco
import numpy as np
from dm_control.mujoco import Physics
from dm_control.rl.control import Environment, PhysicsError
from dm_control.suite.base import Task
from gymnasium.envs.mujoco import MujocoEnv
from shimmy import DmControlCompatibilityV0

XML = """<mujoco><worldbody><body><joint name="hinge"/><geom size="0.1"/></body></worldbody>
<actuator><motor joint="hinge"/></actuator></mujoco>"""
Path("own.xml").write_text(XML)
model = mujoco.MjModel.from_xml_string(XML)
print(f"model: limited {model.actuator_ctrllimited[0]}, ctrlrange {model.actuator_ctrlrange[0].tolist()}")


class Own(MujocoEnv):
    metadata = {"render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"], "render_fps": 100}

    def reset_model(self):
        return self.data.qpos.copy()


own = Own(str(Path("own.xml").resolve()), 5, gym.spaces.Box(-np.inf, np.inf, (1,)))
largest = max(abs(float(own.action_space.sample()[0])) for _ in range(100))
before = own.data.qpos[0]
own.do_simulation(np.ones(1), own.frame_skip)
moved = bool(own.data.qpos[0] != before)
print(f"gymnasium: {own.action_space}, largest of 100 samples {largest}; the action 1 moves the joint: {moved}")
assert (float(own.action_space.low[0]), float(own.action_space.high[0]), largest, moved) == (0, 0, 0, True)


class Nothing(Task):
    def initialize_episode(self, physics):
        pass

    def get_observation(self, physics):
        return {"position": physics.data.qpos.copy()}

    def get_reward(self, physics):
        return 0.0


env = DmControlCompatibilityV0(Environment(Physics.from_xml_string(XML), Nothing(), time_limit=1))
rescaled = gym.wrappers.RescaleAction(env, -1.0, 1.0)
rescaled.reset(seed=0)
try:
    rescaled.step(np.array([0.1]))
    found = "works"
except PhysicsError as error:
    found = type(error).__name__
print(f"dm_control: {env.action_space}; rescaled: {rescaled.action_space}, the action 0.1: {found}")
assert float(env.action_space.high[0]) == 1e10 and found == "PhysicsError"
PYTHON
"$folder/venv/bin/python" -W ignore ask.py 2> errors || { cat errors; exit 1; }
