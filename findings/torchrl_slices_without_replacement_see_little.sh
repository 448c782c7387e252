#!/usr/bin/env bash
# TorchRL 0.14.1: one pass over a replay buffer with SliceSamplerWithoutReplacement sees one slice of each episode, and no more.
#
# A good guess: `for batch in buffer` is an epoch, in which each row, or each window, comes once: the documentation says that datasets are
# consumed as by a data loader, and that no element comes twice before the counter is reset. SamplerWithoutReplacement does go through all rows.
# But what the slice sampler uses up are episodes: after one slice of each, of a random place, the pass is over. Of four demonstrations of 1,000
# steps with slices of 32, a pass has 128 rows of 4,000, and rows seen in one pass may come again in the next while others never came.
# So "100 epochs" of behaviour cloning are about three, and a run with few of them never sees most of the data. A short episode weighs as
# much as a long one. Nothing warns. Where episodes are as long as a slice, a pass is whole: split them beforehand.
#
# Run: bash findings/torchrl_slices_without_replacement_see_little.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen, of 4,000 rows:
#     rows, without replacement: 4000 in one pass, 4000 different ones in ten
#     slices of 32 of episodes of 1000, without replacement: 128 in one pass, 1165 different ones in ten
#     slices of 32 of episodes of 32, without replacement: 4000 in one pass, 4000 different ones in ten
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torchrl==0.14.1 tensordict==0.14.3 torch==2.13.0 numpy==2.4.6
cd "$folder"
RL_LOGGING_LEVEL=ERROR "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, ReplayBuffer, SamplerWithoutReplacement, SliceSamplerWithoutReplacement

ROWS, SLICE, PASSES = 4000, 32, 10


def say(name, sampler, length):
    """Rows of one pass, and different rows of ten."""
    torch.manual_seed(0)
    buffer = ReplayBuffer(storage=LazyTensorStorage(ROWS), sampler=sampler, batch_size=2 * SLICE)
    row = torch.arange(ROWS)
    buffer.extend(TensorDict({"row": row, "episode": row // length}, [ROWS]))
    passes = [torch.cat([batch["row"] for batch in buffer]) for _ in range(PASSES)]
    once, all_of_them = len(passes[0]), len(torch.cat(passes).unique())
    print(f"{name}, without replacement: {once} in one pass, {all_of_them} different ones in ten")
    return once, all_of_them, torch.cat(passes)


def slices():
    return SliceSamplerWithoutReplacement(slice_len=SLICE, traj_key="episode")


assert say("rows", SamplerWithoutReplacement(), 1000)[:2] == (ROWS, ROWS)
once, seen, rows = say("slices of 32 of episodes of 1000", slices(), 1000)
assert once == 4 * SLICE and once < seen < PASSES * once and len(rows) == PASSES * once
assert say("slices of 32 of episodes of 32", slices(), SLICE)[:2] == (ROWS, ROWS)
PYTHON
