#!/usr/bin/env bash
# Minari 0.5.4 (gymnasium 1.4.0): DataCollector around an environment that resets itself records a transition that never happened in each episode.
#
# A good guess: DataCollector(Autoreset(env)), stepped on without end, records the episodes that were played. The collector does begin a new
# episode after each end by itself. But gymnasium's Autoreset resets in the step after an end, and that step is stored as the first of the new
# episode: from the last observation of the old one to the new start, by an action that was ignored, with a reward of 0. The start
# of the episode is its second row. Only the first episode, after reset(), is right. No flag tells these rows, and nothing warns;
# a policy that is cloned from them learns an action that did nothing in the very state that ended an episode.
# What works: the collector inside, Autoreset(DataCollector(env)).
#
# Run: bash findings/minari_collector_around_autoreset.sh    (needs the package index; a minute, 500 MB in a temporary folder)
# Output seen, of episodes of three steps that are observed as 0 to 3, 100 to 103, 200 to 203:
#     DataCollector(Autoreset(env)): observations 0 1 2 3, rewards 1 1 1
#     DataCollector(Autoreset(env)): observations 3 100 101 102 103, rewards 0 1 1 1
#     DataCollector(Autoreset(env)): observations 103 200 201 202 203, rewards 0 1 1 1
#     Autoreset(DataCollector(env)): observations 0 1 2 3, rewards 1 1 1
#     Autoreset(DataCollector(env)): observations 100 101 102 103, rewards 1 1 1
#     Autoreset(DataCollector(env)): observations 200 201 202 203, rewards 1 1 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install "minari[create,hdf5]==0.5.4" pillow==13.0.0 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
MINARI_DATASETS_PATH=$folder/data "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import numpy as np
from gymnasium.wrappers import Autoreset
from minari import DataCollector

EPISODES, STEPS = 3, 3


class Clock(gymnasium.Env):
    """Episode i is observed as 100 i, 100 i + 1, ..."""

    observation_space = gymnasium.spaces.Box(0, 1000, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))
    episode = -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.time = self.episode + 1, 0
        return self.observed(), {}

    def observed(self):
        return np.full(1, 100 * self.episode + self.time, np.float32)

    def step(self, action):
        self.time += 1
        return self.observed(), 1.0, self.time == STEPS, False, {}


def record(name, env, collector, dataset):
    env.reset()
    for _ in range(EPISODES * STEPS + EPISODES - 1):  # one step each to reset, but for the first
        env.step(np.zeros(1, np.float32))
    found = []
    for episode in collector.create_dataset(dataset).iterate_episodes():
        observations, rewards = (x.ravel().astype(int).tolist() for x in (episode.observations, episode.rewards))
        print(f"{name}: observations {' '.join(map(str, observations))}, rewards {' '.join(map(str, rewards))}")
        assert episode.terminations.tolist() == [False] * (len(rewards) - 1) + [True]
        found.append((observations, rewards))
    return found


true = [([100 * i + t for t in range(STEPS + 1)], [1] * STEPS) for i in range(EPISODES)]
outer = DataCollector(Autoreset(Clock()))
joined = [true[0], *(([true[i - 1][0][-1], *true[i][0]], [0, *true[i][1]]) for i in range(1, EPISODES))]
assert record("DataCollector(Autoreset(env))", outer, outer, "clock/outer-v0") == joined
inner = DataCollector(Clock())
assert record("Autoreset(DataCollector(env))", Autoreset(inner), inner, "clock/inner-v0") == true
PYTHON
