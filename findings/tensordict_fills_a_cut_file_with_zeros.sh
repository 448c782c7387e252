#!/usr/bin/env bash
# tensordict 0.14.3: load_memmap fills a memory map that lacks its last rows up with zeros, on the disk, too.
#
# A good guess: a folder whose copy broke off is refused, as torch.load refuses half a file, for meta.json says how many rows there are. But
# TensorDict.load_memmap, and with it ReplayBuffer.loads of TorchRL 0.14.1, opens the file at the size that meta.json says. What is missing
# becomes zero, and the file itself grows to the full size, so that afterwards nothing tells it from a whole one. Nothing warns. A file
# that is missing altogether is a key that is missing, without an error, too. Compare sizes, or a checksum, before the first load.
#
# Run: bash findings/tensordict_fills_a_cut_file_with_zeros.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen:
#     TensorDict.load_memmap: 500 of 1000 rows are as written, 500 are zero; the file had 6000 bytes, now 12000
#     ReplayBuffer.loads: 500 of 1000 rows are as written, 500 are zero; the file had 6000 bytes, now 12000
#     a missing file: keys ['reward']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch==2.13.0 tensordict==0.14.3 torchrl==0.14.1 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import os
from pathlib import Path

import torch
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, ReplayBuffer

data = TensorDict({"action": torch.ones(1000, 3), "reward": torch.ones(1000, 1)}, [1000])


def load_dict():
    return TensorDict.load_memmap("dict")


def load_buffer():
    buffer = ReplayBuffer(storage=LazyTensorStorage(1000))
    buffer.loads("buffer")
    return buffer[:]


data.memmap("dict")
buffer = ReplayBuffer(storage=LazyTensorStorage(1000))
buffer.extend(data)
buffer.dumps("buffer")
for name, file, load in (
    ("TensorDict.load_memmap", Path("dict/action.memmap"), load_dict),
    ("ReplayBuffer.loads", Path("buffer/storage/action.memmap"), load_buffer),
):
    before = file.stat().st_size // 2
    os.truncate(file, before)
    action = load()["action"]
    right, zero = (int((action == value).all(1).sum()) for value in (1, 0))
    now = file.stat().st_size
    print(
        f"{name}: {right} of {len(action)} rows are as written, {zero} are zero; the file had {before} bytes, now {now}"
    )
    assert (right, zero, before, now) == (500, 500, 6000, 12000)
Path("dict/action.memmap").unlink()
keys = list(load_dict().keys())
print(f"a missing file: keys {keys}")
assert keys == ["reward"]
PYTHON
RL_LOGGING_LEVEL=ERROR "$folder/venv/bin/python" -W ignore ask.py 2> errors || { cat errors; exit 1; }
