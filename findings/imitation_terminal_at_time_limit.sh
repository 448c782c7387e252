#!/usr/bin/env bash
# imitation 1.0.1 (stable-baselines3 2.2.1, gymnasium 0.29.1): a trajectory that the time limit cut off has `terminal=True`, like
# one that ended in a final state, although the field is described as whether it ends in a terminal state. `rollout.rollout` also
# leaves out the infos unless it is asked (`exclude_infos=False`), and with them `TimeLimit.truncated`, the only other sign.
# Seen: Pendulum-v1, which has no final state: terminal True, infos None. Expected: False. Exits with 1 if that changes.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q imitation==1.0.1 stable-baselines3==2.2.1 gymnasium==0.29.1 2> "$folder/log" || { cat "$folder/log"; exit 2; }
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import gymnasium as gym
import numpy as np
from imitation.data import rollout
from imitation.data.wrappers import RolloutInfoWrapper
from stable_baselines3.common.vec_env import DummyVecEnv

envs = DummyVecEnv([lambda: RolloutInfoWrapper(gym.make("Pendulum-v1"))])
until = rollout.make_sample_until(min_episodes=1)
(trajectory,) = rollout.rollout(None, envs, until, rng=np.random.default_rng(0))
print(len(trajectory), "steps, terminal", trajectory.terminal, "infos", trajectory.infos)
raise SystemExit(not (len(trajectory) == 200 and trajectory.terminal and trajectory.infos is None))
PY
