"""A small share of what the harness does on demand."""

import subprocess
import sys

import pytest

from .kill_runs import __file__ as harness


@pytest.mark.parametrize(
    ("kills", "frames", "kinds"),
    [(1, 400, ["ipmd"]), pytest.param(4, 2000, ["sac", "ipmd", "bc", "comparison"], marks=pytest.mark.slow)],
)
def test_runs_that_are_killed_end_as_undisturbed_ones(kills, frames, kinds):
    words = ["--kills", kills, "--frames", frames, "--trials", 1, "--kinds", *kinds]
    command = [sys.executable, harness, *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "'equal'" in result.stdout
