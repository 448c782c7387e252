"""All methods side by side: rows, pictures and the rewards that were learned, and a comparison that was stopped goes on."""

import json

import pytest

from rlopt.config import RunOptions
from rlopt.envs import env_spec
from rlopt.experiments import comparison, learners
from rlopt.imitation import save_demonstrations
from rlopt.imitation.recording import record_demonstrations
from rlopt.training.evaluation import random_policy

ENV = "Pendulum-v1"
SPEC = env_spec(ENV, max_episode_steps=20)
"""Evaluations take their time."""
LEARNERS = ("ipmd", "bc", "gail", "iqlearn", "sqil")


@pytest.fixture
def how(tmp_path):
    data = record_demonstrations(random_policy(1), SPEC, episodes=2, expert_return=-200.0)
    return {
        **{"expert_data": save_demonstrations(data, tmp_path / "data"), "save_dir": tmp_path / "out"},
        **{"methods": ("sac", *LEARNERS), "ipmd_frames": 240, "bc_epochs": 2, "num_seeds": 2, "demos": 2},
        "agent_settings": {"hidden_sizes": (8, 8), "batch_size": 8, "expert_batch_size": 8, "min_steps_per_epoch": 2},
        "training_settings": {"num_envs": 2, "warmup_frames": 100, "eval_episodes": 1, "updates_per_frame": 0.1},
        "options": RunOptions(device="cpu", log_dir=tmp_path / "logs", wandb=False, show_progress=False),
    }


def test_all_methods_in_one_table_and_one_picture(how, tmp_path, monkeypatch):
    curves, train = {}, learners.train_method
    monkeypatch.setattr(
        "rlopt.report.plots.learning_curves_figure", lambda given, **rest: curves.update(given) or rest["path"].touch()
    )

    def stopped(name, *args, **rest):
        if name == "iqlearn":
            raise KeyboardInterrupt
        return train(name, *args, **rest)

    monkeypatch.setattr(learners, "train_method", stopped)
    with pytest.raises(KeyboardInterrupt):
        comparison.compare_methods(SPEC, **how)
    trained = []
    monkeypatch.setattr(
        learners, "train_method", lambda name, *args, **rest: trained.append(name) or train(name, *args, **rest)
    )
    results = comparison.compare_methods(SPEC, resume=True, **how)
    assert trained == ["iqlearn", "sqil"]
    assert list(results["methods"]) == list(curves) == list(LEARNERS)  # there is no SAC: the demonstrations are given
    for name, method in results["methods"].items():
        assert method["epochs" if name == "bc" else "frames"] == (2 if name == "bc" else 240)
        learned = name in ("ipmd", "gail", "iqlearn")
        assert (method["reward_recovery"] is not None) == learned
        assert not learned or -1 <= method["reward_recovery"]["pearson"] <= 1
    folder = tmp_path / "out" / ENV
    assert json.loads((folder / "results.json").read_text())["methods"].keys() == results["methods"].keys()
    table = (folder / "results.txt").read_text()
    for title in ("IPMD", "BC", "GAIL", "IQ-Learn", "SQIL"):
        assert sum(line.startswith(f"{title}  ") for line in table.splitlines()) == 1
    assert len({results["config"]["stages"][name]["agent"]["batch_size"] for name in LEARNERS}) == 1
    models = {path.name for path in (tmp_path / "logs").rglob("*_model.pt")}
    assert models == {"ipmd_model.pt", "gail_model.pt", "iqlearn_model.pt", "sqil_model.pt"}
