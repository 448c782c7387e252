"""The clip of a comparison: whose policies, and that it can cost nothing."""

import subprocess
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import rlopt
from rlopt.envs import env_spec
from rlopt.experiments import clip
from rlopt.experiments.clip import CLIP, can_be_drawn, draw, export_panels, write_clip
from rlopt.export.formats import run_arrays

from ..play.drawn import DRAWN
from ..policy_files import SEEDS, build, save

NAME = f"tests.play.drawn:{DRAWN}"
ONE = {"action_low": torch.tensor([-2.0]), "action_high": torch.tensor([2.0])}


@pytest.fixture
def spec():
    return env_spec(NAME)


@pytest.fixture
def stages(tmp_path):
    """An expert whose best seed is 43, IPMD whose median seed is 44, BC whose median seed is 42."""
    best = build(action_size=1).policy.actor.state_dict()
    best["mlp.layers.2.bias"] += 1
    for name, agent, extra in (
        ("sac/run/sac_expert.pt", build(action_size=1), {"best_actor": best, "best_seed": 43}),
        ("ipmd/run/ipmd_model.pt", build("ipmd", action_size=1), {}),
    ):
        save(tmp_path / name, agent, NAME, **ONE, **extra)
    for seed in SEEDS:
        save(tmp_path / f"bc/run/bc_policy_seed{seed}.pt", build("bc", action_size=1, num_seeds=1), NAME, [seed], **ONE)
    returns = {"sac": [[5, 5], [1, 1], [9, 9]], "ipmd": [[0, 9], [0, 0], [1, 1]], "bc": [[2, 2], [3, 3], [1, 1]]}
    return {name: [{"returns": rows, "directory": str(tmp_path / name / "run")}] for name, rows in returns.items()}


def test_the_expert_that_recorded_and_median_seeds_are_shown(stages, spec, tmp_path):
    panels = list(export_panels(stages, spec, SEEDS, tmp_path))
    assert [title for title, _ in panels] == ["SAC, the expert (seed 43)", "IPMD (seed 44)", "BC (seed 42)"]
    observation = np.array([[1.0, 2.0, 3.0]], np.float32)
    right = [
        rlopt.load_policy(tmp_path / "sac/run/sac_expert.pt", best=True),
        rlopt.load_policy(tmp_path / "ipmd/run/ipmd_model.pt", 44),
        rlopt.load_policy(tmp_path / "bc/run/bc_policy_seed42.pt"),
    ]
    for (_, file), policy in zip(panels, right, strict=True):
        np.testing.assert_allclose(
            run_arrays(dict(np.load(file)), observation), policy(observation), rtol=1e-5, atol=1e-6
        )


def test_the_median_seed_may_be_in_any_cell(stages, spec, tmp_path):
    (tmp_path / "ipmd/run").rename(tmp_path / "ipmd/second")
    first = {"returns": [[0, 9]], "directory": str(tmp_path / "ipmd/first")}
    second = {"returns": [[0, 0], [1, 1]], "directory": str(tmp_path / "ipmd/second")}
    ((title, _),) = export_panels({"ipmd": [first, second]}, spec, SEEDS, tmp_path)
    assert title == "IPMD (seed 44)"


def test_a_stage_whose_model_has_gone_is_left_out(stages, spec, tmp_path):
    (tmp_path / "ipmd/run/ipmd_model.pt").unlink()
    titles = [title for title, _ in export_panels(stages, spec, SEEDS, tmp_path)]
    assert titles == ["SAC, the expert (seed 43)", "BC (seed 42)"]


def test_the_clip_is_written_by_a_process_of_its_own(stages, spec, tmp_path, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "egl")  # nothing is tried
    (tmp_path / CLIP).write_text("an old one")
    assert write_clip(stages, spec, SEEDS, tmp_path) == tmp_path / CLIP
    image = Image.open(tmp_path / CLIP)
    assert image.n_frames == 6
    assert image.size[0] == 3 * 220


def test_one_that_is_not_wanted_is_not_made_and_an_old_one_goes(stages, spec, tmp_path, monkeypatch):
    monkeypatch.setattr(clip, "export_panels", None)
    (tmp_path / CLIP).write_text("an old one")
    assert write_clip(stages, spec, SEEDS, tmp_path, wanted=False) is None
    assert not (tmp_path / CLIP).exists()


@pytest.mark.parametrize(
    "failure",
    [
        lambda *given, **how: (_ for _ in ()).throw(subprocess.TimeoutExpired("x", 30)),
        lambda *given, **how: (_ for _ in ()).throw(OSError("no processes")),
        lambda *given, **how: SimpleNamespace(returncode=1, stderr="no colours"),
    ],
)
def test_a_failure_costs_nothing(stages, spec, tmp_path, monkeypatch, caplog, failure):
    monkeypatch.setattr(clip.subprocess, "run", failure)
    with caplog.at_level("INFO"):
        assert write_clip(stages, spec, SEEDS, tmp_path) is None
    assert caplog.text == ""
    assert not (tmp_path / CLIP).exists()
    del stages["sac"][0]["returns"]  # nor does anything else
    assert write_clip(stages, spec, SEEDS, tmp_path) is None


def test_ways_to_draw_are_tried_in_turn(tmp_path, monkeypatch):
    monkeypatch.setattr(clip.sys, "platform", "linux")
    monkeypatch.setitem(clip.sys.modules, "mujoco", clip)
    monkeypatch.setattr(clip, "gl_candidates", lambda: ["egl", "osmesa"])
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    tried = []

    def answers(*outcomes):
        left = iter(outcomes)
        tried.clear()

        def run(command, env, **how):
            tried.append(env.get("MUJOCO_GL"))
            code, words = next(left)
            return SimpleNamespace(returncode=code, stderr=words)

        monkeypatch.setattr(clip.subprocess, "run", run)

    answers((1, "no EGL"), (0, ""))
    assert draw(tmp_path / "job.json", tmp_path / CLIP) == ""
    assert tried == ["egl", "osmesa"]
    answers((-6, ""), (-11, ""))  # drivers that end the process
    assert draw(tmp_path / "job.json", tmp_path / CLIP) == "the process was ended"
    assert tried == ["egl", "osmesa"]
    with monkeypatch.context() as patch:
        patch.delitem(clip.sys.modules, "mujoco")  # it is not needed
        answers((1, "no colours"))
        assert draw(tmp_path / "job.json", tmp_path / CLIP) == "no colours"
        assert tried == [None]
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    answers((0, ""))
    assert draw(tmp_path / "job.json", tmp_path / CLIP) == ""
    assert tried == ["glfw"]


def test_what_cannot_be_drawn_starts_no_process(spec, counter_env, monkeypatch):
    assert can_be_drawn(spec)
    assert not can_be_drawn(env_spec(counter_env))  # has no render modes
    assert not can_be_drawn(replace(spec, torchrl=True))
    assert not can_be_drawn(replace(spec, source=lambda: None))  # another process has not got it
    pendulum = env_spec("Pendulum-v1")
    monkeypatch.setattr(clip, "find_spec", lambda name: None)
    assert not can_be_drawn(pendulum)
    monkeypatch.setattr(clip, "find_spec", lambda name: name)
    assert can_be_drawn(pendulum)
