#!/usr/bin/env bash
# TorchRL 0.14.1: hasattr() on a SerialEnv that was not reset yet raises RecursionError instead of answering.
#
# A good guess: hasattr(env, "render_fps"), which code that takes any environment asks, answers False for an unknown name. A SerialEnv
# asks its environments for a name that it does not have itself, and these exist from the first reset() on. Before it the
# search calls itself until Python stops it with a RecursionError, which hasattr() lets through (it waits for AttributeError alone).
# After reset() the answer is False.
#
# Run: bash findings/torchrl_serial_env_hasattr.sh    (needs the package index; a minute, 1 GB in a temporary folder)
# Output seen:
#     before reset(): RecursionError
#     after reset(): False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch==2.13.0 torchrl==0.14.1 gymnasium==1.3.0 numpy
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from torchrl.envs import GymEnv, SerialEnv


def answer(env):
    try:
        return str(hasattr(env, "render_fps"))
    except RecursionError as error:
        return type(error).__name__


env = SerialEnv(2, lambda: GymEnv("Pendulum-v1"))
before = answer(env)
env.reset()
after = answer(env)
print(f"before reset(): {before}")
print(f"after reset(): {after}")
assert (before, after) == ("RecursionError", "False")
PYTHON
