"""Brax through TorchRL's wrapper, on JAX's CPU backend: only where it is installed."""

import functools

import numpy as np
import pytest
import torch
from torchrl.envs import BraxWrapper

from rlopt.agents import SAC
from rlopt.config import SACConfig
from rlopt.envs import env_seeds, env_spec
from rlopt.envs.spec import episode_seed
from rlopt.envs.torchrl.env import TorchRLEnv
from rlopt.training import train_online

from ..training.shared import TINY, settings

pytestmark = pytest.mark.slow  # JAX compiles for a minute
brax = pytest.importorskip("brax.envs")
jax = pytest.importorskip("jax")


@functools.cache
def inverted_pendulum():
    """One for all: JAX compiles the functions of each anew."""
    return brax.get_environment("inverted_pendulum", backend="spring")


def balance(num_envs, device):
    return BraxWrapper(inverted_pendulum(), batch_size=[num_envs], device=device)


def test_every_step_is_that_of_brax_itself():
    spec = env_spec(balance, max_episode_steps=60)
    env = TorchRLEnv(spec, [3], 4)
    actions = torch.rand(60, 4, 1, generator=torch.Generator().manual_seed(0)) * 2 - 1
    state, played = env.reset(), []
    for action in actions:
        step, state = env.step_and_maybe_reset(state.set("action", action))
        played.append(step)
    played = torch.stack(played, dim=1)

    raw = inverted_pendulum()
    # the wrapper's keys: the first is kept for the next reset
    keys = jax.random.split(jax.random.PRNGKey(episode_seed(env_seeds([3], 1)[0], 0)), 5)[1:]
    reset, advance = jax.jit(jax.vmap(raw.reset)), jax.jit(jax.vmap(raw.step))
    own, over = reset(keys), np.zeros(4, bool)
    for t, action in enumerate(actions):
        running = ~over
        np.testing.assert_allclose(played["observation"][running, t], np.asarray(own.obs)[running], atol=1e-4)
        own = advance(own, jax.numpy.asarray(action.numpy()))
        np.testing.assert_allclose(played["next", "observation"][running, t], np.asarray(own.obs)[running], atol=1e-4)
        np.testing.assert_allclose(played["next", "reward"][running, t, 0], np.asarray(own.reward)[running], atol=1e-4)
        done = np.asarray(own.done).astype(bool)
        assert played["next", "terminated"][running, t, 0].tolist() == done[running].tolist()
        over |= done
    ends = [int(row.flatten().nonzero()[0]) for row in played["next", "terminated"]]
    assert over.all()
    assert len(set(ends)) > 1  # all first episodes ended, at different times
    for n, end in enumerate(ends):  # and the next ones begin upright
        assert played["observation"][n, end + 1].abs().max() < 0.02 < played["next", "observation"][n, end].abs().max()


def test_training_on_one_for_all_seeds():
    """Also for the evaluations: JAX compiles its functions once."""
    spec = env_spec(balance(4, "cpu"), max_episode_steps=20)
    agent = SAC(SACConfig(**TINY), *spec.sizes, num_seeds=2, seed=3)
    history = train_online(agent, spec, settings(eval_points=2, eval_episodes=3))
    assert np.shape(history.returns) == (2, 2)
    assert all(1 < value <= 20 for point in history.returns for value in point)
