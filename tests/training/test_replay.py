"""The replay buffer: what goes in comes out, for the seed it belongs to, and the newest stays."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict

from rlopt.training import replay
from rlopt.training.replay import SeedReplayBuffer
from rlopt.training.replay_files import ReplayFiles
from rlopt.transition import Transition

O, A = 3, 2  # noqa: E741


def rollout(num_seeds, num_envs, steps, start=0):
    """A collector batch `[S*E, T]` in which seed i, environment e, step t has the observation (i, e, start + t)."""
    grid = torch.meshgrid(*(torch.arange(n) for n in (num_seeds, num_envs, steps)), indexing="ij")
    observation = torch.stack(grid, dim=-1).float().flatten(0, 1)  # [S*E, T, 3]
    observation[..., 2] += start
    number = observation @ torch.tensor([1000.0, 100.0, 1.0])
    following = {
        "observation": observation + torch.tensor([0.0, 0.0, 1.0]),
        "reward": number.unsqueeze(-1),
        "terminated": (number % 3 == 0).unsqueeze(-1),
        "truncated": (number % 5 == 0).unsqueeze(-1),
    }
    action = torch.stack([number / 10_000, -number / 10_000], dim=-1)
    return TensorDict({"observation": observation, "action": action, "next": following}, [num_seeds * num_envs, steps])


def build(capacity=1_000, num_seeds=3, seed=0, num_envs=1):
    return SeedReplayBuffer(capacity, O, A, num_seeds=num_seeds, num_envs=num_envs, seed=seed)


def sample(buffer, num_updates, batch_size, recent_ratio=0.0):
    """The fields of `[U, S, B]` sampled transitions."""
    return Transition.unpack(buffer.sample(num_updates, batch_size, recent_ratio), O)


@given(
    batch=st.lists(st.integers(1, 4), max_size=3).map(tuple),
    observation_size=st.integers(1, 5),
    action_size=st.integers(1, 4),
)
def test_packing_loses_nothing(batch, observation_size, action_size):
    transition = Transition(
        observation=torch.randn(*batch, observation_size),
        action=torch.randn(*batch, action_size),
        reward=torch.randn(batch),
        next_observation=torch.randn(*batch, observation_size),
        terminated=(torch.rand(batch) < 0.5).float(),
    )
    packed = transition.pack()
    assert packed.shape == (*batch, 2 * observation_size + action_size + 2)
    for before, after in zip(transition, Transition.unpack(packed, observation_size), strict=True):
        assert torch.equal(before, after)


def test_transitions_are_read_from_torchrls_keys():
    data = rollout(1, 1, 16)
    transition = Transition.from_tensordict(data)
    assert torch.equal(transition.observation, data["observation"])
    assert torch.equal(transition.next_observation, data["next", "observation"])
    assert torch.equal(transition.action, data["action"])
    assert transition.reward.tolist() == [[float(t) for t in range(16)]]
    assert transition.terminated.tolist() == [[float(t % 3 == 0) for t in range(16)]]  # t = 5 is truncated: no end
    del data["next", "reward"]
    assert torch.equal(Transition.from_tensordict(data).reward, torch.zeros(1, 16))


@pytest.mark.parametrize(("num_seeds", "num_envs", "steps"), [(1, 1, 5), (3, 1, 4), (2, 4, 3)])
def test_it_holds_as_many_transitions_as_frames_per_seed(num_seeds, num_envs, steps):
    buffer = build(num_seeds=num_seeds, num_envs=num_envs)
    assert len(buffer) == 0
    for count in (1, 2):
        buffer.extend(rollout(num_seeds, num_envs, steps))
        assert len(buffer) == count * num_envs * steps


def test_samples_are_stored_transitions_of_the_right_seed():
    num_seeds, num_envs, steps = 3, 2, 5
    buffer, data = build(num_seeds=num_seeds, num_envs=num_envs), rollout(num_seeds, num_envs, steps)
    buffer.extend(data)
    batch = sample(buffer, 20, 16)
    assert batch.observation.shape == (20, num_seeds, 16, O)
    assert batch.reward.shape == (20, num_seeds, 16)
    seed, env, t = batch.observation.unbind(-1)
    assert torch.equal(seed, torch.arange(3.0).view(1, 3, 1).expand_as(seed))  # seed i gets seed i's data alone
    number = 1000 * seed + 100 * env + t
    assert torch.equal(batch.reward, number)
    torch.testing.assert_close(batch.action, torch.stack([number, -number], dim=-1) / 10_000)
    assert torch.equal(batch.next_observation, torch.stack([seed, env, t + 1], dim=-1))
    assert torch.equal(batch.terminated, (number % 3 == 0).float())
    # with 320 draws of 10 transitions none is left out
    assert set(number[:, 0].flatten().tolist()) == {float(100 * e + t) for e in range(num_envs) for t in range(steps)}


def test_sampling_is_reproducible():
    def draw(seed):
        buffer = build(seed=seed, num_envs=2)
        buffer.extend(rollout(3, 2, 5))
        return buffer.sample(2, 8)

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))


def test_batches_of_one_call_differ():
    buffer = build(num_envs=2)
    buffer.extend(rollout(3, 2, 50))
    first, second = buffer.sample(2, 32)
    assert not torch.equal(first, second)


def stored_steps(buffer, recent_ratio=0.0):
    """The step numbers that sampling finds."""
    return set(sample(buffer, 30, 16, recent_ratio).observation[..., 2].flatten().int().tolist())


def test_the_newest_transitions_stay():
    buffer = build(capacity=8, num_seeds=2)
    for start in range(0, 20, 4):
        buffer.extend(rollout(2, 1, 4, start))
    assert len(buffer) == 8
    assert stored_steps(buffer) == set(range(12, 20))
    buffer.extend(rollout(2, 1, 3, 20))  # no multiple of the capacity
    assert stored_steps(buffer) == set(range(15, 23))


@pytest.fixture
def few_are_recent(monkeypatch):
    monkeypatch.setattr(replay, "RECENT_FRAMES", 4)


@pytest.mark.parametrize("batches", [2, 5, 8, 11])  # half full, full, and overwritten up to two places
def test_recent_data_are_the_newest(few_are_recent, batches):
    buffer = build(capacity=10, num_seeds=2)
    for start in range(0, 2 * batches, 2):
        buffer.extend(rollout(2, 1, 2, start))
    end = 2 * batches
    assert stored_steps(buffer, recent_ratio=1.0) == set(range(end - 4, end))
    assert stored_steps(buffer, recent_ratio=0.5) == set(range(max(0, end - 10), end))


def test_with_fewer_frames_all_are_recent(few_are_recent):
    buffer = build()
    buffer.extend(rollout(3, 1, 3))
    assert stored_steps(buffer, recent_ratio=1.0) == {0, 1, 2}


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_any_part_of_a_batch_has_its_share_of_recent_data(few_are_recent, share):
    buffer = build(capacity=2_000)
    buffer.extend(rollout(3, 1, 2_000))
    steps = sample(buffer, 500, 8, share).observation[..., 2]  # [U, S, B]
    recent = (steps >= 1_996).float().mean((0, 1))  # of each place in the batch: 1, or 0.002 by chance
    for half in recent.split(4):
        assert half.mean().item() == pytest.approx(share, abs=0.01)
    old = steps[..., recent < 0.5]  # of all, from the first to the last
    assert old.mean().item() == pytest.approx(1_000, abs=50)


class Episodes:
    """Rollouts of episodes of random lengths: a reward is the product of the two states that it lies between."""

    def __init__(self, num_seeds, num_envs, seed=0):
        self.shape, self.random = (num_seeds, num_envs), np.random.default_rng(seed)
        self.state = np.zeros(self.shape)
        self.number = 0

    def play(self, steps):
        """`[S*E, T]`: observation (state, seed, env), next observation (a new number, seed, env), reward their product."""
        columns = []
        seeds, envs = np.indices(self.shape)
        for _ in range(steps):
            self.number += 1
            following = self.number + seeds / 10 + envs / 100
            over = self.random.random(self.shape) < 0.3
            pair = [np.stack([part, seeds, envs], -1).reshape(-1, 3) for part in (self.state, following)]
            columns.append((*pair, (self.state * following).reshape(-1, 1), over.reshape(-1, 1)))
            self.state = np.where(over, -following, following)  # a new episode starts elsewhere
        before, after, reward, over = (
            torch.from_numpy(np.stack(part, 1).astype(np.float32)) for part in zip(*columns, strict=True)
        )
        following = {"observation": after, "reward": reward, "terminated": over > 0}
        return TensorDict(
            {"observation": before, "action": reward.expand(-1, -1, A), "next": following}, before.shape[:2]
        )


@pytest.mark.parametrize("capacity", [24, 25, 40, 1_000])
def test_next_observations_are_the_true_ones_of_every_episode(capacity):
    """Also across batches, at ends, and when the ring was overwritten many times."""
    episodes, buffer = Episodes(2, 3), build(capacity=capacity, num_seeds=2, num_envs=3)
    everything = []
    for steps in (4, 1, 3, 8, 2, 5, 4, 4, 1, 1, 7):
        data = episodes.play(steps)
        everything += data["next", "reward"].flatten().tolist()
        buffer.extend(data)
        batch = sample(buffer, 20, 64)
        torch.testing.assert_close(batch.reward, batch.observation[..., 0] * batch.next_observation[..., 0])
        assert torch.equal(batch.observation[..., 1:], batch.next_observation[..., 1:])
        newest = everything[-2 * len(buffer) :] if len(everything) <= 2 * capacity else None
        assert newest is None or set(batch.reward.flatten().tolist()) <= set(newest)
    assert len(buffer.finals) < 40 + capacity  # rows that are not needed any more are used again


def test_a_transition_takes_about_half_of_its_packed_size():
    buffer = SeedReplayBuffer(1_000, 348, 17, num_seeds=5, num_envs=8)
    packed = 2 * 348 + 17 + 2
    assert (buffer.rows[0, 0].numel() + 1) / packed < 0.52  # one place for `final_of`


def restore(buffer, **how):
    other = build(capacity=buffer.capacity, num_seeds=buffer.num_seeds, num_envs=buffer.num_envs, seed=9)
    other.count = max(0, buffer.count - buffer.capacity)
    half = (other.count + buffer.settled) // 2
    for first, last in ((other.count, half), (half, buffer.settled)):
        other.append(buffer.chunk(first, last))
    other.load_state_dict(buffer.state_dict())
    return other


@pytest.mark.parametrize("batches", [0, 1, 2, 3, 5, 9])
def test_a_restored_buffer_goes_on_alike(batches, few_are_recent):
    """Before, at and after the point where the ring is full."""
    episodes, buffer = Episodes(2, 2), build(capacity=24, num_seeds=2, num_envs=2)
    for _ in range(batches):
        buffer.extend(episodes.play(4))
        buffer.sample(1, 4)
    restored = restore(buffer)
    assert len(restored) == len(buffer) == min(24, 8 * batches)
    for _ in range(4):
        data = episodes.play(4)
        for one in (buffer, restored):
            one.extend(data)
        assert torch.equal(buffer.sample(3, 8, 0.5), restored.sample(3, 8, 0.5))


@pytest.mark.parametrize("capacity", [24, 1_000])
def test_the_files_of_many_checkpoints_hold_the_whole_buffer(tmp_path, capacity):
    """One after every batch: also an episode that ends with the last step before a checkpoint keeps its last observation."""
    episodes, buffer = Episodes(2, 2), build(capacity=capacity, num_seeds=2, num_envs=2)
    files = ReplayFiles(buffer, tmp_path)
    for _ in range(12):
        buffer.extend(episodes.play(3))
        state = files.state_dict()
        other = build(capacity=capacity, num_seeds=2, num_envs=2, seed=9)
        ReplayFiles(other, tmp_path).load_state_dict(state)
        sampled = buffer.sample(4, 64)
        assert torch.equal(other.sample(4, 64), sampled)
        batch = Transition.unpack(sampled, O)
        torch.testing.assert_close(batch.reward, batch.observation[..., 0] * batch.next_observation[..., 0])


def test_a_restored_buffer_whose_environments_begin_anew_keeps_the_true_next_observations():
    episodes, buffer = Episodes(2, 2), build(capacity=50, num_seeds=2, num_envs=2)
    buffer.extend(episodes.play(4))
    restored = restore(buffer)
    episodes.state[:] = -1_000
    restored.extend(episodes.play(2))
    batch = sample(restored, 20, 32)
    torch.testing.assert_close(batch.reward, batch.observation[..., 0] * batch.next_observation[..., 0])
