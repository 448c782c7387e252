#!/usr/bin/env bash
# MuJoCo 3.12.0 and later: a member of an enumeration equals numpy's integer on its left, but not on its right:
# `np.int32(3) == mjJNT_HINGE` is True, `mjJNT_HINGE == np.int32(3)` is False, and so `np.int32(3) in (mjJNT_HINGE, ...)` is False.
# With 3.11.0 all three are True. Nothing is raised. gymnasium-robotics 1.4.2 asks the last one of `model.jnt_type` and so cannot
# make Fetch, the hand or FrankaKitchen ("AssertionError" without a word), though it requires no more than mujoco>=2.2.0.
# Expected: the same answer from both sides. Exits with 1 if that changes.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > ask.py <<'PY'
import sys

import gymnasium as gym
import gymnasium_robotics
import mujoco

gym.register_envs(gymnasium_robotics)
xml = "<mujoco><worldbody><body><joint/><geom size='1'/></body></worldbody></mujoco>"
found, hinge = mujoco.MjModel.from_xml_string(xml).jnt_type[0], mujoco.mjtJoint.mjJNT_HINGE
answers = [found == hinge, hinge == found, found in (hinge,), int(found) in (hinge,)]
try:
    gym.make("FetchReach-v4")
    fetch = "made"
except AssertionError as error:
    fetch = repr(error)
print("mujoco", mujoco.__version__, f"{found!r} == hinge, hinge == it, in, int in:", *map(bool, answers), "FetchReach-v4:", fetch)
old = mujoco.__version__ == "3.11.0"
raise SystemExit(list(map(bool, answers)) != [True, old, old, True] or fetch != ("made" if old else "AssertionError()"))
PY
for version in 3.11.0 3.12.0 4.0.0; do
    python3 -m venv "venv$version"
    "venv$version/bin/pip" install -q "mujoco==$version" gymnasium-robotics==1.4.2 gymnasium==1.4.0 numpy==2.4.6 2> log || { cat log; exit 2; }
    "venv$version/bin/python" -W ignore ask.py 2> log || { tail -n 3 log; exit 1; }
done
