"""Own recordings: what is read, what is inferred, and what is refused, in an environment of known bounds."""

import logging

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlopt.envs.spec import env_spec
from rlopt.errors import UserError
from rlopt.imitation import ExpertReplayBuffer, from_episodes, load_demonstrations
from rlopt.imitation.readers import environment_of, prepare_demonstrations

from .push import Lopsided, Push

LIMIT = 4


@pytest.fixture(autouse=True)
def push():
    gym.register("TestPush-v0", entry_point=Push, max_episode_steps=LIMIT)
    gym.register("TestLine-v0", entry_point=type("Line", (Push,), {"low": -1.0, "high": 1.0}), max_episode_steps=LIMIT)
    gym.register("TestDict-v0", entry_point=Lopsided, max_episode_steps=LIMIT)
    yield
    for env_id in ("TestPush-v0", "TestLine-v0", "TestDict-v0"):
        gym.registry.pop(env_id)


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.WARNING, "rlopt")
    return lambda: [record.getMessage() for record in caplog.records]


def walk(steps, start=0.0, **more):
    """Observations start, start + 1, ...; actions from 0 to 3."""
    observations = start + np.arange(steps + 1.0)[:, None].repeat(2, 1)
    return {"observations": observations, "actions": np.linspace(0, 3, steps)[:, None], **more}


CUT = {"terminated": False, "truncated": True}


def test_episodes_by_hand(said):
    episodes = [walk(3, rewards=[1, 2, 3], terminated=True, truncated=False), walk(4, 10, rewards=[1.0] * 4, **CUT)]
    data = from_episodes(episodes, "TestPush-v0", random_return=-4.0)
    assert data.env_id == "TestPush-v0"
    assert data.observation[:, 0].tolist() == [0, 1, 2, 10, 11, 12, 13]
    assert data.next_observation[:, 1].tolist() == [1, 2, 3, 11, 12, 13, 14]
    assert data.action[:3, 0].tolist() == [-1, 0, 1]  # of 0, 1.5, 3
    assert data.reward.tolist() == [1, 2, 3, 1, 1, 1, 1]
    assert data.terminated.tolist() == [False, False, True, False, False, False, False]
    assert data.truncated.nonzero().flatten().tolist() == [6]
    assert data.episode_lengths.tolist() == [3, 4]
    assert (data.expert_return, data.random_return) == (5.0, -4.0)  # returns of 6 and 4
    assert (data.action_low.tolist(), data.action_high.tolist()) == ([0], [3])
    assert data.max_episode_steps == LIMIT
    assert said() == []


@pytest.mark.parametrize(
    "names", [("observation", "action", "reward"), ("obs", "acts", "rews"), ("obs", "acs", "rews")]
)
def test_names_of_the_field(names):
    episode = walk(3)
    renamed = dict(zip(names, (torch.tensor(episode["observations"]), episode["actions"], [1, 1, 1]), strict=True))
    data = from_episodes([renamed | {"terminations": [0, 0, 1], "truncations": [0, 0, 0]}], "TestPush-v0")
    assert data.observation[:, 0].tolist() == [0, 1, 2]
    assert data.terminated.tolist() == [False, False, True]
    assert data.expert_return == 3


@pytest.mark.parametrize(
    ("steps", "ends", "terminated", "truncated", "inferred"),
    [
        (4, {}, False, True, True),  # as long as the time limit
        (3, {}, True, False, True),
        (3, {"done": True}, True, False, True),
        (3, {"dones": [False] * 3}, False, False, False),  # it goes on
        (3, {"terminated": False}, False, True, False),
        (4, {"terminals": [0, 0, 0, 1]}, True, False, False),
        (3, {"timeouts": [0, 0, 1]}, False, True, False),
        (3, {"truncated": False}, True, False, True),
        (3, {"terminated": False, "truncated": False}, False, False, False),
    ],
)
def test_how_an_episode_ended(steps, ends, terminated, truncated, inferred, said):
    data = from_episodes([walk(steps, **ends)], "TestPush-v0")
    assert (bool(data.terminated[-1]), bool(data.truncated[-1])) == (terminated, truncated)
    assert any("do not say how they ended" in sentence for sentence in said()) == inferred
    assert data.expert_return is None  # no rewards


