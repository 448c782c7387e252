#!/usr/bin/env bash
# cpprb 11.0.0: two ways in which the last observation of an episode gets lost, though on_episode_end() is called.
#
# It matters where a time limit ended the episode: `done` is 0 there, and the critic bootstraps from the next observation.
# 1. Nstep. A good guess: transitions within N steps of the end get the sum of the rewards that are left, and the last observation as their next one.
#    The rewards are right, but the next observation of the last N - 1 transitions of every episode is all ones. (How many rewards were
#    summed, which the discount of the bootstrap needs, is not handed out either.)
# 2. next_of, which shares memory between observations and next ones. A good guess: save_transitions(path) and load_transitions(path) bring
#    back what get_all_transitions() gave. But by default the ends are not kept: loaded, the last transition of each episode but the
#    last one leads to the start of the next episode. What works: save_transitions(path, safe=False), or next observations of their own.
# Nothing warns.
#
# Run: bash findings/cpprb_loses_the_end_of_an_episode.sh    (needs the package index; a minute, in a temporary folder)
# Output seen, of two episodes of four steps, 100 to 104 and 110 to 114, reward 1, gamma 0.5:
#     three steps: rewards [1.75, 1.75, 1.5, 1.0, 1.75, 1.75, 1.5, 1.0], next_obs [103.0, 104.0, 1.0, 1.0, 113.0, 114.0, 1.0, 1.0]
#     next_of: next_obs [101.0, 102.0, 103.0, 104.0, 111.0, 112.0, 113.0, 114.0], loaded [101.0, 102.0, 103.0, 110.0, 111.0, 112.0, 113.0, 114.0]
#     next_of, safe=False: next_obs [101.0, 102.0, 103.0, 104.0, 111.0, 112.0, 113.0, 114.0], loaded [101.0, 102.0, 103.0, 104.0, 111.0, 112.0, 113.0, 114.0]
#     next_obs of its own: next_obs [101.0, 102.0, 103.0, 104.0, 111.0, 112.0, 113.0, 114.0], loaded [101.0, 102.0, 103.0, 104.0, 111.0, 112.0, 113.0, 114.0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install cpprb==11.0.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from cpprb import ReplayBuffer

NEXT = {"next_obs": {}}
TRUE = [101, 102, 103, 104, 111, 112, 113, 114]


def buffer(**options):
    return ReplayBuffer(20, {"obs": {}, "rew": {}, "done": {}, **({} if "next_of" in options else NEXT)}, **options)


def fill(replay):
    for start in (100, 110):
        for step in range(start, start + 4):
            replay.add(obs=step, rew=1, next_obs=step + 1, done=0)
        replay.on_episode_end()
    return replay


def column(replay, name):
    return [float(value) for value in replay.get_all_transitions()[name][:, 0]]


steps = fill(buffer(Nstep={"size": 3, "gamma": 0.5, "rew": "rew", "next": "next_obs"}))
print(f"three steps: rewards {column(steps, 'rew')}, next_obs {column(steps, 'next_obs')}")
assert column(steps, "obs") == [100, 101, 102, 103, 110, 111, 112, 113]
assert column(steps, "rew") == [1.75, 1.75, 1.5, 1] * 2  # the true next observations: 103, 104, 104, 104, 113, ...
assert column(steps, "next_obs") == [103, 104, 1, 1, 113, 114, 1, 1] and not any(column(steps, "done"))

for name, options, how in (
    ("next_of", {"next_of": "obs"}, {}),
    ("next_of, safe=False", {"next_of": "obs"}, {"safe": False}),
    ("next_obs of its own", {}, {}),
):
    replay = fill(buffer(**options))
    replay.save_transitions("saved.npz", **how)
    again = buffer(**options)
    again.load_transitions("saved.npz")
    before, after = column(replay, "next_obs"), column(again, "next_obs")
    print(f"{name}: next_obs {before}, loaded {after}")
    assert before == TRUE and after == ([*TRUE[:3], 110, *TRUE[4:]] if name == "next_of" else TRUE)
PYTHON
