"""A small share of what the harness does on demand."""

import subprocess
import sys

from .kill_runs import __file__ as harness


def test_runs_that_are_killed_end_as_undisturbed_ones():
    command = [sys.executable, harness, "--kills", "4", "--trials", "1", "--kinds", "sac", "ipmd", "bc", "comparison"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "'equal'" in result.stdout
