"""The page of run folders: finished or not, of several names, with a command that makes it again."""

import shlex

import pytest

from rlopt.config import IPMDConfig, TrainingConfig
from rlopt.report.run_folders import gather_runs
from rlopt.report.runs_page import runs_page

from ..scripts.shared import run_here
from .read_page import read_page

PLOT = "plot_runs.py"


@pytest.fixture
def two_runs(make_run, expert, tmp_path, monkeypatch):
    """IPMD's, which is to go on to 200 frames, and BC's, which is at its end."""
    monkeypatch.chdir(tmp_path)
    training = TrainingConfig(frames=200, warmup_frames=10)
    known = {"expert_data": expert, "demonstrations": 5, "demonstrations_sha256": "ab" * 32}
    make_run("ipmd", [(64, 10, 20), (128, 90, 70)], agent=IPMDConfig(gamma=0.9), training=training, **known)
    make_run("bc", [(1, 5, 5), (2, 30, 50)], unit="epochs", method="bc", agent={"epochs": 2}, expert_data=expert)


def shown(words, picture="runs.png"):
    runs = gather_runs(words)
    runs.draw(picture)
    return read_page(runs_page(runs, picture, "the command").html())


def test_where_each_stands(two_runs):
    page = shown(["ipmd", "bc"])
    assert page.rows["Result"] == [
        ["Name", "Return", "Score (IQM)", "95% interval", "Worst seed", "At"],
        ["IPMD", "80.0", "0.800", "0.700 to 0.900", "0.700", "128 frames"],
        ["BC", "40.0", "0.400", "0.300 to 0.500", "0.300", "2 epochs"],
    ]
    assert page.rows["Runs"][:3] == [
        ["Run", "Folder", "State", "Trained", "Seeds"],
        ["IPMD", "ipmd", "not finished", "128 of 200 frames", "1, 2"],
        ["BC", "bc", "finished", "2 of 2 epochs", "1, 2"],
    ]
    assert "2 runs, of which 1 is finished." in page.texts["Pendulum-v1: IPMD and BC"]
    assert page.texts["Command"] == ["the command"]


def test_settings_versions_and_demonstrations_of_each(two_runs):
    page = shown(["ipmd", "bc"])
    changed = {row[0]: row[1:] for row in page.rows["Settings that differ from the defaults"]}
    assert changed["gamma"] == ["0.9 (0.99)", "-"]
    assert changed["epochs"] == ["-", "2 (100)"]
    assert page.rows["Demonstrations"][1][2:] == ["5", "ab" * 32]
    assert page.rows["Demonstrations"][2][2:] == ["-", "-"]
    versions = {row[0]: row[1:] for row in page.rows["Runs"][3:]}
    assert versions["device"] == ["cpu", "cpu"]
    assert versions["numpy"][0] == versions["numpy"][1] != "-"


def test_runs_of_one_name_have_a_column_each(make_run, expert, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    make_run("first", [(64, 10)], expert_data=expert, agent={"gamma": 0.9})
    make_run("second", [(64, 20)], first_seed=2, expert_data=expert, agent={"gamma": 0.8})
    page = shown(["first", "second"])
    assert page.rows["Settings that differ from the defaults"] == [
        ["Setting", "IPMD first", "IPMD second"],
        ["gamma", "0.9 (0.99)", "0.8 (0.99)"],
    ]
    assert [row[2] for row in page.rows["Runs"][1:3]] == ["not known", "not known"]  # without their frames
    assert page.rows["Result"][1][:3] == ["IPMD", "15.0", "0.150"]


def test_the_script_writes_it(two_runs, monkeypatch, capsys, tmp_path):
    words = ["ipmd", "lazy <b>=bc", "--save", "my runs.png", "--report", "page.html"]
    assert run_here(monkeypatch, PLOT, *words) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["Picture: my runs.png", "Page: page.html"]
    page = read_page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.texts["Command"] == [shlex.join(["python", "scripts/plot_runs.py", *words])]
    assert [row[0] for row in page.rows["Result"]] == ["Name", "IPMD", "lazy <b>"]
    assert page.media[0]["src"].startswith("data:image/png;base64,iVBORw0KGgo")


def test_without_the_flag_there_is_no_page(two_runs, monkeypatch, capsys, tmp_path):
    assert run_here(monkeypatch, PLOT, "ipmd", "bc") == 0
    assert list(tmp_path.glob("*.html")) == []
