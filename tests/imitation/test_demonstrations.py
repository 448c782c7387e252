"""The demonstrations' value: sizes, parts of it, noise, and whatever is wrong with it is named."""

import math

import pytest
import torch

from rlopt.errors import UserError

from .shared_demonstrations import assert_same, make


def test_counts_and_sizes():
    data = make((3, 2), observation_size=4, action_size=2)
    assert (len(data), data.num_episodes, data.observation_size, data.action_size) == (5, 2, 4, 2)


def test_tensors_are_cast():
    data = make(observation=make().observation.double(), terminated=torch.zeros(5), episode_lengths=[3, 2])
    assert data.observation.dtype == torch.float32
    assert data.terminated.dtype == torch.bool
    assert data.episode_lengths.dtype == torch.int64


def test_first():
    one = make((3, 2)).first(1)
    assert one.observation[:, 0].tolist() == [0, 1, 2]
    assert one.episode_lengths.tolist() == [3]
    assert one.expert_return == -150
    assert len(make((3, 2)).first(2)) == 5


def test_first_after_some_that_are_skipped():
    second = make((3, 2, 4)).first(1, skip=1)
    assert second.observation[:, 0].tolist() == [3, 4]
    assert second.episode_lengths.tolist() == [2]
    assert make((3, 2, 4)).first(2, skip=1).episode_lengths.tolist() == [2, 4]
    assert make((3, 2, 4)).first(skip=1).observation[:, 0].tolist() == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("skip", [-1, 2, 3])
def test_skipping_says_how_many_there_are(skip):
    with pytest.raises(UserError, match=f"{skip} demonstrations to be skipped: there are 2"):
        make((3, 2)).first(1, skip=skip)


def test_skipped_ones_are_not_there():
    with pytest.raises(UserError, match="2 demonstrations asked for: there are 2, 1 of them skipped, take 1 or more"):
        make((3, 2)).first(2, skip=1)


@pytest.mark.parametrize("count", [0, -1, 3])
def test_first_says_how_many_there_are(count):
    with pytest.raises(UserError, match=f"{count} demonstrations asked for: there are 2"):
        make((3, 2)).first(count)


def test_subsample_by_hand():
    # Row i has observation i. Episodes are rows 0..5 and 6..9; keeping every 3rd leaves one phase of each.
    phases = set()
    for seed in range(20):
        data = make((6, 4)).subsample(3, seed=seed)
        kept = [int(row) for row in data.observation[:, 0]]
        first = [row for row in kept if row < 6]
        second = [row - 6 for row in kept if row >= 6]
        assert first in ([0, 3], [1, 4], [2, 5])
        assert second in ([0, 3], [1], [2])
        assert data.episode_lengths.tolist() == [len(first), len(second)]
        assert (data.next_observation - data.observation)[:, 0].tolist() == [0.5 if i in (5, 9) else 1 for i in kept]
        phases.add((first[0], second[0]))
    assert len(phases) > 3  # drawn for each episode alone


def test_subsample_keeps_at_least_one_step_and_repeats_with_its_seed():
    data = make((2, 5, 1))
    for seed in range(20):
        assert data.subsample(100, seed).episode_lengths.tolist() == [1, 1, 1]
    assert_same(data.subsample(3, seed=7), data.subsample(3, seed=7))
    assert_same(data.subsample(1), data)
    with pytest.raises(UserError, match="at least 1"):
        data.subsample(0)


