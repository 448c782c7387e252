#!/usr/bin/env bash
# TorchRL 0.14.1: a PendulumEnv that is made with other parameters has them in its specs alone.
#
# A good guess: PendulumEnv(td_params=PendulumEnv.gen_params(g=5.0)) is a pendulum with a gravity of 5. But its reset() draws up the standard
# parameters, g = 10 among them, and steps use what reset() gave. The parameters must be handed to every reset; a collector,
# which resets by itself, does not do so, and neither does rollout(). So a changed pendulum trains as the standard one.
#
# Run: bash findings/torchrl_pendulum_forgets_its_parameters.sh    (needs the package index; a minute, 1 GB in a temporary folder)
# Output seen:
#     made with g = 5: reset() gives g = 10, reset(parameters) gives g = 5
#     rollout of 20 steps from the same seed, made with g = 5 and with g = 10: equal
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch==2.13.0 torchrl==0.14.1 numpy
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from torchrl.envs.custom.pendulum import PendulumEnv


def rollout(g):
    env = PendulumEnv(td_params=PendulumEnv.gen_params(g=g), seed=0)
    torch.manual_seed(0)
    return env.rollout(20)["next", "thdot"]


parameters = PendulumEnv.gen_params(g=5.0)
env = PendulumEnv(td_params=parameters, seed=0)
alone, given = (float(state["params", "g"]) for state in (env.reset(), env.reset(parameters)))
print(f"made with g = 5: reset() gives g = {alone:.0f}, reset(parameters) gives g = {given:.0f}")
same = torch.equal(rollout(5.0), rollout(10.0))
print(f"rollout of 20 steps from the same seed, made with g = 5 and with g = 10: {'equal' if same else 'not equal'}")
assert (alone, given, same) == (10.0, 5.0, True)
PYTHON
