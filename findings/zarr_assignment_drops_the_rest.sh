#!/usr/bin/env bash
# zarr 3.1.6 (numpy 2.4.6, h5py 3.16.0): an assignment of more rows than its slice has stores the first ones and drops the rest.
#
# A good guess: array[position : position + len(episode)] = episode stores the episode, or is refused, as by numpy and h5py. Where the slice reaches
# beyond the array, or lies outside of it, or is simply shorter than the episode, zarr cuts the episode to what fits, down to nothing. Too few rows
# are refused, and so is a single index outside of the array. A recording into an array of fixed length (shape=(100_000, ...)), whose last episodes no
# longer fit, ends in the middle of an episode, and positions that are counted as written (such as the ends of episodes) point beyond the array.
# Slices read from such positions are then short or empty, again without an error. Nothing warns. What works: append(episode), or resize() first.
#
# Run: bash findings/zarr_assignment_drops_the_rest.sh    (needs the package index; a minute, in a temporary folder)
# Output seen, of an episode of rows 1 to 4 written to an array of six zeros (after the last line Python may print that a task of zarr is pending):
#     [0:4]: numpy 1, 2, 3, 4, 0, 0; h5py 1, 2, 3, 4, 0, 0; zarr 1, 2, 3, 4, 0, 0
#     [4:8]: numpy ValueError; h5py TypeError; zarr 0, 0, 0, 0, 1, 2
#     [8:12]: numpy ValueError; h5py TypeError; zarr 0, 0, 0, 0, 0, 0
#     [0:3]: numpy ValueError; h5py TypeError; zarr 1, 2, 3, 0, 0, 0
#     [0:5]: numpy ValueError; h5py TypeError; zarr ValueError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install zarr==3.1.6 h5py==3.16.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PYTHON'
import h5py
import numpy as np
import zarr

episode = np.arange(1.0, 5)
hdf5 = h5py.File("recording.h5", "w")
makers = {
    "numpy": lambda: np.zeros(6),
    "h5py": lambda: hdf5.create_dataset(str(len(hdf5)), data=np.zeros(6), maxshape=(None,), chunks=(4,)),
    "zarr": lambda: zarr.create_array("recording.zarr", data=np.zeros(6), chunks=(4,), overwrite=True),
}
found = {}
for start, stop in ((0, 4), (4, 8), (8, 12), (0, 3), (0, 5)):
    for name, make in makers.items():
        array = make()
        try:
            array[start:stop] = episode
            found[name, start, stop] = array[:].tolist()
        except (TypeError, ValueError) as error:
            found[name, start, stop] = type(error).__name__
    results = [found[name, start, stop] for name in makers]
    print(f"[{start}:{stop}]:", "; ".join(f"{name} {r if isinstance(r, str) else ', '.join(f'{x:.0f}' for x in r)}" for name, r in zip(makers, results)))
assert found["zarr", 0, 4] == found["numpy", 0, 4] == found["h5py", 0, 4] == [1, 2, 3, 4, 0, 0]
assert found["zarr", 4, 8] == [0, 0, 0, 0, 1, 2] and found["zarr", 8, 12] == [0] * 6 and found["zarr", 0, 3] == [1, 2, 3, 0, 0, 0]
assert all(isinstance(found[name, *place], str) for name in ("numpy", "h5py") for place in ((4, 8), (8, 12), (0, 3), (0, 5)))
assert found["zarr", 0, 5] == "ValueError"
PYTHON
