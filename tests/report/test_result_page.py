"""The page of a comparison: it says what results.txt and config.json say, settings that differ from the defaults first."""

import shlex
import sys
from types import SimpleNamespace

import pytest

from rlopt.config import BCConfig, IPMDConfig, LoopConfig, TrainingConfig
from rlopt.logs.run_folder import to_json
from rlopt.report.page import Page
from rlopt.report.result_page import PAGE, command_line, listed, result_page
from rlopt.report.results import FILES, results_notes, results_rows
from rlopt.report.settings_table import default_settings, settings_sections

from ..scripts.shared import COMPARE, run_here
from .read_page import read_page
from .shared import RECOVERY, results, stage

DIGEST = "5e" * 32


def configs():
    """Of IPMD two settings differ, of BC one."""
    ipmd, bc = IPMDConfig(gamma=0.9, hidden_sizes=(64, 32)), BCConfig(epochs=7)
    return to_json(
        {
            "ipmd": {"agent": vars(ipmd), "training": vars(TrainingConfig())},
            "bc": {"agent": vars(bc), "training": vars(LoopConfig())},
        }
    )


@pytest.fixture
def shown(tmp_path):
    """A page of IPMD and BC on given demonstrations, read back."""

    def make(stages=None, command=None, **config):
        stages = stages or {"ipmd": stage(recovery=RECOVERY), "bc": stage("epochs")}
        found = results(stages)
        found["config"] = {"expert_data": "minari:mine", "demonstrations_sha256": DIGEST, "stages": configs(), **config}
        for name in FILES[2:]:
            (tmp_path / name).write_bytes(b"\x89PNG")
        result_page(found, stages, tmp_path, command).write(tmp_path / PAGE)
        return found, read_page((tmp_path / "report.html").read_text(encoding="utf-8"))

    return make


def test_the_table_is_that_of_results_txt(shown):
    found, page = shown()
    assert page.rows["Result"] == [list(row) for row in results_rows(found)]
    assert set(results_notes(found)) <= set(page.texts["Result"])
    assert [one["alt"] for one in page.media] == [
        "Bars of the score with 95% intervals: IPMD 0.700, BC 0.700.",
        "Return of IPMD and BC during training.",
    ]


def test_settings_that_differ_from_the_defaults_come_first(shown):
    _, page = shown()
    assert page.rows["Settings that differ from the defaults"] == [
        ["Setting", "IPMD", "BC"],
        ["hidden_sizes", "64 32 (256 256)", "256 256"],
        ["gamma", "0.9 (0.99)", "-"],
        ["epochs", "-", "7 (100)"],
    ]
    others = {row[0]: row[1:] for row in page.rows["Settings at their defaults"]}
    assert others["tau"] == ["0.005", "-"]
    assert others["average_reward"] == ["no", "-"]
    assert others["eval_envs"] == ["automatic", "automatic"]
    assert others["eval_points"] == ["20", "10"]
    assert list(page.rows).index("Settings at their defaults") == len(page.rows) - 1


def test_a_method_that_is_not_known_has_settings_and_no_defaults():
    changed, same = settings_sections({"Ours": {"width": 3}}, {"Ours": "ours"})
    assert [list(row) for row in changed.parts[0].rows] == [["width", "3"]]
    assert list(same.parts) == []
    assert default_settings("ours") == {}


def test_given_demonstrations_have_their_source_and_digest(shown):
    rows = dict(shown(skip_demos=2)[1].rows["Demonstrations"])
    assert (rows["From"], rows["SHA-256"]) == ("minari:mine", DIGEST)
    assert rows["Learned from"] == "5 demonstrations, after 2 that are left out"
    assert rows["Expert's return"] == "100.00"


def test_an_own_experts_demonstrations_have_the_digest_of_its_stage(shown):
    expert = {**stage(), "demonstrations": "expert_data/e.pt", "demonstrations_sha256": "ab" * 32}
    stages = {"sac": expert, "bc": {**stage("epochs"), "demonstrations": "expert_data/e.pt"}}
    rows = dict(shown(stages, expert_data=None, demonstrations_sha256=None)[1].rows["Demonstrations"])
    assert rows["From"] == "expert_data/e.pt, trained and recorded by this comparison"
    assert rows["SHA-256"] == "ab" * 32
    earlier = shown({"bc": stage("epochs")}, expert_data=None, demonstrations_sha256=None)[1]
    assert dict(earlier.rows["Demonstrations"])["SHA-256"] == "not recorded"


def test_versions_and_where_it_was_made(shown):
    stages = {"bc": {**stage("epochs"), "directory": "logs/bc/here"}}
    found, page = shown(stages, env_kwargs={"g": 9.5}, max_episode_steps=70)
    rows = {row[0]: row[1] for row in page.rows["Run"]}
    assert rows["Arguments"] == "g=9.5"
    assert rows["Time limit"] == "70 steps"
    assert rows["Folder of BC"] == "logs/bc/here"
    stages["bc"]["directories"] = ["logs/bc/here", "logs/bc/there"]
    rows = {row[0]: row[1] for row in shown(stages)[1].rows["Run"]}
    assert rows["Folder of BC"] == "logs/bc/here, logs/bc/there"
    assert rows["Training time"] == "1:01"
    assert {name: rows[name] for name in found["versions"]} == found["versions"]


def test_the_command_that_is_shown_is_the_one_that_was_given(monkeypatch, capsys, shown):
    """Parsed again by step 4, it has the same flags."""
    seen = []
    stand_in = SimpleNamespace(plan_comparison=lambda env, command, **_: seen.append(command) or sys.exit(0))
    monkeypatch.setitem(sys.modules, "rlopt.experiments.comparison", stand_in)
    words = ["--env", "Pendulum-v1", "--env-kwargs", "g=9.5", "--hidden-size", "64", "--no-wandb", "--compile"]
    words += [
        "--methods",
        "sac",
        "bc",
        "--save-dir",
        "my results",
        "--learning-rate",
        "1e-5",
        "--expert-bound",
        "--max-episode-steps",
        "90",
    ]
    assert run_here(monkeypatch, COMPARE, *words) == 0
    told = command_line("python scripts/04_compare_methods.py", seen[0])
    assert "'my results'" in told
    assert run_here(monkeypatch, COMPARE, *shlex.split(told)[2:]) == 0
    assert seen[1] == seen[0]
    assert shown(command=seen[0])[1].texts["Command"] == [told]
    assert shown()[1].texts["Command"] == ["It was called from Python."]


def test_a_clip_beside_the_results_is_shown(shown, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"film")
    page = shown()[1]
    assert [one["tag"] for one in page.media] == ["img", "video", "img"]
    assert page.media[1]["aria-label"].startswith("Clip of an episode: IPMD and BC")


def test_results_without_scores_or_settings_have_a_page(tmp_path):
    stages = {"bc": stage("epochs")}
    found = results(stages, expert_return=None)  # its config says nothing
    page = result_page(found, stages, tmp_path)
    assert isinstance(page, Page)
    header, row = page.sections[0].parts[1].header, page.sections[0].parts[1].rows[0]
    assert (header[2], row[2]) == ("Return (IQM)", "70.0")


@pytest.mark.parametrize(("words", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_words_in_a_row(words, text):
    assert listed(words) == text
