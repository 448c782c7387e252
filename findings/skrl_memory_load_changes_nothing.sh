#!/usr/bin/env bash
# skrl 2.1.1: Memory.load() reads the file and leaves what the memory hands out as it was.
#
# A good guess: memory.save(folder, format="npz") and memory.load(path) on a memory with the same tensors bring the transitions back, to
# resume a run or to learn from recorded data. But load() binds the arrays to attributes that no other method reads. get_tensor_by_name,
# sample and sample_all go on with the old tensors, and len() stays. A new memory is empty afterwards: sample() gives batches
# of no rows, and a mean over them, as a loss is one, is NaN. A memory that holds other transitions goes on handing those out. Nothing
# warns, for .npz and .pt alike. What works: set_tensor_by_name(name, tensor) for each array of the file, with `filled = True` if
# the saved memory was full. The file says neither how many rows are filled (the others are NaN) nor where the oldest one is.
#
# Run: bash findings/skrl_memory_load_changes_nothing.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen, of a memory of four rewards of 1, saved, and loaded into a new one and into one of four rewards of 5:
#     npz, new memory: 0 rows, samples []; one that holds 5: samples [5.0, 5.0, 5.0, 5.0]
#     pt, new memory: 0 rows, samples []; one that holds 5: samples [5.0, 5.0, 5.0, 5.0]
#     set by name: 4 rows, samples [1.0, 1.0, 1.0, 1.0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install skrl==2.1.1 torch==2.13.0 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import glob

import numpy as np
import torch
from skrl.memories.torch import RandomMemory

SIZE = 4


def memory(reward=None):
    """Of one environment; full of this reward, or empty."""
    made = RandomMemory(memory_size=SIZE, num_envs=1, device="cpu")
    made.create_tensor("rewards", size=1, dtype=torch.float32)
    for _ in range(0 if reward is None else SIZE):
        made.add_samples(rewards=torch.full((1, 1), float(reward)))
    return made


def sampled(which):
    return which.sample(["rewards"], batch_size=SIZE)[0][0].flatten().tolist()


for kind in ("npz", "pt"):
    memory(1).save(".", format=kind)
    (path,) = glob.glob(f"memories/*.{kind}")
    new, other = memory(), memory(5)
    new.load(path)
    other.load(path)
    print(f"{kind}, new memory: {len(new)} rows, samples {sampled(new)}; one that holds 5: samples {sampled(other)}")
    assert len(new) == 0 and sampled(new) == [] and sampled(other) == [5.0] * SIZE

new = memory()
for name, array in np.load(glob.glob("memories/*.npz")[0]).items():
    new.set_tensor_by_name(name, torch.from_numpy(array))
new.filled = True
print(f"set by name: {len(new)} rows, samples {sampled(new)}")
assert len(new) == SIZE and sampled(new) == [1.0] * SIZE
PYTHON
