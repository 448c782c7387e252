#!/usr/bin/env bash
# gymnasium 1.4.0: demonstrations that a human plays with gymnasium.utils.play begin alike if there is a seed, and with a row of another kind.
#
# play(env, callback=...) calls back after each step with the observations before and after it, to record what a human shows.
# 1. A good guess: play(seed=0) seeds the first reset, and later episodes follow from it, so that the session can be repeated. But every
#    reset gets the seed. All demonstrations of a session start in one state, and a new session with that seed adds the same start again. A
#    policy that is cloned from them knows one start. Without a seed the starts differ, and nothing can bring them back.
# 2. A good guess: the observation before the step is an array in every row. In the first row of every episode it is the pair
#    of observation and info that reset() returned. Who leaves out what is no array leaves out the start of each episode.
# Nothing warns. What works: a wrapper whose reset() passes a seed on once, and rows whose tuples are unpacked.
#
# Run: bash findings/gymnasium_play_begins_alike.sh    (needs the package index; a minute, in a temporary folder, no screen)
# Output seen, of three episodes of CartPole in which no key is pressed:
#     seed 0: 3 episodes, 1 different starts; first rows hold ['tuple'], later ones ['ndarray']
#     no seed: 3 episodes, 3 different starts; first rows hold ['tuple'], later ones ['ndarray']
#     seed 0 passed on once: 3 episodes, 3 different starts; first rows hold ['tuple'], later ones ['ndarray']; as by reset(seed=0), reset(), reset(): True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install gymnasium==1.4.0 numpy==2.4.6 pygame==2.6.1
cd "$folder"
SDL_VIDEODRIVER=dummy "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import numpy as np
import pygame
from gymnasium.utils.play import play

EPISODES = 3


class SeedOnce(gymnasium.Wrapper):
    seeded = 0

    def reset(self, *, seed=None, options=None):
        self.seeded += 1
        return super().reset(seed=seed if self.seeded <= 2 else None, options=options)  # play() resets twice before the first step


def recorded(env, seed):
    episodes = [[]]

    def keep(before, after, action, reward, terminated, truncated, info):
        episodes[-1].append(before)
        if terminated or truncated:
            if len(episodes) == EPISODES:
                pygame.event.post(pygame.event.Event(pygame.QUIT))
            episodes.append([])

    play(env, keys_to_action={"a": 0, "d": 1}, noop=1, fps=1000, callback=keep, seed=seed)
    return episodes[:EPISODES]


def look(name, wrapper, seed):
    episodes = recorded(wrapper(gymnasium.make("CartPole-v1", render_mode="rgb_array")), seed)
    first = {type(episode[0]).__name__ for episode in episodes}
    later = {type(before).__name__ for episode in episodes for before in episode[1:]}
    starts = [tuple(float(number) for number in episode[0][0]) for episode in episodes]
    assert len(episodes) == EPISODES and first == {"tuple"} and later == {"ndarray"}
    line = f"{name}: {EPISODES} episodes, {len(set(starts))} different starts; first rows hold {sorted(first)}, later ones {sorted(later)}"
    return line, starts


line, starts = look("seed 0", lambda env: env, 0)
print(line)
assert len(set(starts)) == 1
line, starts = look("no seed", lambda env: env, None)
print(line)
assert len(set(starts)) == EPISODES
line, starts = look("seed 0 passed on once", SeedOnce, 0)
env = gymnasium.make("CartPole-v1")
expected = [tuple(float(number) for number in env.reset(seed=seed)[0]) for seed in (0, None, None)]
print(f"{line}; as by reset(seed=0), reset(), reset(): {starts == expected}")
assert starts == expected and np.ptp([start[0] for start in starts]) > 0
PYTHON
