#!/usr/bin/env bash
# TorchRL 0.14.1: after GymEnv.set_seed(0) the first reset() gives the second start of gymnasium's seed 0.
#
# A good guess: env.set_seed(0) and env.reset() begin where gymnasium's env.reset(seed=0) begins, so that two libraries can be compared on the
# same starts. But set_seed resets the environment with the seed itself, and throws that start away; reset() then draws the
# next one. So a rollout of seed 0 has the starts that gymnasium gives from its second episode on.
# env.reset(seed=0), which hands the seed on, gives the first. Of a SerialEnv the first copy does the same; the second copy's seed is
# not 1, but drawn from 0.
#
# Run: bash findings/torchrl_set_seed_uses_up_a_reset.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen:
#     gymnasium's starts of seed 0: 0.652, -0.967, -0.387
#     set_seed(0): -0.967, -0.387; reset(seed=0): 0.652; SerialEnv.set_seed(0): -0.967, first of gymnasium's seed 1 or its second: False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch==2.13.0 torchrl==0.14.1 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import gymnasium as gym
from torchrl.envs import GymEnv, SerialEnv


def starts(seed, count):
    env = gym.make("Pendulum-v1")
    return [round(float(env.reset(seed=seed if number == 0 else None)[0][0]), 3) for number in range(count)]


def first(state):
    return [round(number, 3) for number in state["observation"][..., 0].reshape(-1).tolist()]


env = GymEnv("Pendulum-v1")
env.set_seed(0)
seeded = first(env.reset()) + first(env.reset())
(given,) = first(env.reset(seed=0))
serial = SerialEnv(2, lambda: GymEnv("Pendulum-v1"))
serial.set_seed(0)
copies = first(serial.reset())
serial.close()
true, other = starts(0, 3), copies[1] in starts(1, 2)
print(f"gymnasium's starts of seed 0: {', '.join(map(str, true))}")
print(
    f"set_seed(0): {seeded[0]}, {seeded[1]}; reset(seed=0): {given}; SerialEnv.set_seed(0): {copies[0]}, "
    f"first of gymnasium's seed 1 or its second: {other}"
)
assert (seeded, given, copies[0], other) == (true[1:], true[0], true[1], False)
PYTHON
RL_LOGGING_LEVEL=ERROR "$folder/venv/bin/python" -W ignore ask.py 2> errors || { cat errors; exit 1; }
