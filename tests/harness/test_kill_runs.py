"""A small share of what the harness does on demand."""

import os

import pytest

from .. import forked
from .kill_runs import __file__ as harness


@pytest.mark.parametrize(
    ("kills", "frames", "kinds"),
    [(1, 400, ["ipmd"]), pytest.param(4, 2000, ["sac", "ipmd", "bc", "comparison"], marks=pytest.mark.slow)],
)
def test_runs_that_are_killed_end_as_undisturbed_ones(kills, frames, kinds, tmp_path):
    words = ["--kills", kills, "--frames", frames, "--trials", 1, "--kinds", *kinds]
    result = forked.run([harness, *words], tmp_path, {**os.environ, "OMP_NUM_THREADS": "1"}, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "'equal'" in result.stdout
