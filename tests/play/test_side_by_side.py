"""The film of several policies: every panel its own episode, one step after the other."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from rlopt.errors import UserError
from rlopt.play import side_by_side
from rlopt.play.side_by_side import LABEL, PANEL, Job, Panel, film, frames

from .drawn import DRAWN, LENGTH


def constant(action):
    """A policy that always does the same, in the bounds of [-2, 2]."""
    return {
        "observation_mean": np.zeros(3, np.float32),
        "observation_std": np.ones(3, np.float32),
        "observation_clip": np.float32(np.inf),
        "action_low": np.array([-2], np.float32),
        "action_high": np.array([2], np.float32),
        "weight_0": np.zeros((3, 1), np.float32),
        "bias_0": np.arctanh(np.array([action / 2], np.float32)),
    }


@pytest.fixture
def job(tmp_path):
    for name, action in (("a", 1.0), ("b", -0.5)):
        np.savez(tmp_path / f"{name}.npz", **constant(action))
    env = {"env_id": DRAWN, "source": DRAWN, "kwargs": {}, "max_episode_steps": 9, "starts_alike": False}
    panels = [("First", str(tmp_path / "a.npz")), ("Second", str(tmp_path / "b.npz"))]
    return Job(env, panels, reset_seed=1007, seconds=60.0)


def greys(frame, column):
    """The grey in the middle of a panel of the first row."""
    return int(frame[LABEL + PANEL // 2, column * PANEL + PANEL // 2, 0])


def test_a_panel_plays_its_policy_in_the_environments_units(job):
    panel = Panel("A", constant(1.0), job)
    step = next(panel.steps)
    np.testing.assert_allclose(step.next_observation, [1, 7, 1.0], atol=1e-6)
    panel = Panel("A", constant(1.0), job)
    panel.advance(3)
    assert (panel.total, panel.length, panel.over) == (1 + 2 + 3, 3, False)
    panel.advance(9)
    assert (panel.total, panel.length, panel.over) == (15, LENGTH, True)


def test_all_panels_go_on_together_and_stop_when_all_are_over(job):
    panels = [Panel("A", constant(1.0), job), Panel("B", constant(1.0), job)]
    panels[1].advance(2)
    shown = [(greys(frame, 0), greys(frame, 1)) for frame in frames(panels, 2, 100, 60.0)]
    # B is over two steps before A, and stays as it was
    assert shown == [(0, 80), (80, 160), (160, 200), (200, 200)]


def test_there_are_no_more_frames_than_asked_for_and_rows_of_four(job):
    panels = [Panel(str(n), constant(1.0), job) for n in range(5)]
    several = list(frames(panels, 1, 3, 60.0))
    assert len(several) == 3
    assert several[0].shape == (2 * (PANEL + LABEL), 4 * PANEL, 3)


def test_the_film_has_a_frame_a_step_of_this_slow_environment(job, tmp_path):
    film(job, tmp_path / "out.gif")
    image = Image.open(tmp_path / "out.gif")
    assert (image.n_frames, image.size, image.info["duration"]) == (LENGTH + 1, (2 * PANEL, PANEL + LABEL), 100)


def test_the_time_counts_from_the_first_frame(job, monkeypatch):
    now = iter([100.0, 101.0, 101.0, 102.0, 103.0, 103.0, 104.0])  # asked twice a frame
    monkeypatch.setattr(side_by_side, "monotonic", lambda: next(now))
    panels = [Panel("A", constant(1.0), job)]
    assert len(list(frames(panels, 1, 100, 2.5))) == 3  # looked at at 101, 102 and 103 seconds, of 102.5


def test_what_is_drawn_too_slowly_is_no_film(job, tmp_path):
    hurried = Job(job.env, job.panels, job.reset_seed, seconds=0.0)
    with pytest.raises(UserError, match="Pictures are drawn too slowly here for a film"):
        film(hurried, tmp_path / "out.gif")
    assert not (tmp_path / "out.gif").exists()


def test_it_needs_no_torch(job, tmp_path):
    import subprocess

    lines = (
        f"import sys; sys.argv[1:] = ['job.json', 'out.gif']; import tests.play.drawn; import {side_by_side.__name__} as s; "
        "import json, pathlib; s.film(s.Job(**json.loads(pathlib.Path('job.json').read_text())), pathlib.Path('out.gif')); "
        "assert 'torch' not in sys.modules"
    )
    (tmp_path / "job.json").write_text(json.dumps(vars(job)))
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, env=environment, check=True, timeout=120)
    assert (tmp_path / "out.gif").exists()
