"""Changed dynamics: the same spaces, another motion."""

import numpy as np
import pytest

from rlopt.envs import env_spec, make_env
from rlopt.presets import preset


@pytest.mark.parametrize(
    ("variant", "original"),
    [("rlopt/LongPendulum-v1", "Pendulum-v1"), ("rlopt/HeavyHalfCheetah-v5", "HalfCheetah-v5")],
)
def test_variant_moves_differently_in_the_same_spaces(variant, original):
    a, b = env_spec(variant), env_spec(original)
    assert (a.observation_size, a.action_size) == (b.observation_size, b.action_size)
    assert preset(variant) is preset(original)
    envs = [make_env(variant), make_env(original)]
    first, second = (env.reset(seed=0)[0] for env in envs)
    np.testing.assert_allclose(first, second)
    for _ in range(5):
        first, second = (env.step(np.ones(a.action_size, np.float32))[0] for env in envs)
    assert np.abs(first - second).max() > 1e-3
