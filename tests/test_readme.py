"""What the documents show works: notebook, own data, own environment, commands, flags and links."""

import math
import re
import runpy
import shlex
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlopt.envs import env_spec
from rlopt.envs.torchrl.env import TorchRLEnv
from rlopt.imitation import Demonstrations, load_demonstrations, save_demonstrations
from rlopt.presets import PRESETS

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "RESULTS.md", "docs/design-notes.md", "docs/environments.md", "docs/use-a-policy.md")
TEXT = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS)
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


def code(word):
    """The one block of Python with this word in it."""
    (block,) = [block for block in blocks("python") if word in block]
    return block


def transitions(steps=200, episodes=2):
    n = steps * episodes
    walks = torch.randn(episodes, steps + 1, 3)
    return {
        "observation": walks[:, :-1].flatten(0, 1),
        "action": torch.rand(n, 1) * 2 - 1,
        "next_observation": walks[:, 1:].flatten(0, 1),
        "reward": torch.zeros(n),
        "terminated": torch.zeros(n, dtype=torch.bool),
        "truncated": torch.arange(n) % steps == steps - 1,
        "episode_lengths": torch.full((episodes,), steps),
    }


def shrink_presets(monkeypatch):
    small = {"warmup_frames": 64, "updates_per_frame": 0.05, "eval_points": 1, "eval_episodes": 1}
    for env_id, preset in PRESETS.items():
        monkeypatch.setitem(PRESETS, env_id, {**preset, "training": {**preset.get("training", {}), **small}})


def test_there_are_commands():
    assert any(word.endswith("scripts/04_compare_methods.py") for words in commands() for word in words)
    assert ["make", "compare"] in commands()
    assert ["make", "test"] in commands()


def test_the_notebook_runs(tmp_path, monkeypatch, capsys):
    """With small budgets: numbers of frames and epochs in the text, all else in the presets."""
    monkeypatch.chdir(tmp_path)
    bounds = {"action_low": [-2.0], "action_high": [2.0], "expert_return": -150.0, "random_return": -1200.0}
    demonstrations = Demonstrations(env_id="Pendulum-v1", **transitions(), **bounds)
    save_demonstrations(demonstrations, tmp_path / "expert_data" / "Pendulum-v1")
    shrink_presets(monkeypatch)
    text = re.sub(r"\b(\w*frames)=[\d_]+", r"\1=256", code("train_offline(bc"))
    text = re.sub(r"\bepochs=[\d_]+", "epochs=1", text)
    exec(compile(text, "README.md", "exec"), {"__name__": "__main__"})
    shown = capsys.readouterr().out
    returns = [[float(number) for number in row.split()] for row in re.findall(r"\[([^\]]*)\]", shown)]
    assert len(returns) == text.count("print(")
    assert all(-2000 < value < 0 for row in returns for value in row)


def test_own_data_can_be_written_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    own = {
        "observations": rng.normal(size=(201, 3)),
        "actions": rng.uniform(-2, 2, (200, 1)),
        "rewards": -rng.uniform(size=200),
    }
    exec(compile(code("save_demonstrations("), "README.md", "exec"), dict(own))
    data = load_demonstrations(tmp_path / "expert_data" / "mine" / "expert_buffer.pt")
    assert (data.num_episodes, len(data), data.observation_size) == (1, 200, 3)
    assert torch.allclose(data.action * 2, torch.as_tensor(own["actions"]).float(), atol=1e-6)  # bounds of 2
    assert bool(data.truncated[-1])


def test_an_own_environment_can_be_compared_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    (tmp_path / "my_module.py").write_text(
        "from gymnasium.envs.classic_control.pendulum import PendulumEnv\nclass MyEnv(PendulumEnv): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    text = re.sub(r"(\w*frames)=[\d_]+", r"\1=256", code("gym.register("))
    tiny = 'bc_epochs=1, num_seeds=1, agent_settings={"hidden_sizes": (8,)}, training_settings={"warmup_frames": 64})'
    names = {}
    exec(compile(text.replace("ipmd_frames=256)", f"ipmd_frames=256, {tiny}"), "README.md", "exec"), names)
    assert (names["spec"].kwargs, names["spec"].max_episode_steps) == ({"g": 9.0}, 100)
    assert (tmp_path / "comparison_results" / "Mine-v0" / "comparison.png").exists()


def test_a_torchrl_environment_can_be_written_as_shown(tmp_path, monkeypatch):
    """It starts where gymnasium's pendulum is put, and goes where that one goes."""
    (tmp_path / "pendulum_task.py").write_text(code("class Observe"))
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = env_spec("torchrl:pendulum_task:pendulum")
    assert (spec.name, spec.sizes, spec.max_episode_steps) == ("pendulum", (3, 1), 200)
    env = TorchRLEnv(spec, [0], 2)
    played = env.rollout(20)
    for n in range(2):
        raw = gym.make("Pendulum-v1").unwrapped
        raw.reset()
        cos, sin, speed = played["observation"][n, 0].tolist()
        raw.state = np.array([math.atan2(sin, cos), speed])
        for t in range(20):
            observation, reward, *_ = raw.step(2 * played["action"][n, t].numpy())
            np.testing.assert_allclose(played["next", "observation"][n, t], observation, atol=1e-3)
            assert played["next", "reward"][n, t].item() == pytest.approx(reward, abs=1e-3)


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


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    document = ROOT / name
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert local
    assert [target for target in local if not (document.parent / target).exists()] == []


def test_links_to_sections_lead_to_one():
    titles = re.findall(r"^#+ (.*)$", PROSE, re.M)
    sections = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    named = set(re.findall(r"\]\((?:[\w./-]+\.md)?#([^)]+)\)", PROSE))
    assert named
    assert named <= sections
