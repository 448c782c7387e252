#!/usr/bin/env bash
# TorchRL 0.14.1: of slices of episodes, CatFrames in a replay buffer stacks the end of one slice with the start of the next.
#
# A good guess: with SliceSampler each slice is a sequence of its own. The batch says so: ("next", "done") is True at the last step of every slice, and
# CatFrames, which separates sequences by just this key, pads the first frames of a slice. But the sampler's flags are written into the
# batch after the transforms of the buffer have run. CatFrames sees the flags as recorded, which are False where a slice ends in the middle of an
# episode, and goes on into the next slice, of any other place and episode. The finished batch carries flags that do not fit the
# stacks in it. With windows of N frames the first N - 1 rows of a slice are wrong, observation and next observation alike. Nothing warns of it. A policy that is
# cloned from stacked frames learns from motions that nobody showed: the difference of two frames, its speed, is that between two
# episodes. Slices that are whole episodes are right, and so is a reshape to [slices, steps] before CatFrames.
#
# Run: bash findings/torchrl_slices_mix_frames.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen, of six episodes of eight steps, observed as 100 to 107, 200 to 207, ..., in stacks of three:
#     slices of 5 steps: 1000 rows, 704 of one episode in order; around a slice's end: [305, 306, 403], [306, 403, 404]
#         ("next", "done") of these slices: [False, False, False, False, True]
#     slices of 8 steps: 1600 rows, 1600 of one episode in order
#     slices of 5 steps, reshaped: 1000 rows, 1000 of one episode in order
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torchrl==0.14.1 tensordict==0.14.3 torch==2.13.0 numpy==2.4.6
cd "$folder"
RL_LOGGING_LEVEL=ERROR "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, SliceSampler, TensorDictReplayBuffer
from torchrl.envs.transforms import CatFrames, Compose

EPISODES, STEPS, FRAMES, SLICES = 6, 8, 3, 200


def recording():
    episode, step = torch.meshgrid(torch.arange(1, EPISODES + 1), torch.arange(STEPS), indexing="ij")
    place = (100.0 * episode + step).reshape(-1, 1)
    end = (step == STEPS - 1).reshape(-1, 1)
    flags = {"done": end, "terminated": end, "truncated": torch.zeros_like(end)}
    after = {"observation": place + 1, "reward": torch.ones_like(place), **flags}
    return TensorDict({"observation": place, "episode": episode.flatten(), "next": after}, batch_size=[EPISODES * STEPS])


def in_order(stack):
    later = all(second - first in (0, 1) for first, second in zip(stack, stack[1:]))  # 0: the first frame, repeated
    return later and len({int(place) // 100 for place in stack}) == 1


def sample(name, length, transform):
    torch.manual_seed(0)
    sampler = SliceSampler(slice_len=length, traj_key="episode")
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(100), sampler=sampler, transform=transform, batch_size=SLICES * length)
    buffer.extend(recording())
    batch = buffer.sample()
    stacks = [[int(place) for place in stack] for stack in batch["observation"].tolist()]
    right = [in_order(stack) for stack in stacks]
    done = batch["next", "done"].reshape(SLICES, length).tolist()
    assert all(flags == [False] * (length - 1) + [True] for flags in done)
    line = f"{name}: {len(stacks)} rows, {sum(right)} of one episode in order"
    return line, stacks, torch.tensor(right).reshape(SLICES, length), done[0]


def cat_frames():
    return CatFrames(N=FRAMES, dim=-1, in_keys=["observation", ("next", "observation")])


line, stacks, right, done = sample("slices of 5 steps", 5, cat_frames())
wrong = next(row for row in range(len(stacks)) if not right.flatten()[row])
print(f"{line}; around a slice's end: {stacks[wrong]}, {stacks[wrong + 1]}")
print(f'    ("next", "done") of these slices: {done}')
assert right[:, FRAMES - 1 :].all() and 0.1 < right[:, : FRAMES - 1].float().mean() < 0.4  # right by chance after a slice that ended an episode
line, _, right, _ = sample(f"slices of {STEPS} steps", STEPS, cat_frames())
print(line)
assert right.all()
apart = Compose(lambda batch: batch.reshape(SLICES, -1), cat_frames(), lambda batch: batch.reshape(-1))
line, _, right, _ = sample("slices of 5 steps, reshaped", 5, apart)
print(line)
assert right.all()
PYTHON
