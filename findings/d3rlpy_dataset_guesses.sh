#!/usr/bin/env bash
# d3rlpy 2.8.1: two things that MDPDataset does to data of continuous control.
#
# 1. The kind of the actions is guessed from their values, not from their type. A bang-bang expert, whose float32 actions are all -1, 0 or 1, has a
#    "discrete" dataset, and BC.fit refuses it and asks for a discrete algorithm. Noise on a single action makes it continuous.
#    action_space=ActionSpace.CONTINUOUS says it.
# 2. The rows after the last terminal or timeout are left out without a word. A good guess: the recording that ends in the middle of an
#    episode keeps it, as cut off; its transitions are as good as others. With terminals alone, as of an environment that
#    reaches its final state now and then, most rows may be gone. (Without any end it is an error, as is a row that is both.)
#    A timeout at the last row keeps them, but for the very last, whose next observation is not known.
#
# Run: bash findings/d3rlpy_dataset_guesses.sh    (needs the package index; some minutes, 1 GB in a temporary folder)
# Output seen:
#     float32 actions of -1, 0 and 1: DISCRETE, of size 2; BC.fit: AssertionError; one of them 0.99: CONTINUOUS
#     100 rows, a terminal at row 9: 10 transitions; with a timeout at the last row: 99
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install d3rlpy==2.8.1 torch==2.13.0 numpy==2.4.6 scikit-learn
cd "$folder"
cat > ask.py <<'PYTHON'
import logging

import numpy as np
import structlog

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
from d3rlpy.algos import BCConfig
from d3rlpy.dataset import MDPDataset

generator = np.random.default_rng(0)
observations = generator.normal(size=(100, 3)).astype(np.float32)
actions = generator.integers(-1, 2, size=(100, 1)).astype(np.float32)
rewards = np.zeros(100)
terminals = np.arange(100) == 9
timeouts = np.arange(100) == 99

bang = MDPDataset(observations, actions, rewards, terminals, timeouts)
try:
    BCConfig().create().fit(bang, n_steps=1, n_steps_per_epoch=1, show_progress=False)
    fit = "works"
except AssertionError:
    fit = "AssertionError"
actions[0] = 0.99
other = MDPDataset(observations, actions, rewards, terminals, timeouts)
kinds = [dataset.dataset_info.action_space.name for dataset in (bang, other)]
size = bang.dataset_info.action_size
print(f"float32 actions of -1, 0 and 1: {kinds[0]}, of size {size}; BC.fit: {fit}; one of them 0.99: {kinds[1]}")
assert (kinds, fit) == (["DISCRETE", "CONTINUOUS"], "AssertionError")

alone = MDPDataset(observations, actions, rewards, terminals)
counts = alone.transition_count, other.transition_count
print("100 rows, a terminal at row 9: {} transitions; with a timeout at the last row: {}".format(*counts))
assert counts == (10, 99)
PYTHON
"$folder/venv/bin/python" -W ignore ask.py 2> errors || { cat errors; exit 1; }
