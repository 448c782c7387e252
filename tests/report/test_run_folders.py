"""Run folders read back: what is in them, how runs join, what is refused."""

import json

import numpy as np
import pytest

from rlopt.errors import UserError
from rlopt.report.run_folders import gather_runs, read_run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Pictures go to a folder of their own."""
    monkeypatch.chdir(tmp_path)


def plot_runs(folders, path, **how):
    runs = gather_runs(folders, **how)
    runs.draw(path)
    return runs.standing


def test_a_run_is_what_its_log_wrote(make_run):
    nan = float("nan")
    run = read_run(make_run("run", [(1, nan, nan), (2, 10, 20), (4, 30, 40)], unit="epochs", expert_data="e.pt"))
    assert (run.method, run.env_id, run.unit, run.expert_data) == ("ipmd", "Pendulum-v1", "epochs", "e.pt")
    assert run.x.tolist() == [2, 4]  # between evaluations returns are NaN
    assert {seed: values.tolist() for seed, values in run.returns.items()} == {"1": [10, 30], "2": [20, 40]}


@pytest.mark.parametrize(
    ("title", "method"), [("IPMD Pendulum-v1", None), ("Frozen reward Pendulum-v1", "ipmd"), ("", "ipmd")]
)
def test_the_method_is_the_configs_or_in_old_runs_the_titles(title, method, make_run):
    config = {} if method is None else {"method": method}
    assert read_run(make_run("run", [(64, 10)], title=title, **config)).method == "ipmd"


def test_a_line_that_a_crash_left_without_its_end_is_left_out(make_run):
    folder = make_run("run", [(64, 10, 20), (128, 30, 40)])
    with open(f"{folder}/metrics.csv", "a") as file:
        file.write("192,5")
    assert read_run(folder).x.tolist() == [64, 128]


def test_where_each_stands(make_run, expert, tmp_path):
    ipmd = make_run("ipmd", [(64, 10, 20), (128, 90, 70)], expert_data=expert)
    bc = make_run("bc", [(1, 5, 5), (2, 30, 50)], title="BC Pendulum-v1", unit="epochs", expert_data=expert)
    standing = plot_runs([ipmd, bc], tmp_path / "runs.png")
    assert list(standing) == ["ipmd", "bc"]
    assert standing["ipmd"]["frames"] == 128
    assert standing["ipmd"]["normalized_per_seed"] == pytest.approx([0.9, 0.7])
    assert standing["bc"]["epochs"] == 2
    assert standing["bc"]["normalized_iqm"] == pytest.approx(0.4)
    assert (tmp_path / "runs.png").read_bytes().startswith(b"\x89PNG")


def curves_of(monkeypatch, *args, **settings):
    """What is drawn."""
    drawn = {}
    monkeypatch.setattr("rlopt.report.plots.learning_curves_figure", lambda curves, **_: drawn.update(curves))
    plot_runs(*args, "runs.png", **settings)
    return drawn


def test_bc_is_level_beside_frames_and_a_curve_alone(make_run, expert, monkeypatch):
    ipmd = make_run("ipmd", [(64, 10)], expert_data=expert)
    bc = make_run("bc", [(1, 5), (2, 30)], title="BC Pendulum-v1", unit="epochs", expert_data=expert)
    beside = curves_of(monkeypatch, [ipmd, bc])["bc"]
    assert (list(beside.x), beside.values.tolist(), beside.x_label) == ([2], [[30]], "Frames per seed")
    alone = curves_of(monkeypatch, [bc])["bc"]
    assert (list(alone.x), alone.values.tolist(), alone.x_label) == ([1, 2], [[5], [30]], "Epochs")


@pytest.mark.parametrize(("frames", "last"), [(None, 300), (200, 256), (256, 256), (64, 64), (10_000, 300)])
def test_frames_end_with_the_first_evaluation_that_reaches_them(frames, last, make_run, expert, monkeypatch):
    run = make_run("run", [(64, 10), (256, 20), (300, 30)], expert_data=expert)
    assert curves_of(monkeypatch, [run], frames=frames)["ipmd"].x[-1] == last


def test_runs_of_one_method_have_their_seeds_side_by_side_as_far_as_both_came(make_run, expert, monkeypatch):
    first = make_run("first", [(64, 10, 20), (128, 30, 40)], expert_data=expert)
    second = make_run("second", [(64, 11), (128, 31), (192, 51)], first_seed=3, expert_data=expert)
    curve = curves_of(monkeypatch, [first, second])["ipmd"]
    assert list(curve.x) == [64, 128]
    assert curve.values.tolist() == [[10, 20, 11], [30, 40, 31]]


def test_names_keep_runs_apart(make_run, expert, monkeypatch):
    one, other = (make_run(name, [(64, 10)], expert_data=expert) for name in ("one", "eta=1"))
    with pytest.raises(UserError, match="Two runs of ipmd have seed 1: give one of them another name"):
        plot_runs([one, other], "runs.png")
    assert list(curves_of(monkeypatch, [one, f"ours={other}"])) == ["ipmd", "ours"]
    assert list(curves_of(monkeypatch, [f"ours={one}", other])) == ["ours", "ipmd"]  # a folder may have a = in its name


def test_what_is_refused(make_run, expert, tmp_path):
    ipmd = make_run("ipmd", [(64, 10)], expert_data=expert)
    with pytest.raises(UserError, match="nowhere is not a run folder, such as logs/ipmd/"):
        plot_runs([ipmd, "nowhere"], "runs.png")
    with pytest.raises(UserError, match="All runs must be of one environment: these are of Hopper-v5, Pendulum-v1"):
        plot_runs([ipmd, make_run("hopper", [(64, 1)], env="Hopper-v5", title="SAC Hopper-v5")], "runs.png")
    with pytest.raises(UserError, match="no demonstrations: name the expert with --expert-data"):
        plot_runs([make_run("sac", [(64, 1)], title="SAC Pendulum-v1")], "runs.png")
    with pytest.raises(UserError, match=r"learned from .*, other\.pt: name the expert"):
        plot_runs([ipmd, make_run("b", [(64, 1)], first_seed=2, expert_data="other.pt")], "runs.png")
    with pytest.raises(UserError, match="have no evaluation at a common point yet"):
        plot_runs([make_run("empty", [], expert_data=expert)], "runs.png")
    with pytest.raises(UserError, match="have no evaluation at a common point yet"):
        plot_runs([ipmd, make_run("early", [(32, 1)], first_seed=2, expert_data=expert)], "runs.png")

    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "metrics.csv").write_text("step,reward\n1,2\n")
    for text in ("{", "[]", json.dumps({"config": {}}), json.dumps({"title": "", "config": {"env": "Pendulum-v1"}})):
        (foreign / "config.json").write_text(text)
        with pytest.raises(UserError, match=r"foreign(/config\.json is damaged| has a config)"):
            plot_runs([str(foreign)], "runs.png")


def test_an_expert_without_returns_gives_curves_without_scores(tmp_path, make_run):
    path = tmp_path / "mine.npz"
    np.savez(path, observations=np.random.default_rng(0).normal(size=(4, 3)), actions=[[-2.0], [0.0], [2.0]])
    run = make_run("run", [(2, 10, 20), (4, 30, 40)], expert_data=str(path))
    standing = plot_runs([run], tmp_path / "curves.png")["ipmd"]
    assert standing["return_per_seed"] == [30, 40]
    assert np.isnan(standing["normalized_iqm"])
    assert (tmp_path / "curves.png").stat().st_size > 1000
