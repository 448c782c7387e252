"""Episodes to watch are those of the evaluation; the learned reward is drawn under the true one."""

import numpy as np
import pytest
import torch
from PIL import Image

import rlopt
from rlopt.envs import env_spec
from rlopt.errors import UserError
from rlopt.experiments import watch as watching
from rlopt.experiments.watch import draw_rewards, load_reward, watch
from rlopt.report.statistics import pearson
from rlopt.training.evaluation import evaluate

from ..play.drawn import DRAWN, Drawn
from ..policy_files import build, pendulum, save

ONE = {"action_low": torch.tensor([-2.0]), "action_high": torch.tensor([2.0])}


@pytest.fixture
def policy(tmp_path):
    agent = build("ipmd", action_size=1)
    return rlopt.load_policy(save(tmp_path / "ipmd.pt", agent, DRAWN, max_episode_steps=9, **ONE), seed=43)


def test_the_episodes_of_the_evaluation_are_watched(tmp_path):
    policy = rlopt.load_policy(pendulum(tmp_path))
    watched = list(watch(policy, env_spec("Pendulum-v1"), seeds=[1_000_000, 1_000_001]))
    right = evaluate(policy.policy, "Pendulum-v1", episodes=2)[0]
    assert [each.episode.undiscounted_return for each in watched] == pytest.approx(right.tolist(), rel=1e-6)
    assert [(each.seed, each.length, each.success) for each in watched] == [
        (1_000_000, 200, None),
        (1_000_001, 200, None),
    ]
    assert watched[0].episode.truncated.nonzero()[0].tolist() == [199]


def test_success_and_every_frame_of_both_films(policy, tmp_path):
    film, second = tmp_path / "a.gif", tmp_path / "b.gif"
    watched = list(watch(policy, env_spec(DRAWN), seeds=[3, 4], films=[film, second]))
    assert [each.success for each in watched] == [True, True]  # `success` counts at any step
    assert [each.episode.observation[0, 1] for each in watched] == [3, 4]
    image = Image.open(film)
    levels = []
    for index in range(image.n_frames):
        image.seek(index)
        levels.append(image.convert("RGB").getpixel((0, 0))[0])
    assert levels == [0, 40, 80, 120, 160, 200] * 2
    assert film.read_bytes() == second.read_bytes()


def test_a_window_shows_every_step(policy, monkeypatch):
    monkeypatch.setattr(Drawn, "shown", 0)
    list(watch(policy, env_spec(DRAWN), seeds=[3], window=True))
    assert Drawn.shown == 6


def test_samples_differ_from_the_mode(policy):
    (mode,) = watch(policy, env_spec(DRAWN), seeds=[3])
    (sample,) = watch(policy, env_spec(DRAWN), seeds=[3], deterministic=False)
    right = [policy.act(row[None, None])[0, 0, 0] for row in mode.episode.observation]
    np.testing.assert_allclose(mode.episode.action[:, 0], right, rtol=1e-5, atol=1e-6)
    assert not np.allclose(mode.episode.action, sample.episode.action)


@pytest.mark.pictures
def test_both_rewards_are_drawn_along_the_episodes(policy, tmp_path, monkeypatch):
    agent = build("ipmd", action_size=1)
    drawn = {}
    monkeypatch.setattr(watching, "rewards_figure", lambda *arrays, **how: drawn.update(arrays=arrays, **how))
    watched = list(watch(policy, env_spec(DRAWN), seeds=[3, 4]))
    reward = load_reward(tmp_path / "ipmd.pt", policy)
    correlation = draw_rewards(reward, policy, watched, tmp_path / "r.png")
    true, learned = drawn["arrays"]
    assert [part.tolist() for part in true] == [[1, 2, 3, 4, 5]] * 2
    parts = [(each.episode.observation, each.episode.action, each.episode.next_observation) for each in watched]
    right = [agent.reward(*(torch.tensor(value).expand(3, -1, -1) for value in part))[1].numpy() for part in parts]
    np.testing.assert_allclose(learned, right, rtol=1e-5, atol=1e-6)
    assert reward.seed == 43
    assert correlation == pytest.approx(pearson(np.concatenate(right), np.concatenate(true)))
    assert drawn["title"] == f"IPMD on {DRAWN}, reward of seed 43"


@pytest.mark.pictures
def test_the_picture_has_two_panels(tmp_path):
    true, learned = [np.arange(4.0), np.arange(3.0)], [-np.arange(4.0), -np.arange(3.0)]
    figure = watching.rewards_figure(true, learned, title="X", path=tmp_path / "r.png")
    assert (tmp_path / "r.png").stat().st_size > 5000
    upper, lower = figure.axes
    assert upper.get_title() == "X: correlation -1.00"
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("True reward", "Learned reward")
    assert lower.lines[0].get_ydata().tolist() == [0, -1, -2, -3, 0, -1, -2]
    assert lower.lines[1].get_xdata() == [4.5, 4.5]  # between the episodes


def test_a_model_without_a_reward_or_of_other_sizes_is_refused(policy, tmp_path):
    with pytest.raises(UserError, match="holds BC, which learned no reward"):
        load_reward(save(tmp_path / "bc.pt", build("bc")), policy)
    with pytest.raises(UserError, match=r"is for observations of size 3 and actions of size 2, but .* has 3 and 1"):
        load_reward(save(tmp_path / "two.pt", build("ipmd")), policy)
    other = save(tmp_path / "other.pt", build("ipmd", action_size=1), DRAWN, seeds=[7, 8, 9], **ONE)
    assert load_reward(other, policy).seed == 7
