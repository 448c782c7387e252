#!/usr/bin/env bash
# BlueSky-Gym 0.2.0 (bluesky-simulator 1.1.1, gymnasium 1.4.0): after a time limit an episode goes on under a new task, and all copies fly one aircraft.
#
# 1. A good guess: reset() begins a new flight. DescentEnv and PlanWaypointEnv remove the aircraft at a final state alone. After the time limit reset()
#    draws a new target and asks for a new aircraft of the same name, which the simulator refuses, as there is one. So the next episode begins
#    where the last one was cut off, at its height, speed and place, and its total length can be far above the limit.
# 2. A good guess: two environments are two simulations. There is one simulator in a process, and every copy steers its first aircraft: in
#    gymnasium's SyncVectorEnv, or an evaluation beside a training, each step of one moves the aircraft of the other, for another half minute and
#    by another action. The number of copies so changes what a step is. Separate processes (AsyncVectorEnv) help.
# 3. A good guess: reset(seed=0) gives one start. Starts are drawn from numpy's global generator, which reset() does not seed.
# Nothing warns (a refused aircraft is no error). The values are finite and look like any others. What works for 1: bluesky.traf.reset() before reset().
#
# Run: bash findings/bluesky_gym_shares_one_aircraft.sh    (needs the package index; ten minutes, 2 GB in a temporary folder)
# Output seen, of DescentEnv-v0 with a time limit of 10 steps of climbing; heights in metres, starts are from 2,000 to 4,000:
#     as it is: from 3061 to 6766, truncated True, then from 6766 to 10516, truncated True
#     with bluesky.traf.reset(): from 2715 to 6420, truncated True, then from 2144 to 5849, truncated True
#     starts of seed 0: 2749, 3202
#     two copies, climbing and sinking: 3244 and 3062; 3244 and 3062; 3244 and 3062
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install bluesky-simulator==1.1.1 gymnasium==1.4.0 pygame==2.6.1 numpy==2.2.6 \
    bluesky-gym==0.2.0 stable-baselines3==2.9.2 torch==2.13.0
cd "$folder"
export HOME="$folder"  # the simulator writes its settings there
"$folder/venv/bin/python" -W ignore > log 2>&1 - <<'PYTHON' || { cat log; exit 1; }
import bluesky
import bluesky_gym
import gymnasium
import numpy as np

bluesky_gym.register_envs()
climb, sink = np.ones(1), -np.ones(1)
found = open("found", "w")


def fly(env, prepare=lambda: None):
    prepare()
    env.reset(seed=0)
    start, over, flags = env.unwrapped.altitude, False, None
    while not over:
        *flags, _ = env.step(climb)[2:]
        over = any(flags)
    return start, env.unwrapped.altitude, flags == [False, True]


np.random.seed(1)
env = gymnasium.make("DescentEnv-v0", max_episode_steps=10)
for name, prepare in (("as it is", lambda: None), ("with bluesky.traf.reset()", lambda: bluesky.traf.reset())):
    flights = [fly(env, prepare) for _ in range(2)]
    print(f"{name}:", ", then ".join(f"from {start:.0f} to {end:.0f}, truncated {cut}" for start, end, cut in flights), file=found)
    assert all(cut for *_, cut in flights) and (flights[0][1] == flights[1][0]) == (name == "as it is")

bluesky.traf.reset()
starts = []
for _ in range(2):
    env.reset(seed=0)
    starts.append(env.unwrapped.altitude)
    bluesky.traf.reset()
print("starts of seed 0:", ", ".join(f"{start:.0f}" for start in starts), file=found)
assert starts[0] != starts[1]

copies = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make("DescentEnv-v0")] * 2)
copies.reset()
heights = [copies.step(np.array([climb, sink]))[0]["altitude"].ravel() * 3000 + 1500 for _ in range(3)]
print("two copies, climbing and sinking:", "; ".join(f"{up:.0f} and {down:.0f}" for up, down in heights), file=found)
assert all(up > down for up, down in heights) and abs(heights[2][0] - heights[0][0]) < 100
PYTHON
cat found
