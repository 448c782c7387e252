"""Steps 2 to 4 and the studies from recordings that nobody scored: they run, keep the digest, and invent no score."""

import json

import numpy as np
import pytest

from rlopt.config import RunOptions
from rlopt.envs.spec import env_spec
from rlopt.errors import UserError
from rlopt.experiments import comparison, learners, studies
from rlopt.imitation import from_episodes, readers
from rlopt.imitation.readers import prepare_demonstrations

from .test_studies import QUIET, TINY

LINE = "tests.envs.line:rlopt-test/Line-v0"
"""Imported by gymnasium's own form of an id; 20 steps."""


@pytest.fixture
def recordings(tmp_path):
    """Three whole episodes as arrays: steps of a walk, without rewards."""
    walks = np.random.default_rng(0).normal(size=(3, 21, 2))
    truncations = np.arange(60) % 20 == 19
    path = tmp_path / "mine.npz"
    np.savez(
        path,
        observations=walks[:, :-1].reshape(60, 2),
        next_observations=walks[:, 1:].reshape(60, 2),
        actions=np.linspace(-1, 1, 60)[:, None],
        truncations=truncations,
        terminations=truncations & False,
    )
    return path


def options(tmp_path):
    return RunOptions(log_dir=tmp_path / "logs", **QUIET)


def test_a_method_learns_from_them(tmp_path, recordings):
    how = {"agent_settings": {"hidden_sizes": (8,), "batch_size": 8}, "options": options(tmp_path)}
    result = learners.train_bc(recordings, env_id=LINE, epochs=1, num_seeds=2, **how)
    config = json.loads((result.directory / "config.json").read_text())["config"]
    assert config["expert_data"] == str(recordings)
    assert len(config["demonstrations_sha256"]) == 64
    assert "the expert's return is not recorded, so there is no score" in (result.directory / "rlopt.log").read_text()
    assert result.demonstrations == recordings
    with np.load(recordings) as arrays:
        held = dict(arrays)
    again = learners.train_bc(held, env_id=LINE, epochs=1, num_seeds=2, **how)
    assert again.demonstrations is None
    second = json.loads((again.directory / "config.json").read_text())["config"]
    assert second["expert_data"] == "dict in memory"
    assert second["demonstrations_sha256"] == config["demonstrations_sha256"]
    with pytest.raises(UserError, match="say which one with --env"):
        learners.train_bc(recordings, epochs=1, **how)


@pytest.mark.pictures
def test_a_comparison_without_scores(tmp_path, recordings):
    results = comparison.compare_methods(
        LINE,
        methods=["bc"],
        bc_epochs=1,
        num_seeds=2,
        demos=3,
        expert_data=recordings,
        save_dir=tmp_path / "out",
        agent_settings={"hidden_sizes": (8,), "batch_size": 8},
        options=options(tmp_path),
    )
    (path,) = (tmp_path / "out").rglob("results.json")
    assert json.loads(path.read_text())["expert_return"] is None
    assert results["random_return"] < 0  # measured
    assert len(results["config"]["demonstrations_sha256"]) == 64
    text = path.with_name("results.txt").read_text()
    assert "Expert return not recorded" in text
    assert "nan" not in text
    assert path.with_name("comparison.png").exists()
    assert path.with_name("learning_curves.png").exists()


@pytest.mark.pictures
def test_a_study_without_scores(tmp_path, recordings):
    results = studies.study_demonstrations(
        recordings,
        env=LINE,
        methods=["bc"],
        counts=[1, 3],
        bc_epochs=1,
        num_seeds=2,
        save_dir=tmp_path / "study",
        options=options(tmp_path),
        agent_settings={"hidden_sizes": (8,), "batch_size": 8},
    )
    assert results["expert_return"] is None
    assert len(set(results["demonstrations_sha256"])) == 2
    assert np.isfinite(results["methods"]["bc"][0]["return_mean"])
    assert list((tmp_path / "study").rglob("demonstrations.png"))


