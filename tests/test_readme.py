"""The code that README and the pages of docs/ show runs; `docs/test_pages.py` tests what they name."""

import json
import math
import re

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlopt.agents import METHODS
from rlopt.envs import env_spec
from rlopt.envs.torchrl.env import TorchRLEnv
from rlopt.imitation import Demonstrations, load_demonstrations, save_demonstrations
from rlopt.presets import PRESETS

from .docs.shared import python_block as code

BOUNDS = {"action_low": [-2.0], "action_high": [2.0], "expert_return": -150.0, "random_return": -1200.0}


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


def with_small_budgets(text):
    return re.sub(r"\bepochs=[\d_]+", "epochs=1", re.sub(r"\b(\w*frames|total)=[\d_]+", r"\1=256", text))


def test_the_notebook_runs(tmp_path, monkeypatch, capsys):
    """With small budgets: numbers of frames and epochs in the text, all else in the presets."""
    monkeypatch.chdir(tmp_path)
    demonstrations = Demonstrations(env_id="Pendulum-v1", **transitions(), **BOUNDS)
    save_demonstrations(demonstrations, tmp_path / "expert_data" / "Pendulum-v1")
    shrink_presets(monkeypatch)
    text = with_small_budgets(code("train_offline(bc"))
    names = {}
    exec(compile(text, "notebook.md", "exec"), names)
    shown = capsys.readouterr().out
    returns = [[float(number) for number in row.split()] for row in re.findall(r"\[([^\]]*)\]", shown)]
    assert len(returns) == text.count("print(")
    assert all(-2000 < value < 0 for row in returns for value in row)
    exec(compile(with_small_budgets(code("import RunLog")), "notebook.md", "exec"), names)
    assert (tmp_path / "logs" / "notebook" / "metrics.csv").exists()


def test_own_data_can_be_written_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    own = {
        "observations": rng.normal(size=(201, 3)),
        "actions": rng.uniform(-2, 2, (200, 1)),
        "rewards": -rng.uniform(size=200),
    }
    exec(compile(code("save_demonstrations("), "own-data.md", "exec"), dict(own))
    data = load_demonstrations(tmp_path / "expert_data" / "mine" / "expert_buffer.pt")
    assert (data.num_episodes, len(data), data.observation_size) == (1, 200, 3)
    assert torch.allclose(data.action * 2, torch.as_tensor(own["actions"]).float(), atol=1e-6)  # bounds of 2
    assert bool(data.truncated[-1])


@pytest.mark.pictures
def test_an_own_environment_can_be_compared_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    (tmp_path / "my_module.py").write_text(
        "from gymnasium.envs.classic_control.pendulum import PendulumEnv\nclass MyEnv(PendulumEnv): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    text = with_small_budgets(code("gym.register("))
    tiny_loop = {"warmup_frames": 64, "updates_per_frame": 0.1, "eval_points": 1, "eval_episodes": 1}
    tiny = f'bc_epochs=1, num_seeds=1, agent_settings={{"hidden_sizes": (8,)}}, training_settings={tiny_loop})'
    names = {}
    exec(compile(text.replace("ipmd_frames=256)", f"ipmd_frames=256, {tiny}"), "own-environment.md", "exec"), names)
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


def test_a_method_of_ones_own_is_compared_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setitem(METHODS, "absolute", None)  # gone when the test ends
    (tmp_path / "absolute_bc.py").write_text(code("class AbsoluteBC"))
    monkeypatch.syspath_prepend(str(tmp_path))
    data = Demonstrations(env_id="Pendulum-v1", **transitions(), **BOUNDS)
    save_demonstrations(data, tmp_path / "expert_data" / "Pendulum-v1")
    text = code("import absolute_bc").replace("bc_epochs=50", "bc_epochs=1, num_seeds=2, demos=1")
    exec(compile(text, "own-method.md", "exec"), {})
    results = json.loads((tmp_path / "comparison_results" / "Pendulum-v1" / "results.json").read_text())
    assert set(results["methods"]) == {"bc", "absolute"}


def test_ipmd_without_its_additions_is_sac_as_shown(capsys):
    text = code("EnvironmentReward()").replace("num_seeds=3", "num_seeds=1").replace("20_000", "1_200, eval_episodes=1")
    exec(compile(text, "IPMD_BASELINE_TEST.md", "exec"), {})
    assert capsys.readouterr().out == "True\n"
