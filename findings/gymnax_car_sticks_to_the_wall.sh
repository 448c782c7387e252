#!/usr/bin/env bash
# gymnax 1.0.1: in its MountainCarContinuous-v0 a car that hits the left wall keeps its speed into the wall, and sticks to it.
#
# A good guess: the environment of gymnasium's name has gymnasium's dynamics, so that demonstrations of the one and a policy for it are good for the
# other. gymnasium sets the speed to 0 where the car meets the left wall and is still moving left. gymnax asks instead whether the car is at the goal and
# moving left. So at the wall the position stops and the observed speed does not: the engine and the slope have to use it up before the car
# gets away. Before the wall both agree to float32's precision, and an episode that never meets it looks right. Nothing warns. (It imports six,
# which pip does not install with it.)
#
# Run: bash findings/gymnax_car_sticks_to_the_wall.sh    (needs the package index; some minutes, 1 GB in a temporary folder)
# Output seen, from the same start, the same actions (25 steps to the right, 60 to the left, then to the right):
#     largest difference in the 59 rows before the wall: 2e-07
#     gymnasium: speed at the wall 0.000, steps at the wall 1, steps to the goal 114
#     gymnax: speed at the wall -0.035, steps at the wall 31, steps to the goal 123
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install gymnax==1.0.1 jax==0.10.2 gymnasium==1.3.0 six==1.17.0 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import gymnasium
import gymnax
import jax
import numpy as np

ACTIONS = [1.0] * 25 + [-1.0] * 60 + [1.0] * 400


def gymnasiums():
    env = gymnasium.make("MountainCarContinuous-v0")
    rows = [env.reset(seed=0)[0]]
    for action in ACTIONS:
        observation, _, terminated, _, _ = env.step(np.array([action], np.float32))
        rows.append(observation)
        if terminated:
            break
    return np.array(rows)


def gymnaxes(start):
    env, params = gymnax.make("MountainCarContinuous-v0")
    key = jax.random.key(0)
    _, state = env.reset(key, params)
    state = state.replace(position=jax.numpy.float32(start[0]), velocity=jax.numpy.float32(start[1]))
    rows = [np.asarray(start)]
    for action in ACTIONS:
        _, state, _, terminated, _, info = env.step(key, state, jax.numpy.float32(action), params)
        rows.append(np.asarray(info["final_observation"]))
        if terminated:
            break
    return np.array(rows)


one = gymnasiums()
other = gymnaxes(one[0])
wall = [int(np.flatnonzero(rows[:, 0] <= -1.2 + 1e-6)[0]) for rows in (one, other)]
assert wall[0] == wall[1]
before = float(np.abs(one[: wall[0]] - other[: wall[0]]).max())
print(f"largest difference in the {wall[0]} rows before the wall: {before:.1g}")
for name, rows in (("gymnasium", one), ("gymnax", other)):
    at = int((rows[:, 0] <= -1.2 + 1e-6).sum())
    print(f"{name}: speed at the wall {rows[wall[0], 1]:.3f}, steps at the wall {at}, steps to the goal {len(rows) - 1}")
assert before < 1e-4 and one[wall[0], 1] == 0 and other[wall[0], 1] < -0.01
PYTHON
"$folder/venv/bin/python" -W ignore ask.py 2> errors || { cat errors; exit 1; }
