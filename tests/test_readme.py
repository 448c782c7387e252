"""What README and RESULTS show works: the notebook, commands, flags and links."""

import dataclasses
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import torch

from rlopt import config
from rlopt.imitation.demonstrations import Demonstrations, save_demonstrations

ROOT = Path(__file__).parents[1]
TEXT = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "RESULTS.md"))
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.M | re.S)


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


def flags_of(script, monkeypatch, capsys):
    """The flags that a script's `--help` lists."""
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    monkeypatch.syspath_prepend(str((ROOT / script).parent))  # as `python scripts/...` does
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert not end.value.code
    return set(re.findall(r"(?<![\w-])--[\w-]+", capsys.readouterr().out))


def commands():
    """The words of every line of the bash blocks, without comments; environment variables and paths of programs go."""
    lines = [line for block in blocks("bash") for line in block.replace("\\\n", " ").splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def notebooks():
    return [block for block in blocks("python") if "from rlopt.imitation import" in block]


def test_there_is_a_notebook_and_there_are_commands():
    assert notebooks()
    assert any(word.endswith("scripts/04_compare_methods.py") for words in commands() for word in words)
    assert ["make", "compare"] in commands()
    assert ["make", "test"] in commands()


@pytest.mark.parametrize("code", notebooks())
def test_the_notebook_runs(code, tmp_path, monkeypatch, capsys):
    """With small budgets: numbers of frames and epochs in the text, all else in the presets."""
    monkeypatch.chdir(tmp_path)
    steps = 200
    save_demonstrations(
        Demonstrations(
            env_id="Pendulum-v1",
            observation=torch.randn(2 * steps, 3),
            action=torch.rand(2 * steps, 1) * 2 - 1,
            next_observation=torch.randn(2 * steps, 3),
            reward=torch.zeros(2 * steps),
            terminated=torch.zeros(2 * steps, dtype=torch.bool),
            truncated=torch.arange(2 * steps) % steps == steps - 1,
            episode_lengths=torch.tensor([steps, steps]),
            action_low=torch.tensor([-2.0]),
            action_high=torch.tensor([2.0]),
            expert_return=-150.0,
            random_return=-1200.0,
        ),
        tmp_path / "expert_data" / "Pendulum-v1",
    )
    small = {"warmup_frames": 64, "updates_per_frame": 0.05, "eval_points": 1, "eval_episodes": 1}
    for env_id, preset in config.PRESETS.items():
        shrunk = dataclasses.replace(preset, training={**preset.training, **small})
        monkeypatch.setitem(config.PRESETS, env_id, shrunk)
    code = re.sub(r"\b(\w*frames)=[\d_]+", r"\1=256", code)
    code = re.sub(r"\bepochs=[\d_]+", "epochs=1", code)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    shown = capsys.readouterr().out
    returns = [[float(number) for number in row.split()] for row in re.findall(r"\[([^\]]*)\]", shown)]
    assert len(returns) == code.count("print(")
    assert all(-2000 < value < 0 for row in returns for value in row)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_name_scripts_flags_and_targets_that_exist(words, monkeypatch, capsys):
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert {word for word in words[1:] if "=" not in word} <= set(targets)
    for script in (word for word in words if word.endswith(".py")):
        assert (ROOT / script).is_file()
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= flags_of(script, monkeypatch, capsys)


def test_flags_in_the_text_exist(monkeypatch, capsys):
    named = {flag for code in re.findall(r"`([^`\n]+)`", PROSE) for flag in re.findall(r"(?<![\w-])--[\w-]+", code)}
    assert named
    scripts = sorted(set(re.findall(r"\bscripts/\w+\.py", TEXT)))
    known = set().union(*(flags_of(script, monkeypatch, capsys) for script in scripts))
    assert named <= known | {"--help"}


def test_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)#\s]+)", PROSE) + re.findall(r"<img[^>]* src=\"([^\"]+)\"", PROSE)
    local = [target for target in targets if "://" not in target]
    assert local
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_links_to_sections_lead_to_one():
    titles = re.findall(r"^#+ (.*)$", PROSE, re.M)
    sections = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    named = set(re.findall(r"\]\((?:\w+\.md)?#([^)]+)\)", PROSE))
    assert named
    assert named <= sections
