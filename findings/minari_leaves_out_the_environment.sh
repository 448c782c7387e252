#!/usr/bin/env bash
# Minari 0.5.4 (gymnasium 1.4.0): a dataset recorded in an environment with a numpy argument, here RescaleAction with
# np.float32 bounds, is written without the environment: no id, no arguments, no wrappers. The same bounds as floats are kept.
# Nothing but Python's warnings says
# so, among others. Expected: the environment, or an error. Exits with 1 if that changes.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "minari[create,hdf5]==0.5.4" pillow==13.0.0 gymnasium==1.4.0 numpy==2.4.6 2> "$folder/log" || { cat "$folder/log"; exit 2; }
cd "$folder"
MINARI_DATASETS_PATH=$folder/data "$folder/venv/bin/python" -W ignore - <<'PY'
import gymnasium as gym
import minari
import numpy as np

found = []
for kind in (float, np.float32):
    env = gym.wrappers.RescaleAction(gym.make("MountainCarContinuous-v0"), kind(-0.5), kind(0.5))
    collector = minari.DataCollector(env)
    collector.reset(seed=0)
    for _ in range(3):
        collector.step(collector.action_space.sample())
    dataset = collector.create_dataset(f"rescaled/{kind.__name__}-v0")
    found.append(dataset.env_spec.id if dataset.env_spec else None)
    print(kind.__name__, "->", found[-1])
raise SystemExit(found != ["MountainCarContinuous-v0", None])
PY
