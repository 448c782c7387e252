#!/usr/bin/env bash
# gymnasium 1.4.0, shimmy 2.0.1, dm_control 1.0.50: the same observation of dm_control is a vector in one of two orders.
#
# dm_control gives a dict of arrays. A good guess: the vector of a dataset or a policy that was made with dm_control itself, by joining
# the arrays as they come, is the vector that FlattenObservation gives of shimmy's conversion. But gymnasium sorts a space's names, and
# flattens in the order of the space, while the observation keeps dm_control's own order. For walker, hopper, humanoid, finger
# and swimmer the two differ, with the same size: nothing can refuse it, and a policy acts on wrong numbers. Joining obs.values() of shimmy's own observation gives dm_control's order again, so the dict that one looks at
# misleads. Where the names are in alphabetical order (cheetah, cartpole, pendulum) both agree.
#
# Run: bash findings/dm_control_vector_has_two_orders.sh    (needs the package index; a minute, in a temporary folder)
# Output seen:
#     walker: dm_control orientations, height, velocity; space height, orientations, velocity; 24 numbers, 15 of them moved
#     hopper: dm_control position, velocity, touch; space position, touch, velocity; 15 numbers, 9 of them moved
#     cheetah: dm_control position, velocity; space position, velocity; 17 numbers, 0 of them moved
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install shimmy==2.0.1 dm-control==1.0.50 mujoco==3.17.0 "gymnasium[mujoco]==1.4.0" numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import gymnasium
import numpy as np
import shimmy
from gymnasium.spaces import flatten

gymnasium.register_envs(shimmy)
SHOWN = ("walker", "hopper", "cheetah")
TASKS = {
    **{"walker": "walk", "hopper": "hop", "humanoid": "walk", "finger": "spin", "swimmer": "swimmer6"},
    **{"cheetah": "run", "cartpole": "swingup", "pendulum": "swingup"},
}
found = {}
for domain, task in TASKS.items():
    env = gymnasium.make(f"dm_control/{domain}-{task}-v0", disable_env_checker=True)
    space = env.observation_space
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(50):
        observation = env.step(env.action_space.sample())[0]
    joined = np.concatenate([np.ravel(part) for part in observation.values()])
    flat = flatten(space, observation)
    own = list(env.unwrapped._env.observation_spec())
    assert list(observation) == own and gymnasium.wrappers.FlattenObservation(env).observation_space.shape == joined.shape
    assert np.array_equal(flat, np.concatenate([np.ravel(observation[name]) for name in sorted(own)]))
    moved = int((joined != flat).sum())
    if domain in SHOWN:
        print(f"{domain}: dm_control {', '.join(own)}; space {', '.join(space)}; {len(flat)} numbers, {moved} of them moved")
    found[domain] = len(flat), moved
    env.close()
assert found["walker"][0] == 24 and found["walker"][1] > 0 and found["hopper"][0] == 15 and found["hopper"][1] > 0, found
assert found["cheetah"] == (17, 0), found
assert {domain for domain, (_, moved) in found.items() if not moved} == {"cheetah", "cartpole", "pendulum"}, found
PYTHON
MUJOCO_GL=disable "$folder/venv/bin/python" -W ignore ask.py 2> errors || { cat errors; exit 1; }