def test_a_run_is_not_resumed_with_other_demonstrations(tmp_path, recordings, monkeypatch):
    from rlopt.experiments import run

    def interrupt(*args, checkpoint, **how):
        raise KeyboardInterrupt

    how = {"env_id": LINE, "num_seeds": 2, "frames": 200, "options": options(tmp_path), **TINY}
    monkeypatch.setattr(run, "checkpoint_count", lambda *args: 50)
    monkeypatch.setattr(run, "train_online", interrupt)
    with pytest.raises(KeyboardInterrupt):
        learners.train_ipmd(recordings, **how)
    (folder,) = (path.parent for path in (tmp_path / "logs").rglob("config.json"))
    with np.load(recordings) as arrays:
        np.savez(recordings, **{**arrays, "actions": -arrays["actions"]})
    with pytest.raises(UserError, match="learned from other demonstrations"):
        learners.train_ipmd(recordings, resume=folder, **how)


def test_states_alone(tmp_path):
    walks = np.random.default_rng(0).normal(size=(3, 21, 2))
    episodes = [{"observations": walk} for walk in walks]
    small = {"agent_settings": {"hidden_sizes": (8,), "batch_size": 8}, "options": options(tmp_path)}
    quick = {"frames": 160, "num_seeds": 2, "warmup_frames": 80, "num_envs": 2, "compile": False}
    result = learners.train_ipmd(episodes, env_id=LINE, **quick, **small)
    config = json.loads((result.directory / "config.json").read_text())["config"]["agent"]
    assert (config["reward_inputs"], config["expert_ratio"]) == ("ss", 0.0)
    log = (result.directory / "rlopt.log").read_text()
    assert (
        "The demonstrations have no actions: IPMD learns from states alone (reward_inputs ss, expert_ratio 0.0)." in log
    )
    result = learners.train_ipmd(episodes, env_id=LINE, reward_inputs="s", **quick, **small)
    assert result.agent.config.reward_inputs == "s"
    for settings in ({"reward_inputs": "sa"}, {"expert_ratio": 0.5}):
        with pytest.raises(UserError, match="needs the expert's actions"):
            learners.train_ipmd(episodes, env_id=LINE, **settings, **quick, **small)
    with pytest.raises(UserError, match="BC learns from the expert's actions, and these demonstrations have none"):
        learners.train_bc(episodes, env_id=LINE, **small)
    assert len([*(tmp_path / "logs" / "ipmd").rglob("config.json")]) == 2  # those that were refused left nothing


def test_a_comparison_from_states_alone(tmp_path):
    episodes = [{"observations": walk} for walk in np.random.default_rng(0).normal(size=(3, 21, 2))]
    how = {
        "ipmd_frames": 160,
        "num_seeds": 2,
        "demos": 2,
        "expert_data": episodes,
        "save_dir": tmp_path / "out",
        "agent_settings": {"hidden_sizes": (8,), "batch_size": 8},
        "training_settings": {"warmup_frames": 80, "num_envs": 2, "compile": False},
        "options": options(tmp_path),
    }
    with pytest.raises(UserError, match="--methods"):
        comparison.compare_methods(LINE, methods=["ipmd", "bc"], **how)
    for name, title in (("iqlearn", "IQ-Learn"), ("sqil", "SQIL")):
        with pytest.raises(UserError, match=f"^{title} learns from the expert's actions, and these .* leave it out"):
            comparison.compare_methods(LINE, methods=["ipmd", name], **how)
    results = comparison.compare_methods(LINE, methods=["ipmd", "gail"], **how)
    for name in ("ipmd", "gail"):
        assert results["config"]["stages"][name]["agent"]["reward_inputs"] == "ss"


def test_other_arguments_than_the_demonstrations_are_said(caplog):
    episodes = [{"observations": np.random.default_rng(0).normal(size=(21, 2))}]
    data = from_episodes(episodes, env_spec(LINE, {"goal": 0.5}))
    caplog.clear()
    prepare_demonstrations(data)
    assert not caplog.messages
    prepare_demonstrations(data, env_spec(LINE, {"goal": 1.0}))
    assert f"The demonstrations are of {LINE} with goal=0.5, the environment has goal=1.0." in caplog.messages


def test_the_random_return_of_an_environment_is_measured_once(monkeypatch):
    spec, played = env_spec(LINE), []
    evaluate = readers.evaluate
    monkeypatch.setattr(readers, "evaluate", lambda *args, **how: played.append(1) or evaluate(*args, **how))
    episodes = [{"observations": np.random.default_rng(0).normal(size=(21, 2))}]
    first, second = (prepare_demonstrations(episodes, spec).random_return for _ in range(2))
    assert first == second < 0
    assert len(played) == 1
