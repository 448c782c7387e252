"""`--env-workers N`: whatever plays in a step plays in processes."""

import pytest

from rlopt.envs.batch.copies import make_copies

from .shared import BC, COLLECT, IPMD


@pytest.mark.parametrize(
    ("script", "plays"),
    [
        # training, its evaluations, the last one, the best policies', demonstrations, the random policy
        (COLLECT, 6),
        # training, its evaluations, the last one, the learned reward's
        (IPMD, 4),
        (BC, 2),
    ],
)
def test_all_that_plays_does_so_in_processes(script, plays, workplace, quick, call, monkeypatch):
    asked = []

    def here(spec, seeds, *, threads, processes):
        asked.append(processes)
        return make_copies(spec, seeds)

    for module in ("rlopt.envs.torch_env", "rlopt.training.evaluation"):
        monkeypatch.setattr(f"{module}.copies_of", here)
    assert call(*quick(script, "--env-workers", "3"))[0] == 0
    assert asked == [3] * plays
