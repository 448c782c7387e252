#!/usr/bin/env bash
# MuJoCo 4.0.0: contact forces that a sensor makes MuJoCo compute are those of another moment than mj_rnePostConstraint's.
#
# mj_step leaves cfrc_ext as it is, unless a sensor needs it. gymnasium's Ant and Humanoid therefore call mj_rnePostConstraint after
# each step. A good guess for mujoco.batch, which has no such call: add an acceleration sensor to the model, bind cfrc_ext, and have the
# same numbers. With the Euler integrator they are the same. With RK4, which both models use, they are not: sensors are computed at the
# first of the four stages, while mj_rnePostConstraint sees what the last one left. The motion itself is the same. After a reset
# the sensor gives forces where gymnasium shows zeros.
#
# Run: bash findings/mujoco_contact_forces_by_sensor.sh    (needs the package index; a minute, in a temporary folder)
# Output seen:
#     Euler: forces in 271 of 300 steps, others by sensor in 0; motion equal
#     RK4: forces in 276 of 300 steps, others by sensor in 278; motion equal
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install mujoco==4.0.0 "gymnasium[mujoco]==1.4.0" numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - 2> errors <<'PYTHON' || { cat errors; exit 1; }
import gymnasium as gym
import mujoco
import numpy as np
from mujoco.batch import Batch

def compare(integrator):
    env = gym.make("Humanoid-v5").unwrapped
    spec = mujoco.MjSpec.from_file(env.fullpath)
    sensor = spec.add_sensor()
    sensor.name, sensor.type = "acceleration", mujoco.mjtSensor.mjSENS_FRAMELINACC
    sensor.objtype, sensor.objname = mujoco.mjtObj.mjOBJ_BODY, "torso"
    model = spec.compile()
    for each in (model, env.model):
        each.opt.integrator = integrator
    batch = Batch(model, 1, 1)
    position, velocity, control, forces = (batch.bind(name) for name in ("qpos", "qvel", "ctrl", "cfrc_ext"))
    env.reset(seed=1)
    position[0], velocity[0] = env.data.qpos, env.data.qvel
    batch.forward()
    generator = np.random.default_rng(0)
    contacts = others = 0
    motion = True
    for _ in range(300):
        action = generator.uniform(-0.4, 0.4, model.nu)
        env.do_simulation(action, env.frame_skip)
        control[0] = action
        batch.step(nstep=env.frame_skip)
        contacts += bool(env.data.cfrc_ext.any())
        others += not np.array_equal(forces[0], env.data.cfrc_ext)
        motion &= np.array_equal(position[0], env.data.qpos)
    return contacts, others, motion

for name, integrator in (("Euler", mujoco.mjtIntegrator.mjINT_EULER), ("RK4", mujoco.mjtIntegrator.mjINT_RK4)):
    contacts, others, motion = compare(integrator)
    print(
        f"{name}: forces in {contacts} of 300 steps, others by sensor in {others}; "
        f"motion {'equal' if motion else 'not equal'}"
    )
    assert motion and contacts > 100
    assert (others == 0) == (name == "Euler"), others
PYTHON
