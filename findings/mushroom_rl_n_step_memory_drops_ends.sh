#!/usr/bin/env bash
# MushroomRL 1.10.2: for returns of several steps its replay memory drops the ends of episodes, short episodes, and all that is added step by step.
#
# A good guess: ReplayMemory.add(dataset, n_steps_return=3, gamma) stores a row for every transition; near the end of an episode the sum has
# fewer rewards. Where transitions are added as they come, the memory waits until it has three. But a row is stored only if its whole window lies in
# the dataset of this one call and in one episode. So
# - the last two states of every episode are never stored as states: what a goal or a fall is worth is learned from three steps before it alone.
#   The values of the two states next to it are never trained, though the targets of earlier states bootstrap from them;
# - an episode of one or two steps, such as an early fall, leaves no row;
# - the last two rows of every call are lost, too. With core.learn(n_steps_per_fit=1), as for DQN or SAC, the memory stays empty: Rainbow, which hands
#   its n_steps_return on, never fits. With 4 steps per fit half of the data is lost.
# PrioritizedReplayMemory keeps the same rows. Nothing warns. With n_steps_return=1 all rows are stored. Whole episodes in one call lose the ends alone.
#
# Run: bash findings/mushroom_rl_n_step_memory_drops_ends.sh    (needs the package index; a quarter of an hour, 6 GB in a temporary folder)
# Output seen, of rows of an episode of 6 steps, states 0 to 6, one of 2 steps, 10 to 12, and one of 4 steps, 20 to 24; reward 1, gamma 0.5:
#     n = 1, one call: states 0, 1, 2, 3, 4, 5, 10, 11, 20, 21, 22, 23
#     n = 3, one call: states 0, 1, 2, 3, 20, 21
#     n = 3, calls of 4 rows: states 0, 1, 20, 21
#     n = 3, calls of 1 row: states
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install mushroom-rl==1.10.2 numpy==1.24.4
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from mushroom_rl.utils.replay_memory import ReplayMemory

rows = []  # (state, action, reward, next state, absorbing, last)
for start, length in ((0, 6), (10, 2), (20, 4)):
    for step in range(start, start + length):
        final = step == start + length - 1
        rows.append((np.array([step]), np.zeros(1), 1.0, np.array([step + 1]), final, final))


def stored(count, size, name):
    memory = ReplayMemory(1, 100)
    for start in range(0, len(rows), size):
        memory.add(rows[start : start + size], n_steps_return=count, gamma=0.5)
    states = [int(state[0]) for state in memory._states[: memory.size]]
    print(f"n = {count}, {name}: states", ", ".join(map(str, states)))
    return states


assert stored(1, 12, "one call") == [int(row[0][0]) for row in rows]
assert stored(3, 12, "one call") == [0, 1, 2, 3, 20, 21]
assert stored(3, 4, "calls of 4 rows") == [0, 1, 20, 21]
assert stored(3, 1, "calls of 1 row") == []
PYTHON
