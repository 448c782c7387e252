"""The honest test of learning: from demonstrations alone IPMD gets as good as the expert. Takes minutes (`-m slow`)."""

import pytest

from rlopt.config import RunOptions
from rlopt.experiments.expert import collect_expert_data
from rlopt.experiments.learners import train_ipmd
from rlopt.imitation import load_demonstrations
from rlopt.report import statistics


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    logs = tmp_path_factory.mktemp("logs")
    return RunOptions(device="cpu", log_dir=logs, wandb=False, show_progress=False)


@pytest.fixture(scope="module")
def expert(options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expert_data")
    return collect_expert_data("Pendulum-v1", frames=60_000, num_seeds=3, episodes=5, save_dir=folder, options=options)


@pytest.mark.slow
def test_sac_is_an_expert(expert):
    assert statistics.iqm(expert.returns.mean(1)) >= -170


# One demonstration swings up on one side only. A learner that has seen nothing else goes that way from every start, which
# takes longer from some: that is worth 0.05, so 0.95 is what to expect, and 0.9 is asked for.
@pytest.mark.slow
@pytest.mark.parametrize(("demos", "least"), [(5, 0.98), (1, 0.90)])
def test_ipmd_reaches_the_expert(expert, options, demos, least):
    result = train_ipmd(expert.demonstrations, frames=40_000, num_seeds=3, demos=demos, options=options)
    data = load_demonstrations(expert.demonstrations)
    scores = statistics.normalized_score(
        result.returns.mean(1), random_return=data.random_return, expert_return=data.expert_return
    )
    assert scores.min() >= least, scores
    assert result.reward_recovery["pearson"] >= 0.8
