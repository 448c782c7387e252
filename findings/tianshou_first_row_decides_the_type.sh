#!/usr/bin/env bash
# tianshou 2.0.1: a replay buffer keeps observations and actions in the type of its first row, and rounds all later ones to it.
#
# A good guess: floats that meet an array of integers make it one of floats, or are refused. But the first row decides. Who begins with the
# integers that stand for a start or for doing nothing (np.array([0])) has 0.7 stored as 0 and -0.9 as 0 from then on, also after
# save_hdf5 and load_hdf5. Nothing warns; rewards alone are always floats. Give the first row the type of the spaces.
#
# Run: bash findings/tianshou_first_row_decides_the_type.sh    (needs the package index; some minutes, 1 GB in a temporary folder)
# Output seen:
#     integers first: obs [0.0, 0.0], act [0.0, 0.0], rew [0.0, 0.5]
#     floats first: obs [0.0, 0.7], act [0.0, -0.9], rew [0.0, 0.5]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install tianshou==2.0.1 torch==2.13.0 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import numpy as np
from tianshou.data import Batch, ReplayBuffer


def stored(first):
    buffer = ReplayBuffer(5)
    ends = {"terminated": False, "truncated": False, "info": {}}
    buffer.add(Batch(obs=first, act=first, rew=0, obs_next=first, **ends))
    later = np.array([0.7])
    buffer.add(Batch(obs=later, act=np.array([-0.9]), rew=0.5, obs_next=later, **ends))
    rows = buffer[:]
    return {name: np.asarray(rows[name], float).reshape(-1).tolist() for name in ("obs", "act", "rew")}


integers, floats = stored(np.array([0])), stored(np.array([0.0]))
for name, seen in (("integers", integers), ("floats", floats)):
    print(f"{name} first: " + ", ".join(f"{part} {values}" for part, values in seen.items()))
assert integers == {"obs": [0, 0], "act": [0, 0], "rew": [0, 0.5]}
assert floats == {"obs": [0, 0.7], "act": [0, -0.9], "rew": [0, 0.5]}
PYTHON
"$folder/venv/bin/python" -W ignore ask.py