def test_action_noise():
    data = make((4000,), action=torch.zeros(4000, 1))
    before = torch.get_rng_state()
    noisy = data.with_action_noise(0.3, seed=1)
    assert torch.equal(torch.get_rng_state(), before)  # a generator of its own
    assert noisy.action.std().item() == pytest.approx(0.3, abs=0.02)
    assert abs(noisy.action.mean().item()) < 0.02
    assert torch.equal(noisy.observation, data.observation)
    assert data.with_action_noise(5.0).action.abs().max() == 1  # clipped, and many of them
    assert_same(data.with_action_noise(0.0), data)
    assert not torch.equal(noisy.action, data.with_action_noise(0.3, seed=2).action)
    for std in (-1.0, math.nan, math.inf):
        with pytest.raises(UserError, match="deviation"):
            data.with_action_noise(std)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observation": torch.zeros(5)}, r"'observation' must have shape \[transitions, size\], found \[5\]"),
        ({"action": torch.zeros(4, 1)}, r"'action' must have shape \[5, 1\].* found \[4, 1\]"),
        ({"next_observation": torch.zeros(5, 3)}, r"'next_observation' must have shape \[5, 2\].* found \[5, 3\]"),
        ({"reward": torch.zeros(5, 1)}, r"'reward' must have shape \[5\].* found \[5, 1\]"),
        ({"truncated": torch.zeros(6)}, r"'truncated' must have shape \[5\].* found \[6\]"),
        (
            {"reward": torch.tensor([0, math.nan, math.inf, 0, 0])},
            "'reward' holds NaN .* 2 of 5 .* .first in episode 0, step 1",
        ),
        ({"observation": torch.full((5, 2), 1e300, dtype=torch.float64)}, "'observation' holds .* 10 of 10"),
        ({"action": torch.tensor([[0], [1], [-1], [2], [-1.5]])}, r"2 of 5 actions lie outside \[-1, 1\]: scale"),
        ({"episode_lengths": torch.tensor([3, 3])}, "'episode_lengths' .* sum to 5 .* found 6"),
        ({"episode_lengths": torch.tensor([6, -1])}, "'episode_lengths' must be positive"),
        ({"action_low": torch.tensor([-math.inf])}, "'action_low' must be 1 finite numbers"),
        ({"action_high": torch.tensor([2.0, 2.0])}, "'action_high' must be 1 finite numbers"),
        ({"action_high": torch.tensor([-2.0])}, "'action_low' .* below"),
        ({"expert_return": math.nan}, "'expert_return' must be a finite number"),
        ({"env_kwargs": {"goal": object()}}, "argument 'goal' is a object"),
        ({"observation": torch.zeros(0, 2), "action": torch.zeros(0, 1)}, "no data"),
    ],
)
def test_invalid_values_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        make(**changes)


def test_rounding_is_not_out_of_range():
    assert len(make(action=torch.full((5, 1), 1 + 2e-7))) == 5


# Episodes of 3 and 2 steps; episode 1, step 0 is row 3.
@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"episode_lengths": torch.tensor([5])}, "Episode 0, step 2", "before the last step"),
        ({"episode_lengths": torch.tensor([4, 1])}, "Episode 0, step 2", "before the last step"),
        ({"terminated": torch.arange(5) == 3}, "Episode 1, step 0", "before the last step"),
        ({"next_observation": make().observation}, "Episode 0, step 0", "not the observation of the next step"),
        (
            {"next_observation": make().next_observation.index_fill(0, torch.tensor(3), 9)},
            "Episode 1, step 0",
            "not the",
        ),
        ({"next_observation": make().observation.roll(-1, 0)}, "Episode 0, step 2", "first one of the next episode"),
        (
            {"truncated": torch.zeros(5), "episode_lengths": torch.tensor([5])},
            "Episode 0, step 2",
            "not the observation",
        ),
    ],
)
def test_episodes_that_do_not_fit_together_are_refused(changes, where, what):
    with pytest.raises(UserError, match=f"{where}: .*{what}"):
        make(**changes)


def test_rounding_is_no_gap_and_what_was_thinned_out_says_so():
    data = make()
    assert len(make(next_observation=data.next_observation * (1 + 1e-6))) == 5
    anything = {"next_observation": torch.full((5, 2), 9.0)}
    assert make(**anything, subsampled=True).subsampled
    assert data.subsample(2).subsampled
    assert data.subsample(2).first(1).subsampled
    assert not data.subsample(1).subsampled
    with pytest.raises(UserError, match="before the last step"):
        make(**anything, subsampled=True, terminated=torch.ones(5))


def test_a_state_that_stays_is_no_start_of_the_next_episode():
    still = torch.zeros(5, 2)
    assert len(make(observation=still, next_observation=still)) == 5


def test_the_digest_is_of_the_tensors():
    digests = {
        make().digest,
        make(expert_return=None).digest,  # not a tensor
        make(reward=torch.ones(5)).digest,
        make(action_low=torch.tensor([-3.0])).digest,
        make((2, 3)).digest,
        make().with_action_noise(0.1).digest,
    }
    assert len(digests) == 5
    assert len(make().digest) == 64
