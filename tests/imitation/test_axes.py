"""Arrays with two leading axes: padded episodes `[M, T, ...]`, or steps of several environments at once, `[T, E, ...]`."""

import numpy as np
import pytest

from rlopt.errors import UserError
from rlopt.imitation import ExpertReplayBuffer, load_demonstrations
from rlopt.imitation.readers import prepare_demonstrations

LINE = "tests.envs.line:rlopt-test/Line-v0"
"""Two observations, one action, episodes of 20 steps."""
LENGTHS = (20, 12, 20, 7)
"""Episodes of each of three environments, one after the other; the second ends by itself."""


def episode(length, start, drift=0.1):
    """Observations `start`, `start + drift`, ... `[length + 1, 2]`."""
    return start + drift * np.arange(length + 1.0)[:, None].repeat(2, 1)


def recording():
    """Three environments' steps as numpy collects them, `[T, E, ...]`: rewards of environment e are e + 1."""
    streams = []
    for e in range(3):
        walks = [episode(length, 10 * e + 100 * i) for i, length in enumerate(LENGTHS)]
        last = np.concatenate([np.arange(length) == length - 1 for length in LENGTHS])
        terminated = last & (np.arange(len(last)) == 31)
        streams.append(
            {
                "observations": np.concatenate([walk[:-1] for walk in walks]),
                "next_observations": np.concatenate([walk[1:] for walk in walks]),
                "actions": np.full((len(last), 1), e / 4),
                "rewards": np.full(len(last), e + 1.0),
                "terminations": terminated,
                "truncations": last & ~terminated,
            }
        )
    return {part: np.stack([stream[part] for stream in streams], 1) for part in streams[0]}


def without(arrays, *parts):
    return {part: value for part, value in arrays.items() if part not in parts}


def check_streams(data):
    assert data.episode_lengths.tolist() == [*LENGTHS] * 3
    starts = data.episode_lengths.cumsum(0) - data.episode_lengths
    assert data.observation[starts, 0].tolist() == [10 * e + 100 * i for e in range(3) for i in range(4)]
    assert data.expert_return == pytest.approx(2 * np.mean(LENGTHS))
    assert data.reward.tolist() == [1.0] * 59 + [2.0] * 59 + [3.0] * 59
    assert data.terminated.nonzero().flatten().tolist() == [31, 90, 149]
    assert data.truncated.sum() == 9
    np.testing.assert_allclose(data.next_observation - data.observation, 0.1, rtol=1e-3)


@pytest.mark.parametrize("column", [False, True])
def test_next_observations_tell_that_time_is_first(column, tmp_path):
    arrays = recording()
    if column:  # as replay memories keep them: [T, E, 1]
        arrays |= {part: arrays[part][:, :, None] for part in ("rewards", "terminations", "truncations")}
    np.savez(tmp_path / "steps.npz", **arrays)
    check_streams(load_demonstrations(tmp_path / "steps.npz", env=LINE))


def test_time_first_can_be_said():
    arrays = without(recording(), "next_observations")
    with pytest.raises(UserError, match=r"Arrays \[59, 3, ...\] .* look like the second. Say which: add 'time_first'"):
        load_demonstrations(arrays, env=LINE)
    data = load_demonstrations(arrays | {"time_first": True}, env=LINE)
    assert data.episode_lengths.tolist() == [length - 1 for length in LENGTHS] * 3  # nobody knows what came last
    assert data.expert_return == pytest.approx(2 * np.mean(LENGTHS))


def test_a_recording_that_stops_after_an_episode_s_first_step(caplog):
    arrays = {part: value[:53] for part, value in without(recording(), "next_observations").items()}
    data = load_demonstrations(arrays | {"time_first": True}, env=LINE)
    assert data.episode_lengths.tolist() == [19, 11, 19] * 3
    assert "3 episodes of one step are left out: the observation after it was not recorded." in caplog.text


def test_time_first_without_ends_is_refused():
    arrays = without(recording(), "terminations", "truncations")
    with pytest.raises(UserError, match="Nothing says where an episode ends"):
        load_demonstrations(arrays, env=LINE)


def whole_episodes(count=4):
    """`[M, T + 1, 2]`, whose starts lie closer together than a step leads."""
    return np.stack([episode(20, 0.01 * i, drift=1.0) for i in range(count)])


def test_observations_that_are_one_more_tell_which_axis_is_time():
    observations = whole_episodes()
    arrays = {"observations": observations, "actions": np.zeros((4, 20, 1)), "rewards": np.ones((4, 20))}
    expected = load_demonstrations(arrays, env=LINE)
    assert expected.episode_lengths.tolist() == [20] * 4
    swapped = {part: value.swapaxes(0, 1) for part, value in arrays.items()}
    assert load_demonstrations(swapped, env=LINE).digest == expected.digest


@pytest.mark.parametrize("ends", ["flags", "lengths", "time limit", "said"])
def test_padded_episodes_stay_what_they_are(ends):
    """Their observations change more from step to step than from episode to episode."""
    count = 19 if ends in ("lengths", "said") else 20
    arrays = {"observations": whole_episodes()[:, :count], "actions": np.zeros((4, count, 1))}
    more = {
        "flags": {"truncations": np.arange(count)[None].repeat(4, 0) == count - 1},
        "lengths": {"episode_lengths": [count] * 4},
        "time limit": {},
        "said": {"time_first": False},
    }
    data = load_demonstrations(arrays | more[ends], env=LINE)
    assert data.episode_lengths.tolist() == [count - 1] * 4
    assert data.observation[:3, 0].tolist() == [0, 1, 2]


def test_a_mask_of_steps_and_environments():
    arrays = {"observations": whole_episodes().swapaxes(0, 1), "actions": np.zeros((20, 4, 1))}
    mask = np.arange(20)[:, None] < [20, 5, 20, 20]
    data = load_demonstrations(arrays | {"mask": mask}, env=LINE)
    assert data.episode_lengths.tolist() == [20, 5, 20, 20]


def test_one_environment_s_axis_is_no_axis():
    arrays = {part: value[:, :1] for part, value in recording().items()}
    assert load_demonstrations(arrays, env=LINE).episode_lengths.tolist() == [*LENGTHS]


def test_axes_that_disagree_are_named():
    arrays = recording()
    arrays["actions"] = arrays["actions"].swapaxes(0, 1)
    with pytest.raises(UserError, match=r"disagree: observations \[59, 3, ...\], .*actions \[3, 59, ...\]"):
        load_demonstrations(arrays, env=LINE)


def test_they_train_like_a_list_of_episodes():
    data = prepare_demonstrations(recording(), env=LINE)
    batch = ExpertReplayBuffer(data).sample(16)
    assert batch["observation"].shape == (16, 2)
