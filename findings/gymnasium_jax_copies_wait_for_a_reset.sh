#!/usr/bin/env bash
# gymnasium 1.4.0 (JAX 0.10.1): in the vector form of its JAX environments a reset of one copy undoes the step of all others.
#
# A good guess: copies of make_vec("phys2d/CartPole-v1") are independent, as those of make_vec("CartPole-v1") are: a copy that resets does
# not touch the rest. But FunctionalJaxVectorEnv builds the states after a reset from those before the step. So in each step in which any copy
# resets, all others stay where they were, and still get the reward, and the flag of the state that they did not reach. Such a row
# says that an action changed nothing; a pole that should fall is `terminated` while it is upright. The more copies, the more of it: with
# 16 copies and random actions it is a third of all rows. (The reset itself pays a reward, too, where other vector environments pay 0.) Nothing warns.
# A recording of it holds transitions that never happened. One copy alone, or gymnasium.make, is right.
#
# Run: bash findings/gymnasium_jax_copies_wait_for_a_reset.sh    (needs the package index; two minutes, 600 MB in a temporary folder)
# Output seen, of 200 steps of random actions; a row is a step of a copy that was not its reset:
#     CartPole-v1, 1 copies: 193 rows, 0 where nothing moved, 0 ends of a pole that is upright
#     CartPole-v1, 4 copies: 761 rows, 0 where nothing moved, 0 ends of a pole that is upright
#     CartPole-v1, 16 copies: 3080 rows, 0 where nothing moved, 0 ends of a pole that is upright
#     phys2d/CartPole-v1, 1 copies: 192 rows, 0 where nothing moved, 0 ends of a pole that is upright
#     phys2d/CartPole-v1, 4 copies: 770 rows, 74 where nothing moved, 3 ends of a pole that is upright
#     phys2d/CartPole-v1, 16 copies: 3112 rows, 1000 where nothing moved, 28 ends of a pole that is upright
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install gymnasium==1.4.0 jax==0.10.1 flax==0.12.0 numpy==2.4.6
cd "$folder"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import numpy as np

STEPS, LIMIT = 200, 12 * 2 * np.pi / 360


def say(name, copies):
    envs = gymnasium.make_vec(name, num_envs=copies)
    generator = np.random.default_rng(0)
    before, _ = envs.reset(seed=0)
    over = np.zeros(copies, bool)
    rows = still = upright = 0
    for _ in range(STEPS):
        after, rewards, terminated, truncated, _ = map(np.asarray, envs.step(generator.integers(2, size=copies)))
        stepped = ~over
        same = (after == before).all(-1) & stepped
        assert (rewards[same] == 1).all() and (not same.any() or over.any())  # paid for, and only beside a reset
        rows, still = rows + stepped.sum(), still + same.sum()
        upright += (terminated & stepped & (np.abs(after[:, 2]) <= LIMIT) & (np.abs(after[:, 0]) <= 2.4)).sum()
        before, over = after.copy(), terminated | truncated
    print(f"{name}, {copies} copies: {rows} rows, {still} where nothing moved, {upright} ends of a pole that is upright")
    return still / rows, upright


for copies in (1, 4, 16):
    still, upright = say("CartPole-v1", copies)
    assert still == upright == 0
assert say("phys2d/CartPole-v1", 1) == (0, 0)
few, some = say("phys2d/CartPole-v1", 4)
many, more = say("phys2d/CartPole-v1", 16)
assert 0.05 < few < many and many > 0.3 and 0 < some < more
PYTHON
