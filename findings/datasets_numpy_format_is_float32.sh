#!/usr/bin/env bash
# datasets 5.2.0 (Hugging Face): with_format("numpy") gives float32 for what is stored as float64.
#
# A good guess: the arrays have the types that `features` names, as they have without a format, and in arrow or pandas. But floats of every
# width come as float32 and integers as int64; a single number alone keeps its type. Nothing warns. For positions it is a
# rounding of 1e-7, which takes an action off its bound. A clock's time in seconds loses its steps altogether: float32 tells apart
# 128 seconds there. Velocities by differences divide by 0, and rows of several recordings cannot be ordered by time.
# (Known as issue 5517 of the project.) What works: with_format("numpy", dtype=None).
#
# Run: bash findings/datasets_numpy_format_is_float32.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen, of three steps of 0.05 seconds with an action of -pi, 0 and pi in a space from -pi to pi:
#     stored: time float64, action float64, count int32
#     numpy: time float32, action float32, count int64; steps of [0.0, 0.0] s; actions in the space [False, True, False]
#     numpy, dtype=None: time float64, action float64, count int32; steps of [0.05, 0.05] s; actions in the space [True, True, True]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install datasets==5.2.0 pyarrow==26.0.1 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
HF_HUB_OFFLINE=1 HF_HOME=$folder/home "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import datasets
import numpy as np
from gymnasium.spaces import Box

space = Box(-np.pi, np.pi, (1,), np.float64)
stored = datasets.Dataset.from_dict(
    {
        "time": 1_764_000_000 + 0.05 * np.arange(3),
        "action": np.array([[-np.pi], [0], [np.pi]]),
        "count": np.arange(3, dtype=np.int32),
    }
)
types = [stored.features[name].dtype if name != "action" else stored.features[name].feature.dtype for name in stored.column_names]
print("stored: " + ", ".join(f"{name} {kind}" for name, kind in zip(stored.column_names, types)))
assert types == ["float64", "float64", "int32"]

for name, options, expected in (
    ("numpy", {}, (["float32", "float32", "int64"], [0, 0], [False, True, False])),
    ("numpy, dtype=None", {"dtype": None}, (types, [0.05, 0.05], [True] * 3)),
):
    rows = stored.with_format("numpy", **options)[:]
    kinds = [str(rows[column].dtype) for column in stored.column_names]
    steps = np.diff(rows["time"]).round(3).tolist()
    inside = [bool((space.low <= action).all() and (action <= space.high).all()) for action in rows["action"].astype(np.float64)]
    said = ", ".join(f"{column} {kind}" for column, kind in zip(stored.column_names, kinds))
    print(f"{name}: {said}; steps of {steps} s; actions in the space {inside}")
    assert (kinds, steps, inside) == expected
assert stored.with_format("numpy")[0]["time"].dtype == np.float64
PYTHON
