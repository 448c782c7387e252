#!/usr/bin/env bash
# stable-baselines3 2.9.2: a resumed model with a memory-saving replay buffer stores one transition that never happened.
#
# A buffer with optimize_memory_usage=True has no next observations: that of a row is the observation of the next row. A new call of learn()
# with reset_num_timesteps=True resets the environment, so the last row before it is marked as done, with a warning that advises
# reset_num_timesteps=False. A good guess: model, replay buffer and learn(reset_num_timesteps=False) then resume the run as it was. In the
# same process they do. But a model that was loaded from a file has no last observation and resets the environment, too, and
# now nothing is marked: the row before the interruption leads to the start of another episode, with done = 0. Nothing warns.
# Setting `dones[pos - 1] = True` in the buffer after load_replay_buffer helps, as does a buffer that does not save memory.
#
# Run: bash findings/sb3_resumed_buffer_joins_episodes.sh    (needs the package index; some minutes, 1 GB in a temporary folder)
# Output seen:
#     same process: next angle differs from the true one by 0.00, done 0
#     loaded, reset_num_timesteps=True: next angle differs from the true one by 2.27, done 1
#     loaded, reset_num_timesteps=False: next angle differs from the true one by 2.27, done 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install stable-baselines3==2.9.2 gymnasium==1.3.0 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium as gym
import numpy as np
from stable_baselines3 import SAC

STEPS = 250  # the second episode is interrupted after 50 steps
model = SAC(
    "MlpPolicy", gym.make("Pendulum-v1"), buffer_size=1000, learning_starts=1000, seed=0, device="cpu",
    optimize_memory_usage=True, replay_buffer_kwargs={"handle_timeout_termination": False},
)
model.learn(STEPS)
model.save("model")
model.save_replay_buffer("buffer")
true = model.replay_buffer.observations[STEPS, 0].copy()


def resumed(name, learner, reset_num_timesteps):
    learner.learn(50, reset_num_timesteps=reset_num_timesteps)
    row = learner.replay_buffer._get_samples(np.array([STEPS - 1]))
    angles = [np.arctan2(sine, cosine) for cosine, sine, _ in (row.next_observations[0].numpy(), true)]
    away = abs((angles[0] - angles[1] + np.pi) % (2 * np.pi) - np.pi)
    print(f"{name}: next angle differs from the true one by {away:.2f}, done {int(row.dones)}")
    return bool(away > 0.1), int(row.dones)


def loaded():
    learner = SAC.load("model", env=gym.make("Pendulum-v1"))
    learner.load_replay_buffer("buffer")
    return learner


assert resumed("same process", model, False) == (False, 0)
assert resumed("loaded, reset_num_timesteps=True", loaded(), True) == (True, 1)
assert resumed("loaded, reset_num_timesteps=False", loaded(), False) == (True, 0)
PYTHON
