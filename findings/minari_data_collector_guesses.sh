#!/usr/bin/env bash
# Minari 0.5.4: two things that DataCollector does to a recording.
#
# 1. It keeps the action that step() was given, not a copy, until the episode is over. A good guess: a policy may write its next action into
#    the same array (`action[:] = ...`, `tensor.numpy()` of a tensor that is filled anew, a row of an array of actions), as it may with
#    gymnasium's environments, stable-baselines3's replay buffer and gymnasium's vector environments. But then all actions
#    of an episode are stored as the last one, while observations and rewards are right. Nothing warns; hdf5, arrow and parquet are alike.
#    What works: env.step(action.copy()).
# 2. reset() without a seed draws one from the operating system and hands it to the environment. A good guess, true of gymnasium's
#    environments: reset(seed=0) once, and reset() for each later episode, give the same starts every time. Two recordings by one program
#    begin with the same episode and differ from the second one on. What works: options={"minari_autoseed": False}, or a seed each time.
#
# Run: bash findings/minari_data_collector_guesses.sh    (needs the package index; two minutes, in a temporary folder)
# Output seen, of Pendulum-v1, three steps an episode:
#     hdf5: actions [2.0, 2.0, 2.0]; by the observations [0.5, -1.0, 2.0]
#     arrow: actions [2.0, 2.0, 2.0]; by the observations [0.5, -1.0, 2.0]
#     parquet: actions [2.0, 2.0, 2.0]; by the observations [0.5, -1.0, 2.0]
#     with a copy: actions [0.5, -1.0, 2.0]
#     starts of two recordings alike: [True, False, False]; without minari_autoseed: [True, True, True]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install "minari[hdf5,arrow,create]==0.5.4" pillow==13.0.0 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
MINARI_DATASETS_PATH=$folder/data "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium as gym
import minari
import numpy as np

TAKEN = [0.5, -1.0, 2.0]


def recorded(name, data_format="hdf5", episodes=1, copies=False, options=None):
    """Episodes of the same actions, of which the first one has a seed."""
    env = minari.DataCollector(gym.make("Pendulum-v1"), data_format=data_format)
    action = np.zeros(1, np.float32)
    for episode in range(episodes):
        env.reset(seed=None if episode else 0, options=options)
        for torque in TAKEN:
            action[:] = torque
            env.step(action.copy() if copies else action)
    return list(env.create_dataset(f"here/{name}-v0").iterate_episodes())


def speed_change(episode):
    """What Pendulum-v1 makes of each torque u: 0.05 (15 sin(angle) + 3 u) added to the speed, so u comes back."""
    cosine, sine, speed = episode.observations.T.astype(float)
    return ((np.diff(speed) / 0.05 - 15 * sine[:-1]) / 3).round(2).tolist()


for data_format in ("hdf5", "arrow", "parquet"):
    (episode,) = recorded(f"kept-{data_format}", data_format)
    print(f"{data_format}: actions {episode.actions[:, 0].tolist()}; by the observations {speed_change(episode)}")
    assert episode.actions[:, 0].tolist() == [TAKEN[-1]] * 3 and np.allclose(speed_change(episode), TAKEN, atol=0.02)
(episode,) = recorded("copied", copies=True)
print(f"with a copy: actions {episode.actions[:, 0].tolist()}")
assert episode.actions[:, 0].tolist() == TAKEN


def same_starts(name, options):
    pairs = zip(*(recorded(f"{name}-{i}", episodes=3, options=options) for i in range(2)))
    return [bool((a.observations[0] == b.observations[0]).all()) for a, b in pairs]


alike, without = same_starts("autoseed", None), same_starts("without", {"minari_autoseed": False})
print(f"starts of two recordings alike: {alike}; without minari_autoseed: {without}")
assert alike == [True, False, False] and without == [True] * 3
PYTHON