def test_a_last_step_without_a_next_observation_is_left_out_and_counted(said):
    episode = walk(4, rewards=[1, 1, 1, 5], terminated=True)
    short = episode | {"observations": episode["observations"][:-1]}
    data = from_episodes([short, walk(3, 20, rewards=[0] * 3, terminated=True)], "TestPush-v0")
    assert data.episode_lengths.tolist() == [3, 3]
    assert data.next_observation[:3, 0].tolist() == [1, 2, 3]
    assert data.terminated.tolist() == [False] * 5 + [True]  # the end of the first is among what was left out
    assert data.expert_return == 4  # of 8, with the reward of that step, and 0
    assert "1 of 2 episodes lost their last step" in said()[0]
    whole = from_episodes([short | {"next_observations": episode["observations"][1:]}], "TestPush-v0")
    assert whole.next_observation[:, 0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": np.array([[0], [3.1], [3]])}, r"Episode 1, step 1: the action \[3.1\] lies outside .*clip it"),
        ({"actions": np.array([[0], [-1], [1.0]])}, "Episode 1, step 1: .*clip it"),
        ({"actions": np.zeros((3, 2))}, "Episode 1: actions of size 2, but TestPush-v0 has 1"),
        ({"observations": np.zeros((4, 3))}, "Episode 1: 'observations' have size 3, but TestPush-v0 has 2"),
        ({"observations": [0, 0], "actions": [0]}, r"size 1, but TestPush-v0 has 2\. A dict must hold a whole"),
        ({"observations": np.zeros((6, 2))}, "Episode 1: 6 observations and 3 actions: give one observation more"),
        (
            {"observations": np.array([object()] * 4)},
            "Episode 1: 'observations' must be an array of numbers, found obj",
        ),
        ({"observations": {"a": np.zeros((4, 2))}}, "Episode 1: 'observations' are a dict, not Box"),
        ({"rewards": [1, 2]}, "Episode 1: 2 rewards and 3 actions"),
        ({"terminated": [True, False, False]}, "Episode 1, step 0: terminations is set before the last step"),
        ({"observations": np.full((4, 2), np.nan)}, "'observation' holds NaN or infinity"),
        ({"actions": np.ma.masked_equal([[0], [-9], [1]], -9)}, "'action' holds NaN or infinity"),
    ],
)
def test_what_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        from_episodes([walk(3, **CUT), {**walk(3, 50, **CUT), **change}], "TestPush-v0")
    with pytest.raises(UserError, match="'action' is missing, but control_inputs looks like it"):
        from_episodes([{"observations": np.zeros((3, 2)), "control_inputs": np.zeros(2)}], "TestPush-v0")
    with pytest.raises(UserError, match="no episodes"):
        from_episodes([], "TestPush-v0")


def test_scaled_actions_are_noticed_both_ways(said):
    scaled = walk(3, actions=np.array([[-1.0], [0], [1]]), **CUT)
    with pytest.raises(UserError, match=r"lies outside the bounds .*actions_scaled=True"):
        from_episodes([scaled], "TestPush-v0")
    assert from_episodes([scaled], "TestPush-v0", actions_scaled=True).action[:, 0].tolist() == [-1, 0, 1]
    with pytest.raises(UserError, match=r"step 1: the action \[1.5\] lies outside the bounds \[-1.0\] to \[1.0\]"):
        from_episodes([walk(3, **CUT)], "TestPush-v0", actions_scaled=True)
    assert said() == []
    from_episodes([walk(3, actions=np.array([[0], [0.5], [1]]), **CUT)] * 1, "TestPush-v0")
    from_episodes([walk(3, actions=np.array([[-0.5], [0], [0.5]]), **CUT)], "TestLine-v0")
    assert ["[-1, 1]" in said()[0], "the middle half" in said()[1], len(said())] == [True, True, 2]


def test_unread_flags_are_named(said):
    from_episodes(iter([walk(3, episode_done_flag=[0, 0, 1], **CUT)]), "TestPush-v0")
    assert "episode_done_flag" in said()[0]


