"""A small share of `mutate_files.py`: no damage is read as something else, nor ends in a traceback."""

from .mutate_files import SLACK, run_mutations


def test_damaged_files_are_refused_or_harmless(tmp_path):
    totals, _, complaints, most = run_mutations(tmp_path, 42, seed=1)
    assert complaints == []
    assert totals["refused"] + totals["equal"] == 42
    assert totals["refused"] > 27
    assert most < SLACK
