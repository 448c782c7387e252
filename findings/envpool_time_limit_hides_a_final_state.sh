#!/usr/bin/env bash
# EnvPool 1.2.5: a final state that is reached in the last step of the time limit is not `terminated`.
#
# A good guess: terminated and truncated of env_type="gymnasium" say what gymnasium's say. They do, but for the step in which both hold:
# there gymnasium says both, and EnvPool says truncated alone. So a critic bootstraps from a final state, and a recording of it loses the
# end: of a task that is won or lost in its last step, the state of winning or losing looks as if it went on. The shorter
# the time limit, the more episodes have it. Nothing warns.
#
# Run: bash findings/envpool_time_limit_hides_a_final_state.sh    (needs the package index; some minutes, 1 GB in a temporary folder)
# Output seen; both are driven to the end with a time limit of 1,000, and again with one of as many steps as that took:
#     MountainCarContinuous-v0, gymnasium, limit 1000: 106 steps, terminated True, truncated False, reward 99.9
#     MountainCarContinuous-v0, gymnasium, limit 106: 106 steps, terminated True, truncated True, reward 99.9
#     MountainCarContinuous-v0, EnvPool, limit 1000: 106 steps, terminated True, truncated False, reward 99.9
#     MountainCarContinuous-v0, EnvPool, limit 106: 106 steps, terminated False, truncated True, reward 99.9
#     InvertedPendulum-v5, gymnasium, limit 1000: 4 steps, terminated True, truncated False, reward 0.0
#     InvertedPendulum-v5, gymnasium, limit 4: 4 steps, terminated True, truncated True, reward 0.0
#     InvertedPendulum-v5, EnvPool, limit 1000: 4 steps, terminated True, truncated False, reward 0.0
#     InvertedPendulum-v5, EnvPool, limit 4: 4 steps, terminated False, truncated True, reward 0.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install envpool==1.2.5 gymnasium[mujoco]==1.4.0 mujoco==3.17.0 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import envpool
import gymnasium
import numpy as np


def rocking(observation):
    """Push a car the way it rolls."""
    return [1.0 if observation[1] >= 0 else -1.0]


def gymnasiums(name, limit):
    return gymnasium.make_vec(name, 1, vectorization_mode="sync", max_episode_steps=limit)


def envpools(name, limit):
    return envpool.make(name, env_type="gymnasium", num_envs=1, seed=0, max_episode_steps=limit)


def driven(make, name, policy, limit):
    """The number of steps, the two flags and the reward of the last one."""
    env = make(name, limit)
    observation, _ = env.reset(**({"seed": 0} if make is gymnasiums else {}))
    for step in range(1, limit + 1):
        action = np.array([policy(observation[0])], env.action_space.dtype)
        observation, reward, terminated, truncated, _ = env.step(action)
        if terminated[0] or truncated[0]:
            return step, bool(terminated[0]), bool(truncated[0]), round(float(reward[0]), 2)


def say(name, policy):
    flags = []
    for source, make in (("gymnasium", gymnasiums), ("EnvPool", envpools)):
        for limit in (1000, driven(make, name, policy, 1000)[0]):
            steps, terminated, truncated, reward = driven(make, name, policy, limit)
            print(f"{name}, {source}, limit {limit}: {steps} steps, terminated {terminated}, truncated {truncated}, reward {reward}")
            assert limit == 1000 or steps == limit
            flags.append((terminated, truncated))
    assert flags == [(True, False), (True, True), (True, False), (False, True)], flags


say("MountainCarContinuous-v0", rocking)
say("InvertedPendulum-v5", lambda observation: [1.0])
PYTHON
"$folder/venv/bin/python" -W ignore ask.py 2> errors || { cat errors; exit 1; }
