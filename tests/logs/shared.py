"""What the tests of the run log share: opening one, and reading its metrics."""

import csv

from rlopt.logs.run_log import RunLog


def open_log(directory, **changes):
    return RunLog(directory, **({"config": {}, "title": "SAC", "total": 100} | changes))


def read_rows(directory):
    with open(directory / "metrics.csv", newline="") as file:
        return list(csv.reader(file))
