#!/usr/bin/env bash
# MO-Gymnasium 1.3.2: the discounted return that its vector MORecordEpisodeStatistics reports is that of all episodes so far.
#
# A good guess: at the end of an episode infos["episode"] has its return "r" and its discounted return "dr", as the wrapper of a single
# environment has. Of a vector environment the first episode's are right. Later on "r" and "l" are still of the episode alone, but "dr" starts
# anew at reset() only, which a vector environment that resets its copies by itself never sees again. So each episode's value is added to
# those before it: a policy that never changes seems to get better (or worse) without end. Nothing warns. The step in which a copy resets
# does no harm, its reward is 0. Of copies whose episodes end at different times each has its own sum.
#
# Run: bash findings/mo_gymnasium_discounted_return_adds_up.sh    (needs the package index; a minute, 200 MB in a temporary folder)
# Output seen, for four equal episodes of 50 steps and a discount factor of 0.99:
#     one environment: r -50.00 -50.00 -50.00 -50.00, dr -39.50 -39.50 -39.50 -39.50
#     vector environment: r -50.00 -50.00 -50.00 -50.00, dr -39.50 -79.00 -118.50 -158.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install mo-gymnasium==1.3.2 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import mo_gymnasium
import numpy as np
from mo_gymnasium.wrappers import MORecordEpisodeStatistics as Statistics
from mo_gymnasium.wrappers.vector import MORecordEpisodeStatistics as VectorStatistics
from mo_gymnasium.wrappers.vector import MOSyncVectorEnv

EPISODES, STEPS, GAMMA = 4, 50, 0.99


def make():
    return mo_gymnasium.make("mo-mountaincarcontinuous-v0", max_episode_steps=STEPS)


def say(name, episodes):
    """The first objective: -1 in each step."""
    returns, discounted = ([float(np.ravel(episode[key])[0]) for episode in episodes] for key in ("r", "dr"))
    print(f"{name}: r {' '.join(f'{x:.2f}' for x in returns)}, dr {' '.join(f'{x:.2f}' for x in discounted)}")
    assert np.allclose(returns, -STEPS)
    return discounted


action = np.full(1, 0.5, np.float32)
one, alone = Statistics(make(), gamma=GAMMA), []
while len(alone) < EPISODES:
    one.reset()
    truncated = False
    while not truncated:
        _, _, _, truncated, info = one.step(action)
    alone.append(info["episode"])

envs, together = VectorStatistics(MOSyncVectorEnv([make]), gamma=GAMMA), []
envs.reset()
while len(together) < EPISODES:
    *_, infos = envs.step(action[None])
    if "episode" in infos:
        together.append(infos["episode"])

true = -(1 - GAMMA**STEPS) / (1 - GAMMA)
assert np.allclose(say("one environment", alone), true)
assert np.allclose(say("vector environment", together), true * np.arange(1, EPISODES + 1))
PYTHON
