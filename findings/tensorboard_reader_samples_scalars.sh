#!/usr/bin/env bash
# tensorboard 2.21.0: EventAccumulator(folder).Scalars(tag) has at most 10,000 points, drawn at random.
#
# A good guess: the reader that everyone uses to plot learning curves from event files hands out all points that were written. Without
# size_guidance it keeps a random sample of 10,000 of each tag and the last point. A log of every update is longer: the best value
# may be missing, and so may the first; means over windows rest on fewer points. Nothing warns. size_guidance={"scalars": 0} reads all of them.
# Any other entry alone, such as {"histograms": 0}, leaves scalars at 10,000.
#
# Run: bash findings/tensorboard_reader_samples_scalars.sh    (needs the package index; a minute, in a temporary folder)
# Output seen:
#     25000 points written, the best one 1.0 at step 12345
#     default: 10000 points, the best one 0.0, steps from 2 to 24999
#     size_guidance {'histograms': 0}: 10000 points, the best one 0.0, steps from 2 to 24999
#     size_guidance {'scalars': 0}: 25000 points, the best one 1.0, steps from 0 to 24999
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install tensorboard==2.21.0 numpy==2.4.6 "setuptools<80"
cd "$folder"
cat > ask.py <<'PYTHON'
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

POINTS, BEST = 25_000, 12_345
writer = EventFileWriter("log")
for step in range(POINTS):
    value = Summary.Value(tag="return", simple_value=float(step == BEST))
    writer.add_event(Event(step=step, wall_time=step, summary=Summary(value=[value])))
writer.close()
print(f"{POINTS} points written, the best one 1.0 at step {BEST}")
counts = []
for guidance in (None, {"histograms": 0}, {"scalars": 0}):
    reader = EventAccumulator("log", size_guidance=guidance)
    reader.Reload()
    points = reader.Scalars("return")
    best, steps = max(point.value for point in points), [point.step for point in points]
    name = "default" if guidance is None else f"size_guidance {guidance}"
    print(f"{name}: {len(points)} points, the best one {best}, steps from {steps[0]} to {steps[-1]}")
    counts.append((len(points), best, steps[-1]))
assert counts == [(10_000, 0.0, POINTS - 1)] * 2 + [(POINTS, 1.0, POINTS - 1)]
PYTHON
"$folder/venv/bin/python" -W ignore ask.py 2> errors || { cat errors; exit 1; }
