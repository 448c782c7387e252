#!/usr/bin/env bash
# Minari 0.5.4: `pip install "minari[hdf5]"` is not enough for the hdf5 storage, which is the default: its module imports PIL at
# its top, and no dependency or extra of Minari's asks for Pillow. The first dataset fails with
# "ModuleNotFoundError: No module named 'PIL'", also where nothing is an image. Expected: a dataset. With Pillow installed it works.
# Exits with 1 if that changes.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "minari[hdf5]==0.5.4" gymnasium==1.4.0 numpy==2.4.6 2> "$folder/log" || { cat "$folder/log"; exit 2; }
cd "$folder"
cat > use.py <<'PY'
import gymnasium as gym
import minari
import numpy as np
from minari.data_collector.episode_buffer import EpisodeBuffer

flags = np.array([False, True])
episode = EpisodeBuffer(
    observations=np.zeros((3, 1), np.float32), actions=np.zeros((2, 1), np.float32), rewards=np.zeros(2),
    terminations=flags, truncations=~flags & False,
)
box = gym.spaces.Box(-1, 1, (1,))
dataset = minari.create_dataset_from_buffers("two/steps-v0", [episode], observation_space=box, action_space=box)
print("total_steps", dataset.total_steps)
PY
export MINARI_DATASETS_PATH=$folder/data
if "$folder/venv/bin/python" -W ignore use.py > before 2>&1; then echo "works without Pillow"; exit 1; fi
tail -n 1 before
grep -q "No module named 'PIL'" before
"$folder/venv/bin/pip" install -q pillow==13.0.0 2> "$folder/log" || { cat "$folder/log"; exit 2; }
rm -rf data
echo "with Pillow: $("$folder/venv/bin/python" -W ignore use.py)"
