#!/usr/bin/env bash
# robosuite 1.5.2 (MuJoCo 3.3.2, gymnasium 1.4.0): two things about its GymWrapper.
#
# 1. A good guess: reset(seed=0) gives one start. But it seeds numpy's global generator, while tasks place objects and robots by a generator of
#    their own, which `seed` of suite.make begins, or the operating system. So a list of seeds plays other starts at each evaluation, and
#    a demonstration's seed does not bring its start back. What does follow the seed is any other use of np.random: exploration noise that is
#    drawn there is the same in every episode that is reset with that seed. suite.make(seed=0) helps: the starts of one run are those of the next.
# 2. A good guess: the end by `horizon`, a time limit, is `truncated`. It is `terminated`, and nothing else ends an episode of these tasks: truncated
#    is False for ever. SAC takes every last state for a final one and does not bootstrap there. ignore_done=True with gymnasium's TimeLimit helps.
# Nothing warns of either.
#
# Run: bash findings/robosuite_gym_wrapper_seed_and_time_limit.sh    (needs the package index; some minutes, 1.5 GB in a temporary folder)
# Output seen, of the task Lift, horizon 20:
#     reset(seed=0), three times: 3 different starts; np.random afterwards: 1 different number
#     suite.make(seed=0), then reset(), three times: 3 different starts; the same three in a second environment: True
#     horizon: step 20, terminated True, truncated False
#     ignore_done and TimeLimit: step 20, terminated False, truncated True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install robosuite==1.5.2 mujoco==3.3.2 gymnasium==1.4.0 h5py==3.16.0
cd "$folder"
MUJOCO_GL=egl "$folder/venv/bin/python" -W ignore - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import gymnasium
import numpy as np
import robosuite
from robosuite.wrappers import GymWrapper

HORIZON = 20


def lift(**options):
    cameras = dict(has_renderer=False, has_offscreen_renderer=False, use_camera_obs=False)
    return GymWrapper(robosuite.make("Lift", robots="Panda", horizon=HORIZON, **cameras, **options))


def different(rows):
    return len(np.unique(np.round(rows, 6), axis=0))


env, starts, numbers = lift(), [], []
for _ in range(3):
    starts.append(env.reset(seed=0)[0])
    numbers.append([np.random.random()])
print(f"reset(seed=0), three times: {different(starts)} different starts; np.random afterwards: {different(numbers)} different number")
assert (different(starts), different(numbers)) == (3, 1)

first, second = ([seeded.reset()[0] for _ in range(3)] for seeded in (lift(seed=0), lift(seed=0)))
again = np.allclose(first, second)
print(f"suite.make(seed=0), then reset(), three times: {different(first)} different starts; the same three in a second environment: {again}")
assert again and different(first) == 3

limited = gymnasium.wrappers.TimeLimit(lift(ignore_done=True), HORIZON)
for name, env, expected in (("horizon", env, (True, False)), ("ignore_done and TimeLimit", limited, (False, True))):
    env.reset()
    step, over = 0, (False, False)
    while not any(over):
        _, _, *over, _ = env.step(np.zeros(env.action_space.shape))
        step += 1
    print("{}: step {}, terminated {}, truncated {}".format(name, step, *over))
    assert step == HORIZON and tuple(over) == expected
PYTHON
