#!/usr/bin/env bash
# Minari 0.5.4 (pyarrow 26.0.1, gymnasium 1.4.0): an episode of more than 32,767 steps, written to the arrow or the parquet
# storage, is not read back whole. pyarrow hands out its rows in batches of 32,768, and Minari takes a batch for an episode.
# Seen: of 140,000 steps, each storage reads 32,767, or another batch (8,928); `total_steps` says 140,000; nothing warns.
# Expected: 140,000, as the hdf5 storage reads. Exits with 1 if that changes.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "minari[hdf5]==0.5.4" pillow==13.0.0 gymnasium==1.4.0 pyarrow==26.0.1 numpy==2.4.6 2> "$folder/log" || { cat "$folder/log"; exit 2; }
cd "$folder"
MINARI_DATASETS_PATH=$folder/data "$folder/venv/bin/python" -W ignore - <<'PY'
import gymnasium as gym
import minari
import numpy as np
from minari.data_collector.episode_buffer import EpisodeBuffer

STEPS = 140_000
found = {}
for storage in ("hdf5", "arrow", "parquet"):
    episode = EpisodeBuffer(
        observations=np.arange(STEPS + 1, dtype=np.float32)[:, None],
        actions=np.zeros((STEPS, 1), np.float32),
        rewards=np.zeros(STEPS),
        terminations=np.zeros(STEPS, bool),
        truncations=np.arange(STEPS) == STEPS - 1,
    )
    box = gym.spaces.Box(-np.inf, np.inf, (1,))
    dataset = minari.create_dataset_from_buffers(
        f"long/{storage}-v0", [episode], observation_space=box, action_space=box, data_format=storage
    )
    found[storage] = sum(len(item) for item in dataset.iterate_episodes())
    print(f"{storage}: total_steps {dataset.total_steps}, read {found[storage]}")
raise SystemExit(not (found["hdf5"] == STEPS and max(found["arrow"], found["parquet"]) < 32_768))
PY
