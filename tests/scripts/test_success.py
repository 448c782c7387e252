"""All four steps where `info` tells success, rewards are constant, and the time limit is a cap that nothing reaches."""

import csv
import json

import pytest

from .shared import BC, COLLECT, COMPARE, IPMD, SMALL, only

ENV = ["--env", "tests.envs.reach:rlopt-test/Reach-v0", "--max-episode-steps", "100000"]
NAME = "rlopt-test/Reach-v0"
QUIET = ["--device", "cpu", "--no-wandb", "--no-progress"]
CAP = (
    "The time limit of tests.envs.reach:rlopt-test/Reach-v0 (100,000 steps) is above the 320 frames of the training, "
    "so no episode of the training can end by it."
)


def check_run(folder, seeds):
    """metrics.csv has success rates where it has returns; returns how many rows there are."""
    with open(folder / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert None not in row.values()
        rates = [float(row[f"success_seed{seed}"]) for seed in seeds]
        if row["return_mean"] == "nan":
            assert row["success_mean"] == "nan"
        else:
            assert all(0 <= rate <= 1 for rate in rates)
            assert float(row["success_mean"]) == pytest.approx(sum(rates) / len(rates))
    assert rows[-1]["success_mean"] != "nan"
    return len(rows)


def test_success_is_logged_evaluated_and_in_the_results(workplace, call, caplog):
    budget = [*SMALL, "--frames", 320, *QUIET]
    code, _, err = call(COLLECT, *ENV, *budget, "--episodes", 3)
    assert code == 0, err
    assert caplog.messages.count(CAP) == 1
    assert ", success rate " in only(line for line in err.splitlines() if line.startswith("Return"))
    demonstrations = workplace / "expert_data" / NAME / "expert_buffer.pt"

    code, _, err = call(IPMD, demonstrations, *budget, "--expert-batch-size", 32)
    assert code == 0, err
    assert caplog.messages.count(CAP) == 2
    assert "Learned reward against true reward on fresh policy data: Pearson not defined." in err.splitlines()

    code, _, err = call(
        BC, demonstrations, "--epochs", 4, "--eval-points", 2, "--num-seeds", 2, "--hidden-size", 8, *QUIET
    )
    assert code == 0, err
    assert ", success rate " in only(line for line in err.splitlines() if line.startswith("BC: return"))
    assert caplog.messages.count(CAP) == 2  # it does not train in the environment

    for method, seeds in (("sac", (42, 43)), ("ipmd", (43, 44)), ("bc", (44, 45))):
        folder = only(path for path in (workplace / "logs" / method / NAME).iterdir() if path.is_dir())
        rows = check_run(folder, seeds)
        assert method != "bc" or rows == 4  # two of them before the first evaluation or after it

    code, out, err = call(
        COMPARE,
        *(*ENV, *SMALL, *QUIET, "--expert-frames", 320, "--ipmd-frames", 320, "--bc-epochs", 1, "--demos", 2),
    )
    assert code == 0, err
    assert caplog.messages.count(CAP) == 3  # of all its stages, once
    results = json.loads((workplace / "comparison_results" / NAME / "results.json").read_text())
    for entry in results["methods"].values():
        rates = entry["success_rate_per_seed"]
        assert len(rates) == 2
        assert entry["success_rate"] == pytest.approx(sum(rates) / 2)
    assert results["reward_recovery"]["pearson"] is results["reward_recovery"]["standardized_error"] is None
    table = (workplace / "comparison_results" / NAME / "results.txt").read_text()
    assert table.splitlines()[2].startswith("Method  Return  Success  ")
    assert "Pearson correlation not defined" in table
    for text in (table, out, err):
        assert "nan" not in text.split()


def test_a_time_limit_that_ends_every_episode_is_no_cap(workplace, refused):
    flags = [*ENV, "--env-kwargs", "ends=None", "--warmup-frames", 100]
    assert refused(COLLECT, *flags, "--frames", 640).startswith("640 frames are too few for one whole episode")
