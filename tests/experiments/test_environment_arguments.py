"""Keyword arguments of an environment come along from demonstrations, unless others are given."""

import json

import numpy as np
import pytest

from rlopt.config import RunOptions
from rlopt.envs.spec import env_spec
from rlopt.experiments import comparison, learners
from rlopt.imitation import from_episodes, save_demonstrations
from rlopt.imitation.readers import environment_of, prepare_demonstrations

from .test_studies import QUIET

LINE = "tests.envs.line:rlopt-test/Line-v0"


@pytest.fixture
def data():
    """Of goal 0.5, under the id without its module, as Minari names it."""
    episodes = [
        {"observations": walk, "actions": np.zeros((20, 1)), "truncated": True, "terminated": False}
        for walk in np.random.default_rng(0).normal(size=(3, 21, 2))
    ]
    spec = env_spec(LINE, {"goal": 0.5})
    return from_episodes(episodes, type(spec)(**{**vars(spec), "env_id": "rlopt-test/Line-v0"}))


def test_they_hold_where_none_are_given(data, caplog):
    assert environment_of(data).kwargs == {"goal": 0.5}
    assert environment_of(data, env_spec(LINE)).kwargs == {"goal": 0.5}
    assert environment_of(data, env_spec(LINE)).env_id == LINE
    assert environment_of(data, env_spec(LINE, {"goal": 1.0})).kwargs == {"goal": 1.0}
    assert environment_of(data, env_spec("Pendulum-v1")).kwargs == {}
    caplog.clear()
    random = prepare_demonstrations(data, env_spec(LINE)).random_return
    assert random == prepare_demonstrations(data, env_spec(LINE, {"goal": 0.5})).random_return
    assert not caplog.messages
    assert random != prepare_demonstrations(data, env_spec(LINE, {"goal": 1.0})).random_return
    assert "with goal=0.5, the environment has goal=1.0" in caplog.text


def test_a_method_and_a_comparison_take_them(data, tmp_path):
    path = save_demonstrations(data, tmp_path / "data")
    how = {"agent_settings": {"hidden_sizes": (8,), "batch_size": 8}}
    how |= {"options": RunOptions(log_dir=tmp_path / "logs", **QUIET)}
    result = learners.train_bc(path, env_id=LINE, epochs=1, num_seeds=2, **how)
    assert json.loads((result.directory / "config.json").read_text())["config"]["env_kwargs"] == {"goal": 0.5}
    for env_id in (LINE, None):  # None: the environment that the demonstrations name
        results = comparison.compare_methods(
            env_id,
            methods=["bc"],
            bc_epochs=1,
            num_seeds=2,
            demos=3,
            expert_data=path,
            save_dir=tmp_path / str(env_id is None),
            **how,
        )
        assert results["config"]["env_kwargs"] == {"goal": 0.5}
        assert (tmp_path / str(env_id is None) / "rlopt-test" / "Line-v0_goal=0.5" / "results.json").exists()
