"""The numbers, the table and the curves of a comparison, for any methods of the table."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rlopt.agents.methods import METHODS
from rlopt.report.results import learning_curves, results_table, write_comparison
from rlopt.report.scores import score_line

from .shared import RECOVERY, demonstrations, results, stage


@pytest.fixture(autouse=True)
def third_party(monkeypatch):
    """Two methods that the library does not know: one that counts frames, one that counts epochs."""
    monkeypatch.setitem(METHODS, "gail", replace(METHODS["ipmd"], name="gail", title="GAIL"))
    monkeypatch.setitem(METHODS, "dagger", replace(METHODS["bc"], name="dagger", title="DAgger"))


def test_the_keys_of_the_design():
    found = results({"sac": stage(), "ipmd": stage(recovery=RECOVERY), "bc": stage("epochs")})
    assert list(found) == [
        *("env", "device", "seeds", "demonstrations", "expert_return", "random_return"),
        *("methods", "reward_recovery", "versions", "config"),
    ]
    assert found["reward_recovery"] == RECOVERY
    common = [
        *("return_per_seed", "return_mean", "normalized_per_seed", "normalized_iqm", "normalized_ci95"),
        *("success_rate_per_seed", "success_rate"),
    ]
    units = {"sac": "frames", "ipmd": "frames", "bc": "epochs"}
    for name, unit in units.items():
        speed = [f"{unit}_to_0.95", "area_per_seed"]
        assert list(found["methods"][name]) == [*common, *speed, unit, "wall_seconds", "reward_recovery"]
        assert found["methods"][name][f"{unit}_to_0.95"] is None
        assert found["methods"][name]["area_per_seed"] == pytest.approx([0.45, 0.4])
        assert found["methods"][name][unit] == 10
    assert found["methods"]["bc"]["return_per_seed"] == [80.0, 60.0]
    assert found["methods"]["bc"]["normalized_per_seed"] == pytest.approx([0.8, 0.6])


def test_frames_to_the_experts_level():
    found = results({"sac": stage()}, expert_return=72.0)  # 80 and 60: a mean score of 0.97
    assert found["methods"]["sac"]["frames_to_0.95"] == 10


def test_every_learned_reward_has_its_line():
    other = {"pearson": 0.25, "standardized_error": 0.75}
    found = results({"ipmd": stage(recovery=RECOVERY), "gail": stage(recovery=other), "sac": stage()})
    assert found["reward_recovery"] == found["methods"]["ipmd"]["reward_recovery"] == RECOVERY
    assert found["methods"]["gail"]["reward_recovery"] == other
    assert found["methods"]["sac"]["reward_recovery"] is None
    told = "earned against true reward on new episodes of the policy: Pearson correlation"
    *_, first, second = results_table(found).splitlines()
    assert first.startswith(f"IPMD: l{told} ")
    assert second == f"GAIL: l{told} 0.250, standardised error 0.750."
    alone = results({"ipmd": stage(recovery=RECOVERY), "sac": stage()})
    assert results_table(alone).splitlines()[-1].startswith(f"L{told} ")
    del alone["methods"]["ipmd"]["reward_recovery"]  # as an earlier version wrote it
    assert results_table(alone).splitlines()[-1].startswith(f"L{told} ")


def test_reward_recovery_is_of_whichever_stage_has_one():
    assert results({"bc": stage("epochs"), "gail": stage(recovery=RECOVERY)})["reward_recovery"] == RECOVERY
    assert results({"sac": stage(), "bc": stage("epochs")})["reward_recovery"] is None


def test_the_table_has_a_row_per_method_in_the_order_of_methods():
    stages = {"dagger": stage("epochs"), "gail": stage(recovery=RECOVERY), "sac": stage()}
    title, _, header, *rows = results_table(results(stages)).splitlines()
    assert title == "Pendulum-v1 on cpu; seeds 42, 43; 5 demonstrations"
    assert header == "Method  Return  Score (IQM)  95% interval    Worst seed  Trained for  Demos  Wall time"
    cells = "70.0    0.700        0.600 to 0.800  0.600       "
    assert rows[:4] == [
        f"SAC     {cells}10 frames    -      1:01",
        f"GAIL    {cells}10 frames    5      1:01",
        f"DAgger  {cells}10 epochs    5      1:01",
        "",
    ]
    assert "Pearson correlation 0.875, standardised error 0.500" in rows[-1]


def test_success_rates_are_in_the_results_and_the_table():
    successes = [[True, True, False, True], [False, False, False, False]]
    stages = {"sac": stage() | {"successes": successes}, "ipmd": stage() | {"successes": None}, "bc": stage("epochs")}
    found = results(stages)
    rates = {name: (entry["success_rate_per_seed"], entry["success_rate"]) for name, entry in found["methods"].items()}
    assert rates == {"sac": ([0.75, 0.0], 0.375), "ipmd": (None, None), "bc": (None, None)}
    header, *rows = results_table(found).splitlines()[2:6]
    assert header.startswith("Method  Return  Success  Score (IQM)  ")
    assert [row.split()[:4] for row in rows] == [
        ["SAC", "70.0", "38%", "0.700"],
        ["IPMD", "70.0", "-", "0.700"],
        ["BC", "70.0", "-", "0.700"],
    ]
    assert "Success: the share of episodes" in results_table(found)
    for entry in found["methods"].values():  # as a results.json of an earlier version
        del entry["success_rate_per_seed"], entry["success_rate"]
    assert results_table(found) == results_table(results({"sac": stage(), "ipmd": stage(), "bc": stage("epochs")}))


@pytest.mark.parametrize("missing", [None, float("nan")])  # NaN: in a stage of an earlier version
def test_a_correlation_that_cannot_be_computed_is_not_defined(missing, tmp_path):
    stages = {"ipmd": stage(recovery=dict.fromkeys(RECOVERY, missing))}
    found = results(stages)
    assert "Pearson correlation not defined, standardised error not defined." in results_table(found)
    write_comparison(found, stages, tmp_path)
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["reward_recovery"] == {"pearson": None, "standardized_error": None}


def test_one_seed_has_no_interval_in_the_table():
    single = stage() | {"returns": [[90.0, 70.0]]}
    row = results_table(results({"bc": stage("epochs"), "sac": single})).splitlines()[3]
    assert row == "SAC     80.0    0.800        not defined     0.800       10 frames    -      1:01"


def test_an_expert_no_better_than_random_is_named_in_the_table():
    table = results_table(results({"bc": stage("epochs")}, expert_return=0.0))
    assert "The expert is no better than random, so the scores mean nothing: raise --expert-frames." in table
    assert "Pearson" not in table


def test_methods_that_count_epochs_have_their_loss_beside_their_returns():
    curves = learning_curves(
        {
            "gail": stage(losses={"gail_loss": [[1.0, 2.0]] * 2}),
            "bc": stage("epochs", losses={"bc_loss": [[3.0, 4.0]] * 10}),
            "dagger": stage("epochs", losses={"dagger_loss": [[1.0, 2.0]] * 10, "another_loss": [[5.0, 6.0]] * 10}),
        }
    )
    assert [curve.x_label for curve in curves.values()] == ["Frames per seed", "Epochs", "Epochs"]
    assert curves["gail"].loss is None
    assert curves["dagger"].loss.values == [[1.0, 2.0]] * 10
    assert list(curves["bc"].loss.x) == list(range(1, 11))
    assert curves["bc"].loss.values == [[3.0, 4.0]] * 10
    assert (curves["bc"].x, curves["bc"].values) == ([5, 10], [[10.0, 20.0], [80.0, 60.0]])


def test_a_method_without_a_loss_of_its_name_has_no_loss_panel():
    curves = learning_curves({"bc": stage("epochs", losses={"another_loss": [[1.0, 2.0]] * 10})})
    assert curves["bc"].loss is None


def test_four_files_are_written(tmp_path):
    stages = {"gail": stage(), "dagger": stage("epochs", losses={"dagger_loss": [[3.0, 4.0]] * 10})}
    found = results(stages)
    write_comparison(found, stages, tmp_path)
    names = {"results.json", "results.txt", "comparison.png", "learning_curves.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert json.loads((tmp_path / "results.json").read_text())["methods"].keys() == {"gail", "dagger"}
    assert (tmp_path / "results.txt").read_text() == results_table(found)


def test_without_the_experts_return_there_are_returns_and_no_scores(tmp_path):
    stages = {"sac": stage(), "gail": stage(recovery=RECOVERY), "bc": stage("epochs")}
    found = results(stages, expert_return=None)
    entry = found["methods"]["bc"]
    assert (entry["return_per_seed"], entry["return_mean"]) == ([80.0, 60.0], 70.0)
    table = results_table(found)
    assert "Expert return not recorded, random return 0.0; so there are no scores, but true returns." in table
    assert "Return (IQM)" in table
    assert "70.0          60.0 to 80.0  60.0        10 frames" in table
    assert "nan" not in table.lower()
    assert "Score" not in table
    assert "no better than random" not in table
    write_comparison(found, stages, tmp_path)
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["expert_return"] is None
    entry = written["methods"]["bc"]
    assert entry["normalized_per_seed"] == [None, None]
    assert (entry["normalized_iqm"], entry["normalized_ci95"]) == (None, [None, None])
    assert (entry["epochs_to_0.95"], entry["area_per_seed"]) == (None, [None, None])
    assert (tmp_path / "comparison.png").stat().st_size > 1000


def test_the_sentence_of_a_log():
    returns = np.array([[90.0, 70.0], [60.0, 60.0]])
    line = score_line("BC", returns, demonstrations())
    assert line == "BC: return 70.0 over 2 seeds, 0.700 of the expert (normalised, IQM), worst seed 0.600."
    assert score_line("BC", returns[:1], demonstrations()).startswith("BC: return 80.0 over 1 seed, 0.800")
    line = score_line("BC", returns, demonstrations(expert_return=None))
    assert line == "BC: return 70.0 over 2 seeds; the expert's return is not recorded, so there is no score."
    line = score_line("BC", returns, demonstrations(expert_return=-1000.0))
    assert line == "BC: return 70.0 over 2 seeds; the expert is no better than random actions, so there is no score."
    line = score_line("BC", returns, demonstrations(), np.array([[True, True], [False, True]]))
    assert line.startswith("BC: return 70.0 over 2 seeds, success rate 75%, 0.700 of the expert")
