#!/usr/bin/env bash
# highway-env 1.12.1: a policy_frequency that does not divide simulation_frequency (15) makes steps shorter than they say, or empty.
#
# A good guess: a step lasts 1 / policy_frequency seconds, and an episode `duration` seconds. So does the environment count. But a step simulates the
# rounded-down quotient of the two frequencies, in whole frames: at 10 Hz one frame of 1/15 s, for which the clock counts 1/10 s. The cars live in two thirds
# of the time, and an episode is over after two thirds of `duration`. Above 15 Hz the quotient is 0: nothing moves and no action has an effect, though
# rewards, the clock and the time limit go on as usual. Nothing warns. (At 5 and 10 Hz there is one step more than
# duration * policy_frequency, for the clock adds up fractions.) Demonstrations that were recorded at different rates so have other dynamics, and one whose
# time step is taken from policy_frequency has wrong speeds. A simulation_frequency that is a multiple of policy_frequency helps.
#
# Run: bash findings/highway_env_frequency_stretches_time.sh    (needs the package index; two minutes, 500 MB in a temporary folder)
# Output seen, for 10 seconds of an empty road with the accelerator at a half, from 25 m/s:
#     1 Hz of 15: 10 steps, clock 10.0 s, simulated 10.0 s, 355 m
#     3 Hz of 15: 30 steps, clock 10.0 s, simulated 10.0 s, 355 m
#     5 Hz of 15: 51 steps, clock 10.2 s, simulated 10.2 s, 363 m
#     10 Hz of 20: 101 steps, clock 10.1 s, simulated 10.1 s, 359 m
#     20 Hz of 20: 200 steps, clock 10.0 s, simulated 10.0 s, 355 m
#     2 Hz of 15: 20 steps, clock 10.0 s, simulated 9.3 s, 328 m
#     4 Hz of 15: 40 steps, clock 10.0 s, simulated 8.0 s, 275 m
#     10 Hz of 15: 101 steps, clock 10.1 s, simulated 6.7 s, 224 m
#     20 Hz of 15: 200 steps, clock 10.0 s, simulated 0.0 s, 0 m
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install highway-env==1.12.1 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import highway_env  # noqa: F401  (registers the environments)
import numpy as np

DURATION = 10


def drive(policy, simulation=15):
    """Return steps, seconds by the environment's clock, seconds by the frames, metres, and whether the time limit ended it."""
    config = {
        "policy_frequency": policy,
        "simulation_frequency": simulation,
        "duration": DURATION,
        "vehicles_count": 0,
        "action": {"type": "ContinuousAction"},
    }
    env = gymnasium.make("highway-fast-v0", config=config)
    env.reset(seed=0)
    car, steps, end = env.unwrapped.vehicle, 0, False
    start = float(car.position[0])
    while not end:
        _, _, terminated, end, _ = env.step(np.array([0.5, 0.0], np.float32))
        steps += 1
        assert not terminated
    metres = float(car.position[0]) - start
    clock, simulated = env.unwrapped.time, env.unwrapped.steps / simulation
    print(f"{policy} Hz of {simulation}: {steps} steps, clock {clock:.1f} s, simulated {simulated:.1f} s, {metres:.0f} m")
    return steps, round(clock, 1), round(simulated, 1), round(metres)


reference = drive(1)
assert reference[:3] == (10, 10.0, 10.0)
for policy, simulation in ((3, 15), (5, 15), (10, 20), (20, 20)):
    _, clock, simulated, metres = drive(policy, simulation)
    assert simulated == clock and abs(metres - reference[3]) < 15
assert drive(2)[1:3] == (10.0, 9.3)
assert drive(4)[1:3] == (10.0, 8.0)
assert drive(10)[1:3] == (10.1, 6.7)
assert drive(20)[1:] == (10.0, 0.0, 0)
PYTHON
