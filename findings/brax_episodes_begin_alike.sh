#!/usr/bin/env bash
# Brax 0.14.2: every episode of a copy begins at the same start, and the observation after its last step is that start.
#
# A good guess: brax.envs.create(name, auto_reset=True), the default, resets a copy that is done as gymnasium's vector environments do: to a
# new random start, with the last observation kept somewhere. But the wrapper keeps the first state of each copy and goes back to it, so
# demonstrations of one copy have one start, however many episodes there are, and a policy without noise plays one episode over and over: a
# mean over episodes is a mean over copies. `obs` of the step that ends an episode is the start already, and no key of `info` has the
# observation that was reached, so the last transition of each episode cannot be recorded (truncated ones need it for the
# bootstrap). A reset() with new keys gives new starts; with auto_reset=False the last observation is there.
#
# Run: bash findings/brax_episodes_begin_alike.sh    (needs the package index; some minutes, 1 GB in a temporary folder)
# Output seen, of two copies and three episodes each (MuJoCo says before it that warp is not installed, which is not needed):
#     starts of inverted_pendulum: 2 different ones of 6
#     end of the first episode: the pole's angle is -0.003 and the start's -0.003; without auto_reset it is -0.004
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install brax==0.14.2 jax==0.10.2 mujoco==3.17.0 mujoco-mjx==3.17.0 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import jax
import numpy as np
from brax import envs

COPIES, EPISODES, STEPS = 2, 3, 5


def play(auto_reset, steps):
    """Observations [steps + 1, copies, O], the start first, and what `info` has."""
    env = envs.create("inverted_pendulum", STEPS, auto_reset=auto_reset, batch_size=COPIES, backend="positional")
    step, state = jax.jit(env.step), jax.jit(env.reset)(jax.random.PRNGKey(0))
    seen = [state.obs]
    for _ in range(steps):
        state = step(state, jax.numpy.full((COPIES, env.action_size), 0.01))
        seen.append(state.obs)
    assert state.done.all() and state.info["truncation"].all()
    return np.asarray(seen), state.info


seen, info = play(True, EPISODES * STEPS)
starts = seen[:-1:STEPS].reshape(COPIES * EPISODES, -1)
found = len(np.unique(starts, axis=0))
print(f"starts of inverted_pendulum: {found} different ones of {COPIES * EPISODES}")
true, _ = play(False, STEPS)
end, start, reached = (float(x) for x in (seen[STEPS, 0, 1], seen[0, 0, 1], true[STEPS, 0, 1]))
print(f"end of the first episode: the pole's angle is {end:.3f} and the start's {start:.3f}; without auto_reset it is {reached:.3f}")
kept = [x for x in jax.tree.leaves(info) if x.shape == true[STEPS].shape and np.allclose(x, true[STEPS], atol=1e-6)]
assert found == COPIES and end == start and abs(reached - start) > 1e-4 and not kept
PYTHON
"$folder/venv/bin/python" -W ignore ask.py 2> errors || { cat errors; exit 1; }
