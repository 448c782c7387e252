#!/usr/bin/env bash
# Brax 0.14.2: action_repeat plays on after the end of an episode, and adds up other numbers for the reward than for its parts.
#
# 1. A good guess: envs.create(name, action_repeat=4) repeats an action until the episode is over, four times at most, as RepeatAction of gymnasium does. But
#    all four steps are simulated, all four rewards count, and the observation and `done` are those of the last one. So the final state
#    of a recording is one that lies beyond the end, its return is too large (or too small, after a fall), and an end that the environment
#    reports in one step only is lost: the episode goes on to the time limit.
# 2. A good guess: info["episode_metrics"] has the sum of the reward and of each part of it over the episode, so that the parts make up the whole. With
#    action_repeat the reward is summed over all steps, a part over the last step of each call alone: at 4 parts are a quarter of what
#    they were, and two runs with other repeats cannot be compared by them.
# Nothing warns. Where the end falls on the last repeat, and with action_repeat=1, returns and ends are right.
#
# Run: bash findings/brax_repeated_action_outlives_the_episode.sh    (needs the package index; some minutes, 1 GB in a temporary folder)
# Output seen, of a walk with a reward of 1 per step and no other part, which ends at place 6; the time limit is 40 (MuJoCo says before it that warp is not installed):
#     repeat 1: ends at place 6 after 6 actions, final state, return 6; sum_reward 6, walked 6
#     repeat 3: ends at place 6 after 2 actions, final state, return 6; sum_reward 6, walked 2
#     repeat 4: ends at place 8 after 2 actions, final state, return 8; sum_reward 8, walked 2
#     the end is reported at place 6 alone, repeat 1: ends at place 6 after 6 actions, final state, return 6; sum_reward 6, walked 6
#     the end is reported at place 6 alone, repeat 4: ends at place 40 after 10 actions, time limit, return 40; sum_reward 40, walked 10
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install brax==0.14.2 jax==0.10.2 numpy==2.4.6
cd "$folder"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import jax
import jax.numpy as jnp
from brax import envs
from brax.envs.base import Env, State

END, LIMIT = 6, 40


class Walk(Env):
    """One place further at each step, for a reward of 1, until END."""

    observation_size = action_size = 1
    backend = "none"

    def __init__(self, reported_beyond=True):
        self.reported_beyond = reported_beyond

    def reset(self, rng):
        start = jnp.zeros(1)
        return State(start, start, jnp.zeros(()), jnp.zeros(()), {"walked": jnp.zeros(())})

    def step(self, state, action):
        place = state.pipeline_state + 1
        done = place[0] >= END if self.reported_beyond else place[0] == END
        reward = jnp.ones(())
        return state.replace(pipeline_state=place, obs=place, reward=reward, done=done.astype(float), metrics={**state.metrics, "walked": reward})


envs.register_environment("walk", Walk)


def play(name, repeat, **options):
    """Return place and number of actions at the end, whether it is a final state, the return, and the two metrics."""
    env = envs.create("walk", episode_length=LIMIT, action_repeat=repeat, auto_reset=False, **options)
    step, state, rewards = jax.jit(env.step), env.reset(jax.random.PRNGKey(0)), []
    while not state.done:
        state = step(state, jnp.zeros(1))
        rewards.append(float(state.reward))
    place, final = int(state.obs[0]), not state.info["truncation"]
    whole, part = (int(state.info["episode_metrics"][key]) for key in ("sum_reward", "walked"))
    what = "final state" if final else "time limit"
    print(f"{name}: ends at place {place} after {len(rewards)} actions, {what}, return {sum(rewards):.0f}; sum_reward {whole}, walked {part}")
    return place, len(rewards), final, sum(rewards), whole, part


assert play("repeat 1", 1) == (6, 6, True, 6, 6, 6)
assert play("repeat 3", 3) == (6, 2, True, 6, 6, 2)
assert play("repeat 4", 4) == (8, 2, True, 8, 8, 2)
alone = "the end is reported at place 6 alone, repeat"
assert play(f"{alone} 1", 1, reported_beyond=False) == (6, 6, True, 6, 6, 6)
assert play(f"{alone} 4", 4, reported_beyond=False) == (40, 10, False, 40, 40, 10)
PYTHON
