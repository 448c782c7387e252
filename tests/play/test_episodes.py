"""Episodes that are drawn: what is shown when, and what cannot be drawn."""

import sys

import numpy as np
import pytest

from rlopt.envs import env_spec
from rlopt.errors import UserError
from rlopt.play.display import NEEDED
from rlopt.play.episodes import Stage, cannot_draw

from .drawn import DRAWN


def test_an_episode_step_by_step():
    with Stage(env_spec(DRAWN)) as stage:
        assert stage.rate == 10
        grey = []

        def act(observation):
            grey.append(int(stage.picture()[0, 0, 0]))
            return np.array([0.5 if observation[0] < 3 else -1], np.float32)

        steps = list(stage.play(act, seed=1007))
        assert grey == [0, 40, 80, 120, 160]
        assert stage.picture().shape == (6, 8, 3)
        assert int(stage.picture()[0, 0, 0]) == 200
    assert [step.observation.tolist() for step in steps] == [[0, 7, 0], [1, 7, 1], [2, 7, 1], [3, 7, 1], [4, 7, -2]]
    assert [step.next_observation[2] for step in steps] == [1, 1, 1, -2, -2]  # in the environment's units
    assert [step.action.tolist() for step in steps] == [[0.5]] * 3 + [[-1]] * 2  # in [-1, 1]
    assert [step.reward for step in steps] == [1, 2, 3, 4, 5]
    assert [(step.terminated, step.truncated) for step in steps] == [(False, False)] * 4 + [(True, False)]


@pytest.mark.parametrize("name", ["rlopt-test/Blank-v0"])
def test_an_environment_that_does_not_draw_is_refused_but_can_be_played(name):
    with pytest.raises(UserError, match=rf"{name} does not draw itself: it has no render_mode 'rgb_array'"):
        Stage(env_spec(name))
    with Stage(env_spec(name), None) as stage:
        assert len(list(stage.play(lambda observation: np.zeros(1, np.float32), 0))) == 5


def test_a_drawing_that_fails_is_a_sentence():
    with Stage(env_spec("rlopt-test/Broken-v0")) as stage:
        list(stage.play(lambda observation: np.zeros(1, np.float32), 0))
        with pytest.raises(UserError) as error:
            stage.picture()
    assert str(error.value) == (
        f"rlopt-test/Broken-v0 cannot be drawn: No OpenGL backend could be imported. It is a pity. {NEEDED}"
    )


def test_a_missing_pygame_is_a_sentence_in_films_and_windows(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    monkeypatch.setattr("rlopt.play.episodes.find_spec", lambda name: None)
    monkeypatch.setattr("rlopt.play.episodes.check_window", lambda opengl: None)
    sentence = r"Pendulum-v1 is drawn with pygame, which is not installed: pip install 'rlopt\[video\]'\."
    with Stage(env_spec("Pendulum-v1")) as film:
        film.play(lambda observation: np.zeros(1, np.float32), 0)
        with pytest.raises(UserError, match=sentence):
            film.picture()
    with Stage(env_spec("Pendulum-v1"), "human") as window, pytest.raises(UserError, match=sentence):
        window.play(lambda observation: np.zeros(1, np.float32), 0)


def test_other_errors_are_told_as_they_are():
    assert cannot_draw("Mine-v0", RuntimeError("no colours")) == "Mine-v0 cannot be drawn: no colours."


def test_size_and_plainness_reach_mujoco():
    with Stage(env_spec("InvertedPendulum-v5"), plain=True, size=120) as stage:
        renderer = stage.env.unwrapped.mujoco_renderer
        assert (renderer.width, renderer.height) == (120, 120)
        assert renderer.model.vis.quality.shadowsize == renderer.model.vis.quality.offsamples == 0
