#!/usr/bin/env bash
# gymnasium-robotics 1.4.2: compute_terminated of a maze gives one answer for a whole batch of goals, and a wrong one.
#
# A good guess: the functions of a goal environment, which hindsight relabelling calls with batches, compute row by row: compute_reward does.
# compute_terminated(achieved, desired, info) of PointMaze and AntMaze takes the norm of the whole matrix of differences instead, and
# returns a single bool: whether the root of the summed squared distances is at most 0.45. So of a batch of rows that all reached their goals it
# says True or False by the size of the batch, and one row that did not makes all of them False. An array of flags is filled with that one
# value without an error: relabelled ends are lost, or all rows are ends. Nothing warns. (Both functions are documented for one pair of
# goals; the reward alone takes more.) Row by row it is right.
#
# Run: bash findings/gymnasium_robotics_maze_end_of_a_batch.sh    (needs the package index; two minutes, 600 MB in a temporary folder)
# Output seen, of PointMaze_UMaze-v3 with continuing_task=False; goals that are 0.1 away are reached, those 1.0 away are not:
#     4 rows at 0.1: 4 rewards of 1, 4 ends row by row; as a batch True
#     25 rows at 0.1: 25 rewards of 1, 25 ends row by row; as a batch False
#     3 rows at 0.1, one at 1.0: 3 rewards of 1, 3 ends row by row; as a batch False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install gymnasium-robotics==1.4.2 mujoco==3.3.2 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - 2> "$folder/log" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import gymnasium
import gymnasium_robotics
import numpy as np

gymnasium.register_envs(gymnasium_robotics)
env = gymnasium.make("PointMaze_UMaze-v3", continuing_task=False).unwrapped
NEAR, FAR = 0.1, 1.0
for name, distances, expected in (
    ("4 rows at 0.1", [NEAR] * 4, True),
    ("25 rows at 0.1", [NEAR] * 25, False),
    ("3 rows at 0.1, one at 1.0", [NEAR] * 3 + [FAR], False),
):
    desired = np.zeros((len(distances), 2))
    achieved = desired + np.array([[distance, 0] for distance in distances])
    rewards = env.compute_reward(achieved, desired, {})
    together = env.compute_terminated(achieved, desired, {})
    alone = [env.compute_terminated(*row, {}) for row in zip(achieved, desired)]
    print(f"{name}: {sum(rewards):.0f} rewards of 1, {sum(alone)} ends row by row; as a batch {together}")
    assert rewards.tolist() == [float(distance == NEAR) for distance in distances] == [float(end) for end in alone]
    assert together is expected
PYTHON
