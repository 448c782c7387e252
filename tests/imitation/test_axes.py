"""Arrays with two leading axes: padded episodes `[M, T, ...]`, or steps of several environments at once, `[T, E, ...]`."""

import numpy as np
import pytest
import torch

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


def starts_of(arrays):
    """`episode_starts` `[T, E]`, as stable-baselines3's rollout buffers have them: floats, true in the first step."""
    ended = arrays["terminations"] | arrays["truncations"]
    return np.concatenate([np.ones_like(ended[:1]), ended[:-1]]).astype(np.float32)


FLAGS = ("terminations", "truncations")
CUT = [length - 1 for length in LENGTHS]
"""Without the steps whose next observation nobody knows."""


@pytest.mark.parametrize("noise", [0, 100])
def test_starts_tell_that_time_is_first(noise):
    arrays = recording()
    arrays["observations"] = arrays["observations"] + noise * np.random.default_rng(0).normal(size=(59, 3, 2))
    rollout = without(arrays, "next_observations", *FLAGS) | {"episode_starts": starts_of(arrays)}
    data = load_demonstrations(rollout, env=LINE)
    assert data.episode_lengths.tolist() == CUT * 3
    assert data.expert_return == pytest.approx(2 * np.mean(LENGTHS))
    environments_first = {part: value.swapaxes(0, 1) for part, value in rollout.items()}
    with pytest.raises(UserError, match="Episode 0, step 20: episode_starts is set after the first step"):
        load_demonstrations(environments_first, env=LINE)


@pytest.mark.parametrize("ends", ["starts", "flags"])
@pytest.mark.parametrize("count", [1, 3])
def test_one_more_observation_than_actions_is_no_single_episode_if_others_end_before(ends, count):
    """Environments that reset at once: the observation after an episode's last action is the next one's first."""
    full = recording()
    arrays = without(full, "next_observations", *FLAGS)
    arrays |= {"episode_starts": starts_of(full)} if ends == "starts" else {part: full[part] for part in FLAGS}
    arrays["observations"] = np.concatenate([full["observations"], full["next_observations"][-1:]])
    data = load_demonstrations({part: value[:, :count] for part, value in arrays.items()}, env=LINE)
    assert data.episode_lengths.tolist() == CUT * count
    assert data.observation[[0, 19, 30, 49], 0].tolist() == [0, 100, 200, 300]


def test_states_of_several_environments():
    states = {"observations": whole_episodes(3).swapaxes(0, 1)}
    with pytest.raises(UserError, match=r"Arrays \[21, 2, ...\] can be .* add 'time_first'"):
        load_demonstrations(states, env=LINE)
    data = load_demonstrations(states | {"time_first": True}, env=LINE)
    assert data.episode_lengths.tolist() == [20] * 3
    assert data.observation[::20, 0].tolist() == pytest.approx([0, 0.01, 0.02])
    full = recording()
    states = {"observations": full["observations"], "episode_starts": starts_of(full)}
    assert load_demonstrations(states, env=LINE).episode_lengths.tolist() == CUT * 3
    one = {part: value[:, 0] for part, value in states.items()}
    assert load_demonstrations(one, env=LINE).episode_lengths.tolist() == CUT


def test_every_environment_s_resets_are_seen(caplog):
    """A stream of gymnasium's autoreset mode NEXT_STEP; the first episode of each environment begins with no reset."""
    arrays = without(recording(), "next_observations")
    arrays["rewards"] = np.where(starts_of(arrays) * (np.arange(59)[:, None] > 0), 0, arrays["rewards"])
    load_demonstrations(arrays | {"time_first": True}, env=LINE)
    assert "this is the step in which it resets" in caplog.text


PADDED = {"observations": whole_episodes(), "actions": np.zeros((4, 20, 1)), "rewards": np.ones((4, 20))}
ONE = {part: value[:, 0] for part, value in recording().items()}
HOLE = np.arange(20)[None].repeat(4, 0) != 5


