"""The one honest test of learning: from one demonstration IPMD gets as good as the expert. Takes minutes (`-m slow`)."""

import pytest

from rlopt import statistics
from rlopt.imitation import load_demonstrations
from rlopt.pipeline import collect_expert_data, train_ipmd
from rlopt.stages import RunOptions


@pytest.mark.slow
def test_ipmd_on_pendulum_from_one_demonstration(tmp_path):
    options = RunOptions(device="cpu", log_dir=tmp_path / "logs", wandb=False, show_progress=False)
    expert = collect_expert_data(
        "Pendulum-v1", frames=60_000, num_seeds=3, episodes=5, save_dir=tmp_path / "expert_data", options=options
    )
    assert statistics.iqm(expert.returns.mean(1)) >= -170

    result = train_ipmd(expert.demonstrations, frames=100_000, num_seeds=3, demos=1, options=options)
    data = load_demonstrations(expert.demonstrations)
    scores = statistics.normalized_score(
        result.returns.mean(1), random_return=data.random_return, expert_return=data.expert_return
    )
    assert statistics.iqm(scores) >= 0.95, scores
    assert scores.min() >= 0.9, scores
