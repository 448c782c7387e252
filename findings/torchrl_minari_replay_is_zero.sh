#!/usr/bin/env bash
# TorchRL 0.14.1 (tensordict 0.14.3, torch 2.13.0, Minari 0.5.4): `MinariExperienceReplay` hands out a buffer of the right size
# whose observations, actions, rewards and flags are all zero; nothing warns. It makes the storage from the shapes of what it
# has read, without the contents. Seen here with a dataset of two episodes of five steps, actions 1, that Minari reads right.
# Expected: actions 1. Exits with 1 if that changes.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torchrl==0.14.1 tensordict==0.14.3 torch==2.13.0 "minari[hdf5]==0.5.4" pillow==13.0.0 gymnasium==1.4.0 \
    numpy==2.4.6 tqdm requests 2> "$folder/log" || { cat "$folder/log"; exit 2; }
cd "$folder"
MINARI_DATASETS_PATH=$folder/data RL_LOGGING_LEVEL=ERROR "$folder/venv/bin/python" -W ignore - <<'PY'
import gymnasium as gym
import minari
import numpy as np
from minari.data_collector.episode_buffer import EpisodeBuffer
from torchrl.data.datasets import MinariExperienceReplay

last = np.arange(5) == 4
episode = EpisodeBuffer(
    observations=np.ones((6, 1), np.float32), actions=np.ones((5, 1), np.float32), rewards=np.ones(5),
    terminations=~last & False, truncations=last,
)
box = gym.spaces.Box(-2, 2, (1,))
dataset = minari.create_dataset_from_buffers("two/ones-v0", [episode] * 2, observation_space=box, action_space=box)
read = np.concatenate([item.actions.ravel() for item in dataset.iterate_episodes()])
buffer = MinariExperienceReplay("two/ones-v0", 10, split_trajs=False, load_from_local_minari=True, root="torchrl")
found = buffer[:]["action"].flatten().numpy()
print("Minari:", read, "TorchRL:", found)
raise SystemExit(bool(not (read == 1).all() or found.shape != (10,) or found.any()))
PY