def test_dicts_are_joined_in_the_order_of_the_space():
    steps = {"b": np.arange(4.0)[:, None], "a": 10 + np.arange(8.0).reshape(4, 2)}  # the recorded order is b, a
    data = from_episodes([walk(3, **CUT) | {"observations": steps}], "TestDict-v0")
    assert data.observation[1].tolist() == [12, 13, 1]
    each = [{key: value[step] for key, value in steps.items()} for step in range(4)]
    assert from_episodes([walk(3, **CUT) | {"observations": each}], "TestDict-v0").digest == data.digest
    with pytest.raises(UserError, match="'observations' lack b"):
        from_episodes([walk(3) | {"observations": {"a": np.zeros((4, 2))}}], "TestDict-v0")


def flat(*episodes):
    """Arrays of all steps, with next observations."""
    return {
        "observations": np.concatenate([e["observations"][:-1] for e in episodes]),
        "next_observations": np.concatenate([e["observations"][1:] for e in episodes]),
        "actions": np.concatenate([e["actions"] for e in episodes]),
    }


TWO = walk(3), walk(4, 20)
SPLITS = {
    "lengths": flat(*TWO) | {"episode_lengths": [3, 4]},
    "flags": flat(*TWO) | {"terminations": np.arange(7) == 2, "truncations": np.arange(7) == 6},
    "dones": flat(*TWO) | {"dones": (np.arange(7) == 2) | (np.arange(7) == 6)},
    "starts": flat(*TWO) | {"episode_starts": np.isin(np.arange(7), (0, 3))},
    "starts and terminations": flat(*TWO) | {"is_first": np.isin(np.arange(7), (0, 3)), "terminals": np.arange(7) == 2},
    "states": {"states" if part == "observations" else part: value for part, value in flat(*TWO).items()}
    | {"dones": np.isin(np.arange(7), (2, 6))},
    "a last observation each": {
        "observations": np.concatenate([e["observations"] for e in TWO]),
        "actions": np.concatenate([e["actions"] for e in TWO]),
        "episode_lengths": [3, 4],
    },
    "padded by zeros": {
        "obs": np.stack([np.pad(1 + TWO[0]["observations"], ((0, 1), (0, 0))) - 1, TWO[1]["observations"]]),
        "acs": np.stack([np.pad(TWO[0]["actions"], ((0, 1), (0, 0))), TWO[1]["actions"]]),
        "mask": [[1, 1, 1, 0], [1, 1, 1, 1]],
    },
}


@pytest.mark.parametrize("name", SPLITS)
def test_arrays_are_taken_apart(name, tmp_path):
    np.savez(tmp_path / "mine.npz", **SPLITS[name])
    for source in (tmp_path / "mine.npz", SPLITS[name]):
        data = load_demonstrations(source, env="TestPush-v0")
        assert data.episode_lengths.tolist() == [3, 4]
        assert data.observation[:, 0].tolist() == [0, 1, 2, 20, 21, 22, 23]
        assert data.next_observation[[2, 6], 0].tolist() == [3, 24]
        assert (data.terminated[2], data.truncated[6]) == (True, True)


@pytest.mark.parametrize("last", [0, 1])
def test_zero_rows_after_an_end_are_padding(last):
    """Episodes of 3 and 2 steps in room for 5, with their last observation or without."""
    observations, actions = np.zeros((2, 5 + last, 2)), np.zeros((2, 5, 1))
    for i, steps in enumerate((3, 2)):
        observations[i, : steps + last], actions[i, :steps] = 1, 1
    actions[1, 1] = 0  # a step whose action is zero
    data = load_demonstrations({"obs": observations, "acs": actions}, env="TestPush-v0")
    assert data.episode_lengths.tolist() == ([3, 2] if last else [2, 1])


def test_one_trajectory_needs_no_boundaries(tmp_path):
    np.savez(tmp_path / "mine.npz", **TWO[0], random_return=-3.0, expert_return=7)
    data = load_demonstrations(str(tmp_path / "mine.npz"), env=env_spec("TestPush-v0"))
    assert (data.episode_lengths.tolist(), data.random_return, data.expert_return) == ([3], -3, 7)


