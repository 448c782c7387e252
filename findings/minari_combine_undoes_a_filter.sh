#!/usr/bin/env bash
# Minari 0.5.4: combine_datasets brings back the episodes that filter_episodes or split_dataset left out.
#
# A good guess: the best episodes of two datasets in one are combine_datasets([a.filter_episodes(best), b.filter_episodes(best)], id).
# A filtered dataset reads, counts and samples its own episodes alone, but it shares the storage of the whole dataset, and
# combine_datasets copies storages. So the result has all episodes, bad ones too; one that is in two parts of a split is there twice.
# Nothing warns. What works: to write the episodes of the filtered dataset anew, with create_dataset_from_buffers. (The namespace of the
# new dataset must exist already: unlike create_dataset_from_buffers, combine_datasets ends with FileNotFoundError else.)
#
# Run: bash findings/minari_combine_undoes_a_filter.sh    (needs the package index; a minute, in a temporary folder)
# Output seen:
#     returns, a filtered: [2.0, 3.0]; b filtered: [2.0, 3.0]; combined: [0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 3.0]
#     parts of a split: 3 and 1 episodes; combined: 8
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install "minari[hdf5]==0.5.4" pillow==13.0.0 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
MINARI_DATASETS_PATH=$folder/data "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium as gym
import minari
import numpy as np
from minari.data_collector.episode_buffer import EpisodeBuffer

box = gym.spaces.Box(-1, 1, (1,))


def write(name):
    episodes = [
        EpisodeBuffer(
            observations=np.zeros((3, 1), np.float32), actions=np.zeros((2, 1), np.float32), rewards=np.full(2, total / 2),
            terminations=np.array([False, True]), truncations=np.zeros(2, bool),
        )
        for total in range(4)
    ]
    return minari.create_dataset_from_buffers(name, episodes, observation_space=box, action_space=box)


def returns(dataset):
    return [float(episode.rewards.sum()) for episode in dataset.iterate_episodes()]


a, b = (write(f"{name}/all-v0").filter_episodes(lambda episode: episode.rewards.sum() >= 2) for name in ("one", "two"))
both = minari.combine_datasets([a, b], "one/best-v0")
print(f"returns, a filtered: {returns(a)}; b filtered: {returns(b)}; combined: {returns(both)}")
assert returns(a) == returns(b) == [2, 3] and returns(both) == [0, 1, 2, 3] * 2

parts = minari.split_dataset(minari.load_dataset("one/all-v0"), [3, 1], seed=0)
whole = minari.combine_datasets(parts, "one/again-v0")
print(f"parts of a split: {parts[0].total_episodes} and {parts[1].total_episodes} episodes; combined: {whole.total_episodes}")
assert [part.total_episodes for part in (*parts, whole)] == [3, 1, 8]
PYTHON
