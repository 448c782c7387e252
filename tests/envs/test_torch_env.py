"""Environments: what TorchEnv shows is what the raw gymnasium environment does, at every episode's end above all."""

import time

import gymnasium as gym
import numpy as np
import pytest
import torch
from tensordict import TensorDict
from torchrl.envs import EnvBase
from torchrl.envs.utils import check_env_specs

from rlopt.envs import TorchEnv, as_seeds, env_seeds, env_spec, watchdog
from rlopt.envs.running import RunningEpisodes
from rlopt.envs.spec import episode_seed
from rlopt.errors import UserError

from .line import Line


def play(env, actions):
    """Step through actions `[T, N, A]`; the TensorDicts of all steps, stacked to `[N, T]`."""
    state, steps = env.reset(), []
    for action in actions:
        step, state = env.step_and_maybe_reset(state.set("action", action))
        steps.append(step)
    return torch.stack(steps, dim=1)


def random_actions(steps, num_envs, size, seed=0):
    return torch.rand(steps, num_envs, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_specs_fit_what_the_environment_does(counter_env):
    for env_id in (counter_env, "Pendulum-v1"):
        env = TorchEnv(env_id, env_seeds([0, 1], 2))
        check_env_specs(env)
        env.close()


@pytest.mark.parametrize(("env_id", "steps"), [("Pendulum-v1", 410), ("InvertedPendulum-v5", 120), ("Hopper-v5", 120)])
def test_every_step_is_that_of_the_raw_environment(env_id, steps):
    seeds = [3, 4]
    spec = env_spec(env_id)
    env = TorchEnv(env_id, seeds)
    actions = random_actions(steps, 2, spec.action_size)
    played = play(env, actions)
    env.close()

    ends = []
    for index, seed in enumerate(seeds):
        raw = gym.make(env_id)
        observation, _ = raw.reset(seed=seed)
        episode = 0
        for t in range(steps):
            low, high = raw.action_space.low, raw.action_space.high
            action = low + (actions[t, index].numpy() + 1) / 2 * (high - low)
            following, reward, terminated, truncated, _ = raw.step(action.astype(np.float32))
            step = played[index, t]
            np.testing.assert_allclose(step["observation"], observation, rtol=1e-4, atol=1e-5)
            # also where the episode ends: its true last observation, not the next one's first
            np.testing.assert_allclose(step["next", "observation"], following, rtol=1e-4, atol=1e-5)
            assert step["next", "reward"].item() == pytest.approx(reward, rel=1e-4, abs=1e-5)
            assert step["next", "terminated"].item() == terminated
            assert step["next", "truncated"].item() == truncated
            assert step["next", "done"].item() == (terminated or truncated)
            observation = following
            if terminated or truncated:
                ends.append("terminated" if terminated else "truncated")
                episode += 1
                observation, _ = raw.reset(seed=episode_seed(seed, episode))
        raw.close()
    # the test has seen both environments end more than once, the way this task ends
    kind = "truncated" if env_id == "Pendulum-v1" else "terminated"
    assert len(ends) >= 4
    assert set(ends) == {kind}


def test_what_an_episode_counts(counter_env):
    # rewards 1, 2, 3, 4 and termination, then 1 ... 7 and truncation (conftest.py)
    env = TorchEnv(counter_env, [0, 1])
    played = play(env, torch.zeros(13, 2, 2))[0]

    def column(name):
        return played["next", name].squeeze(-1).tolist()

    assert column("reward") == [1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 1, 2]
    assert column("episode_return") == [1, 3, 6, 10, 1, 3, 6, 10, 15, 21, 28, 1, 3]
    assert column("episode_length") == [1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 1, 2]
    assert [t for t, end in enumerate(column("terminated")) if end] == [3]
    assert [t for t, end in enumerate(column("truncated")) if end] == [10]
    assert [t for t, end in enumerate(column("done")) if end] == [3, 10]
    assert played["observation"][:, 0].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert played["next", "observation"][:, 0].tolist() == column("episode_length")
    assert played["next", "observation"][:, 1].tolist() == [0] * 4 + [1] * 7 + [2] * 2  # the episode's number


def test_environments_end_and_start_again_on_their_own(counter_env):
    env = TorchEnv(counter_env, [0, 1])
    state = env.reset()
    # environment 0 alone is reset, twice: its episodes 0 and 1 are gone, while environment 1 goes on
    for _ in range(2):
        state = env.step_and_maybe_reset(state.set("action", torch.zeros(2, 2)))[1]
        mask = torch.tensor([[True], [False]])
        state = env.reset(TensorDict({"_reset": mask}, batch_size=[2]))
    played, _ = env.step_and_maybe_reset(state.set("action", torch.zeros(2, 2)))
    assert played["next", "observation"][:, :2].tolist() == [[1, 2], [3, 0]]
    assert played["next", "episode_length"].tolist() == [[1], [3]]


def test_the_shortened_step_is_that_of_torchrl(counter_env):
    class Long(TorchEnv):
        step_and_maybe_reset = TorchEnv.__mro__[1].step_and_maybe_reset

    rollouts = []
    for kind in (TorchEnv, Long):
        torch.manual_seed(0)
        rollouts.append(kind(counter_env, [0, 1]).rollout(13, break_when_any_done=False))
    short, long = rollouts
    assert set(short.keys(True, True)) == set(long.keys(True, True))
    for key in short.keys(True, True):
        assert torch.equal(short[key], long[key]), key


def test_the_shortened_random_action_is_that_of_torchrl(counter_env):
    env = TorchEnv(counter_env, [3, 4, 5])
    state = env.reset()
    torch.manual_seed(0)
    expected = [EnvBase.rand_action(env, state.clone())["action"] for _ in range(3)]
    torch.manual_seed(0)
    assert torch.equal(env.rand_action()["action"], expected[0])
    for action in expected[1:]:
        assert env.rand_action(state) is state
        assert torch.equal(state["action"], action)


def test_actions_reach_the_bounds_of_the_environment(counter_env):
    # bounds (-1, 3) and (0, 10)
    spec = env_spec(counter_env)
    actions = np.array([[-1, -1], [1, 1], [0, 0], [0.5, -0.5]], np.float32)
    assert spec.to_env_units(actions).tolist() == [[-1, 0], [3, 10], [1, 5], [2, 2.5]]
    env = TorchEnv(counter_env, [0, 0])
    played = play(env, torch.tensor([[[-1.0, 0.0], [0.5, 0.0]]]))
    assert played["next", "observation"][:, 0, 2].tolist() == [-1, 2]  # the environment echoes its first action


def test_everything_is_float32(counter_env):
    played = play(TorchEnv(counter_env, [0, 1]), torch.zeros(2, 2, 2))
    for key in ("observation", "action", ("next", "observation"), ("next", "reward"), ("next", "episode_return")):
        assert played[key].dtype == torch.float32, key
    for key in ("terminated", "truncated", "done"):
        assert played["next", key].dtype == torch.bool


def test_stored_steps_are_not_overwritten_by_later_ones(counter_env):
    env = TorchEnv(counter_env, [0, 1])
    first, _ = env.step_and_maybe_reset(env.reset().set("action", torch.zeros(2, 2)))
    before = first.clone()
    play(env, torch.ones(6, 2, 2))
    assert all(torch.equal(first[key], before[key]) for key in before.keys(True, True))


def test_a_seed_gets_the_same_starts_in_any_company():
    def starts(seeds, index):
        env = TorchEnv("Pendulum-v1", env_seeds(seeds, 3))
        # past the time limit, so that the second starts are seen as well
        played = play(env, torch.zeros(201, 3 * len(seeds), 1))
        return as_seeds(played["observation"], len(seeds))[index]

    alone = starts([42], 0)
    assert torch.equal(alone, starts([41, 42, 43], 1))
    assert torch.equal(alone, starts([42], 0))
    firsts = alone[:, [0, 200]].reshape(-1, 3)
    assert len(firsts.unique(dim=0)) == 6  # three environments, two episodes: no two starts are the same
    assert not torch.equal(alone, starts([41], 0))


def test_set_seed_decides_the_next_reset():
    env = TorchEnv("Pendulum-v1", [1, 2])
    firsts = []
    for seed in (5, 5, 6):
        env.set_seed(seed)
        firsts.append(env.reset()["observation"])
    assert torch.equal(firsts[0], firsts[1])
    assert not torch.equal(firsts[0], firsts[2])


def test_a_second_reset_starts_new_episodes():
    env = TorchEnv("Pendulum-v1", [1, 2])
    assert not torch.equal(env.reset()["observation"], env.reset()["observation"])


def test_env_seeds_are_seed_major_and_distinct():
    seeds = env_seeds([7, 8], 3)
    assert seeds == [*env_seeds([7], 3), *env_seeds([8], 3)]
    assert len(set(seeds)) == 6


def test_as_seeds_is_seed_major():
    assert as_seeds(torch.arange(6), 3).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert as_seeds(torch.zeros(6, 5), 2).shape == (2, 3, 5)


@pytest.mark.parametrize(("env_id", "steps"), [("Pendulum-v1", 260), ("Hopper-v5", 70), ("InvertedPendulum-v5", 60)])
def test_other_copies_are_brought_to_the_same_state(env_id, steps):
    """In the middle of episodes, some of which had ended before: from then on both step alike, to the last bit."""
    seeds, size = env_seeds([3], 3), env_spec(env_id).action_size
    actions = random_actions(steps, 3, size)
    env, kept = TorchEnv(env_id, seeds), RunningEpisodes(3)
    state, batch = env.reset(), []
    for action in actions:
        step, state = env.step_and_maybe_reset(state.set("action", action))
        batch.append(step)
        if len(batch) == 5:
            kept.extend(torch.stack(batch, 1))
            batch = []
    assert int(kept.episodes.min()) >= 1
    stored = RunningEpisodes(3)
    stored.load_state_dict(kept.state_dict())
    other = TorchEnv(env_id, seeds, stored.state())
    also = other.reset()
    assert torch.equal(also["observation"], state["observation"])
    for action in random_actions(250 if env_id == "Pendulum-v1" else 80, 3, size, seed=1):
        (step, state), (same, also) = (
            one.step_and_maybe_reset(start.set("action", action)) for one, start in ((env, state), (other, also))
        )
        for key in ("observation", "reward", "terminated", "truncated", "episode_length"):
            assert torch.equal(step["next", key], same["next", key])
        kept.extend(step.unsqueeze(1))
        stored.extend(same.unsqueeze(1))
    for name, value in kept.state_dict().items():
        assert torch.equal(value, stored.state_dict()[name]), name
    assert (
        sum(part.shape[1] for part in kept.actions) <= int(kept.state().lengths.max()) + 5
    )  # no more is kept than needed


def test_an_environment_that_does_not_come_back_begins_anew(counter_env, caplog):
    """It counts its episodes, which another copy cannot know."""
    env, kept = TorchEnv(counter_env, [0, 1]), RunningEpisodes(2)
    kept.extend(play(env, torch.zeros(6, 2, 2)))
    other = TorchEnv(counter_env, [0, 1], kept.state())
    assert other.reset()["observation"][:, 0].tolist() == [0, 0]
    assert "2 of 2 environments of rlopt-test/Counter-v0 do not come back" in caplog.text


class OneArray(Line):
    """Observes in one array that it fills again and again."""

    def look(self):
        self.seen = getattr(self, "seen", np.zeros(2, np.float32))
        self.seen[:] = self.x, self.v
        return self.seen


def test_observations_in_one_array_are_copied():
    actions = random_actions(50, 2, 1)
    played, expected = (
        play(TorchEnv(env_spec(env, max_episode_steps=20), [0, 1]), actions) for env in (OneArray, Line)
    )
    for key in ("observation", ("next", "observation")):
        assert torch.equal(played[key], expected[key])


class Failing(Line):
    def step(self, action):
        if self.v < -0.1:
            raise ValueError("the simulator  lost\nits license.")
        return super().step(action)


def test_an_exception_in_an_environment_names_it():
    env = TorchEnv(env_spec(Failing, max_episode_steps=50), [0, 1, 2])
    with pytest.raises(UserError) as error:
        play(env, -torch.ones(50, 3, 1))
    line = Failing.step.__code__.co_firstlineno + 2
    assert str(error.value) == (
        "Failing: step() of environment number 0 fails after 2 steps of an episode: "
        f"ValueError: the simulator lost its license (test_torch_env.py, line {line})."
    )


class Hanging(Line):
    def step(self, action):
        time.sleep(0.3 * (self.v < 0))
        return super().step(action)


def test_an_environment_that_hangs_is_named_while_it_hangs(monkeypatch, caplog):
    monkeypatch.setattr(watchdog, "PATIENCE", 0.1)
    env = TorchEnv(env_spec(Hanging, max_episode_steps=50), [0, 1])
    play(env, torch.tensor([[[1.0], [-1.0]]] * 3))  # the second one is slow from its second step on
    env.close()
    assert len(caplog.messages) == 2
    assert all(message.startswith("Environment number 1 of Hanging has not come back") for message in caplog.messages)