def test_arrays_that_are_refused(tmp_path):
    np.savez(tmp_path / "steps.npz", **flat(*TWO))
    with pytest.raises(UserError, match=r"Nothing says where .*add 'episode_lengths' \[episodes\], or 'terminations'"):
        load_demonstrations(tmp_path / "steps.npz", env="TestPush-v0")
    with pytest.raises(UserError, match="say which one with --env"):
        load_demonstrations(tmp_path / "steps.npz")
    with pytest.raises(UserError, match="sum to 7 steps, found 6"):
        load_demonstrations(flat(*TWO) | {"episode_lengths": [3, 3]}, env="TestPush-v0")
    np.savez(tmp_path / "code.npz", observations=np.array([print], object), actions=np.zeros((1, 1)))
    with pytest.raises(UserError, match="pickled objects, which could run code"):
        load_demonstrations(tmp_path / "code.npz", env="TestPush-v0")
    (tmp_path / "damaged.npz").write_bytes((tmp_path / "steps.npz").read_bytes()[:-100])
    with pytest.raises(UserError, match=r"damaged\.npz cannot be read"):
        load_demonstrations(tmp_path / "damaged.npz", env="TestPush-v0")
    with pytest.raises(UserError, match=r"Demonstrations not found: .*nothing\.npz"):
        load_demonstrations(tmp_path / "nothing.npz", env="TestPush-v0")
    with pytest.raises(UserError, match=r"cannot be read from a int: give a path, a dict of arrays"):
        load_demonstrations(3)


def test_the_expert_buffer_takes_them(tmp_path):
    np.savez(tmp_path / "mine.npz", **TWO[0])
    for source in (tmp_path / "mine.npz", [TWO[0]], TWO[0]):
        assert len(ExpertReplayBuffer(source, env="TestPush-v0")) == 3
        with pytest.raises(UserError, match="env="):
            ExpertReplayBuffer(source)


def test_a_torch_file_may_hold_them(tmp_path):
    tensors = [{key: torch.as_tensor(value) for key, value in episode.items()} for episode in TWO]
    for number, content in enumerate((tensors, tensors[0])):
        path = tmp_path / f"mine{number}.pt"
        torch.save(content, path)
        data, right = load_demonstrations(path, env="TestPush-v0"), from_episodes(TWO[: 2 - number], "TestPush-v0")
        assert data.digest == right.digest
        with pytest.raises(UserError, match="env="):
            load_demonstrations(path)


def test_other_formats_are_not_called_damaged(tmp_path):
    (tmp_path / "steps.csv").write_text("x,y\n1,2\n")
    with pytest.raises(UserError, match=r"steps\.csv is of no format that rlopt reads .*own-data.*\.npz file"):
        load_demonstrations(tmp_path / "steps.csv", env="TestPush-v0")


def test_the_environment_comes_along():
    spec = env_spec("TestPush-v0", {"goal": 2.0}, 3)
    data = from_episodes([walk(3)], spec)
    assert (data.env_kwargs, data.max_episode_steps) == ({"goal": 2.0}, 3)
    again = environment_of(data)
    assert (again.kwargs, again.max_episode_steps) == ({"goal": 2.0}, 3)
    assert again.make().unwrapped.goal == 2.0


def test_a_random_return_that_was_not_recorded_is_measured(caplog):
    assert prepare_demonstrations([TWO[0]], "TestPush-v0").random_return == -LIMIT
    assert "random actions" not in caplog.text
    prepare_demonstrations([TWO[0] | {"rewards": np.full(3, -99.0)}], "TestPush-v0")
    assert "mean return, -297, is no better than that of random actions, -" in caplog.text
    assert prepare_demonstrations([TWO[0]], "TestPush-v0").expert_return is None


def test_other_bounds(said):
    line = from_episodes([walk(3, actions=np.array([[0.0], [0.75], [0.9]]), **CUT)], "TestLine-v0")
    said_before = len(said())
    data = prepare_demonstrations(line, "TestPush-v0")
    assert data.action[:, 0].tolist() == pytest.approx([-1, -0.5, -0.4])  # of [0, 3]
    assert (data.action_low.tolist(), data.action_high.tolist()) == ([0], [3])
    assert "the actions were scaled" in said()[said_before]
    negative = from_episodes([walk(3, actions=np.array([[0.0], [0.75], [-0.9]]), **CUT)], "TestLine-v0")
    with pytest.raises(UserError, match="1 of 3 actions are impossible there"):
        prepare_demonstrations(negative, "TestPush-v0")
    wrong = from_episodes([walk(3, **CUT)], "TestPush-v0", random_return=0.0)
    with pytest.raises(UserError, match="though it is their environment"):
        prepare_demonstrations(type(wrong)(**{**vars(wrong), "action_low": torch.tensor([-5.0])}))
