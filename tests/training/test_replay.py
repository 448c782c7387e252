"""The replay buffer: what goes in comes out, for the seed it belongs to, and the newest stays."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict

from rlopt.training import replay
from rlopt.training.replay import SeedReplayBuffer
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


def build(capacity=1_000, num_seeds=3, seed=0):
    return SeedReplayBuffer(capacity, O, A, num_seeds=num_seeds, seed=seed)


def sample(buffer, num_updates, batch_size, recent_ratio=0.0):
    """The fields of `[U, S, B]` sampled transitions."""
    return Transition.unpack(buffer.sample(num_updates, batch_size, recent_ratio), O, A)


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
    for before, after in zip(transition, Transition.unpack(packed, observation_size, action_size), strict=True):
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
    buffer = build(num_seeds=num_seeds)
    assert len(buffer) == 0
    for count in (1, 2):
        buffer.extend(rollout(num_seeds, num_envs, steps))
        assert len(buffer) == count * num_envs * steps


def test_samples_are_stored_transitions_of_the_right_seed():
    num_seeds, num_envs, steps = 3, 2, 5
    buffer, data = build(num_seeds=num_seeds), rollout(num_seeds, num_envs, steps)
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
        buffer = build(seed=seed)
        buffer.extend(rollout(3, 2, 5))
        return buffer.sample(2, 8)

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))


def test_batches_of_one_call_differ():
    buffer = build()
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


@pytest.mark.parametrize("batches", [0, 1, 2, 3, 5])
def test_a_restored_buffer_is_the_same(batches):
    """Before, at and after the point where the ring is full; the next overwritten is again the oldest."""
    buffer = build(capacity=10, num_seeds=2)
    for i in range(batches):
        buffer.extend(rollout(2, 1, 4, 4 * i))
    if batches:
        buffer.sample(1, 4)
    restored = build(capacity=10, num_seeds=2, seed=9)
    restored.load_state_dict(buffer.state_dict())
    assert len(restored) == len(buffer) == min(10, 4 * batches)
    if batches:
        elements = buffer.state_dict()["elements"]
        steps = elements[:, 0, 2].int().tolist()
        assert steps == list(range(4 * batches - len(buffer), 4 * batches))  # oldest first
        assert torch.equal(restored.state_dict()["elements"], elements)
    assert torch.equal(restored.generator.get_state(), buffer.generator.get_state())
    for one in (buffer, restored):
        one.extend(rollout(2, 1, 4, 4 * batches))
    assert stored_steps(buffer) == stored_steps(restored)


def test_a_restored_buffer_samples_on():
    buffer, restored = build(), build(seed=9)
    buffer.extend(rollout(3, 2, 5))
    buffer.sample(1, 4)
    restored.load_state_dict(buffer.state_dict())
    assert torch.equal(restored.sample(2, 8), buffer.sample(2, 8))


def test_a_restored_buffer_knows_what_is_recent(few_are_recent):
    buffer, restored = build(capacity=10), build(capacity=10, seed=9)
    for start in range(0, 14, 2):
        buffer.extend(rollout(3, 1, 2, start))
    restored.load_state_dict(buffer.state_dict())
    assert torch.equal(restored.sample(2, 8, 0.5), buffer.sample(2, 8, 0.5))