@pytest.mark.parametrize(
    ("arrays", "change", "message"),
    [
        (PADDED, {"mask": np.ones((4, 19))}, r"'mask' must have the shape \[4, 20\] of the steps, found \[4, 19\]"),
        (PADDED, {"mask": np.ones((20, 4))}, r"'mask' must have the shape \[4, 20\] of the steps, found \[20, 4\]"),
        (PADDED, {"mask": HOLE}, "'mask' has steps after padding"),
        (PADDED, {"episode_lengths": [20, 25, 20, 20]}, "must be 4 numbers from 1 to 20, found 4 from 20 to 25"),
        (PADDED, {"episode_lengths": [20, -3, 20, 20]}, "found 4 from -3 to 20"),
        (PADDED, {"episode_lengths": [20] * 3}, "found 3 from"),
        (PADDED, {"episode_lengths": [20] * 5}, "found 5 from"),
        (PADDED, {"terminations": np.zeros(7)}, r"'terminations' has the shape \[7\], and the steps \[4, 20\]"),
        (PADDED, {"time_first": [True, False]}, r"'time_first' must be one number, found an array of shape \[2\]"),
        (PADDED, {"time_first": "False"}, "'time_first' must be an array of numbers"),
        (PADDED, {"actions": [[[0]] * 4, [[0]] * 3]}, "'actions' must be an array of numbers: .* inhomogeneous shape"),
        (PADDED, {"observations": np.zeros((3, 0, 2))}, r"an array of numbers, found float64 of shape \[3, 0, 2\]"),
        (recording(), {"rewards": np.ones(59)}, r"'rewards' has the shape \[59\], and the steps \[59, 3\]"),
        (
            recording(),
            {"next_observations": np.zeros((59, 3, 5))},
            r"Arrays \[59, 3, ...\] can be .* add 'time_first'",
        ),
        (
            recording() | {"episode_starts": np.isin(np.arange(59), (0, 20, 32, 52))[:, None].repeat(3, 1)},
            {"next_observations": np.zeros((59, 3, 5))},
            "'next_observations' have size 5",
        ),
        (ONE, {"rewards": np.ones(58)}, "'rewards' has 58 rows, and there are 59 steps in 4 episodes"),
        (ONE, {"next_observations": np.ones((58, 2))}, "'next_observations' has 58 rows, and there are 59 steps"),
        (
            ONE,
            {"terminations": np.append(ONE["terminations"][1:], np.nan)},
            "'terminations' holds NaN in 1 of 59 flags",
        ),
        (ONE, {"mask": np.arange(59) < 30}, "'mask' goes with arrays"),
        (ONE, {"episode_lengths": [20, 12, 20, np.nan]}, "'episode_lengths' must be whole numbers, found nan"),
        (ONE, {"expert_return": [1, 2]}, "'expert_return' must be one number"),
    ],
)
def test_what_cannot_be_is_a_sentence(arrays, change, message):
    with pytest.raises(UserError, match=message):
        load_demonstrations(arrays | change, env=LINE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_that_numpy_does_not_take(dtype):
    def tensor(value):
        return torch.as_tensor(value) if value.dtype == bool else torch.as_tensor(value, dtype=dtype).requires_grad_()

    data = load_demonstrations({part: tensor(value) for part, value in ONE.items()}, env=LINE)
    assert data.episode_lengths.tolist() == [*LENGTHS]


def test_lengths_may_be_floats():
    arrays = without(ONE, *FLAGS) | {"episode_lengths": [float(length) for length in LENGTHS]}
    assert load_demonstrations(arrays, env=LINE).episode_lengths.tolist() == [*LENGTHS]


@pytest.mark.parametrize("count", [1, 3])
def test_dones_that_are_not_set_at_the_end_say_that_the_recording_stopped(count):
    full = recording()
    arrays = without(full, *FLAGS) | {"dones": full["terminations"] | full["truncations"]}
    data = load_demonstrations({part: value[:55, :count] for part, value in arrays.items()}, env=LINE)
    assert data.episode_lengths.tolist() == [20, 12, 20, 3] * count
    assert (data.terminated.sum(), data.truncated.sum()) == (count, 2 * count)  # by the time limit of 20


def test_dones_before_the_last_step_of_padded_episodes_are_refused():
    with pytest.raises(UserError, match=r"Row 0 goes on after step 4, which ends an episode. If a row .* 'time_first'"):
        load_demonstrations(PADDED | {"dones": np.arange(20)[None].repeat(4, 0) == 4}, env=LINE)


@pytest.mark.parametrize("told", ["next observations", "said"])
def test_rows_of_environments_hold_several_episodes(told):
    rows = {part: value.swapaxes(0, 1) for part, value in recording().items()}
    if told == "next observations":
        check_streams(load_demonstrations(rows, env=LINE))
        return
    rows = without(rows, "next_observations")
    with pytest.raises(UserError, match="Row 0 goes on after step 19, which ends an episode"):
        load_demonstrations(rows, env=LINE)
    data = load_demonstrations(rows | {"time_first": False}, env=LINE)
    assert data.episode_lengths.tolist() == [length - 1 for length in LENGTHS] * 3


def test_as_many_environments_as_steps_are_asked_for():
    """Twenty environments for one whole episode, which is as long as twenty episodes in rows would be."""
    observations = np.stack([episode(19, 100 * i) for i in range(20)], 1)
    with pytest.raises(UserError, match=r"Arrays \[20, 20, ...\] can be .* look like the second"):
        load_demonstrations({"observations": observations, "actions": np.zeros((20, 20, 1))}, env=LINE)
    arrays = {"observations": observations.swapaxes(0, 1), "actions": np.zeros((20, 20, 1))}
    assert load_demonstrations(arrays, env=LINE).episode_lengths.tolist() == [19] * 20
