"""A loaded policy does what the policy in the file does, in the environment's units."""

import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

import rlopt
from rlopt.agents import METHODS
from rlopt.agents.saving import save_agent
from rlopt.envs import env_spec
from rlopt.errors import UserError
from rlopt.experiments.run import save_models
from rlopt.training.evaluation import EVALUATION_SEED, evaluate

from .policy_files import HIGH, LOW, SEEDS, build, pendulum, save

FIXTURES = Path(__file__).parent / "fixtures" / "version_2"


@pytest.fixture
def observations():
    return np.random.default_rng(0).normal(size=(5, 3)) * 10  # float64, as environments give it


@pytest.mark.parametrize("kind", list(METHODS))
def test_actions_are_those_of_the_policy_in_the_bounds_of_the_environment(kind, tmp_path, observations):
    agent = build(kind)
    path = save(tmp_path / "model.pt", agent)
    inside = agent.policy(torch.tensor(observations, dtype=torch.float32).expand(3, -1, -1)).numpy()  # [S, B, A]
    right = np.stack([-1 + (inside[..., 0] + 1) * 2, (inside[..., 1] + 1) * 5], axis=-1)  # by hand, of LOW and HIGH
    policy = rlopt.load_policy(path, seed=43)
    np.testing.assert_allclose(policy(observations), right[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(policy(observations[2]), right[1, 2], rtol=1e-5, atol=1e-6)
    assert policy(observations).dtype == np.float32
    every = rlopt.load_policy(path, seed="all")
    np.testing.assert_allclose(every(observations), right, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(every(observations[2]), right[:, 2], rtol=1e-5, atol=1e-6)
    own = np.stack([observations, observations[::-1], observations])  # [S, N, O]: each seed's own
    np.testing.assert_allclose(every(own)[1], right[1, ::-1], rtol=1e-5, atol=1e-6)


def test_one_seeds_policy_of_step_3_is_its_file(tmp_path, monkeypatch):
    from types import SimpleNamespace

    agent, spec = build("bc", action_size=1), env_spec("Pendulum-v1")
    save_models(
        agent, METHODS["bc"], SimpleNamespace(directory=tmp_path / "run", keep=lambda *files: None), spec, SEEDS
    )
    monkeypatch.setattr("rlopt.policies.env_spec", None)  # the file is enough
    observation = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(0))
    for index, seed in enumerate(SEEDS):
        policy = rlopt.load_policy(tmp_path / f"bc_policy_seed{seed}.pt")
        assert policy.seeds == [seed]
        right = 2 * agent.policy(observation)[index].numpy()  # Pendulum's torque is in [-2, 2]
        np.testing.assert_allclose(policy(observation[index].numpy()), right, rtol=1e-5, atol=1e-6)


def test_the_seed_is_the_best_one_that_the_file_names_else_the_first(tmp_path, observations):
    agent, best = build(), build(num_seeds=3, initial_alpha=0.5)
    with torch.no_grad():
        for parameter in best.policy.actor.parameters():
            parameter.mul_(0.5)
    state = best.policy.actor.state_dict()
    path = save(tmp_path / "model.pt", agent, best_seed=44, best_actor=state)
    assert rlopt.load_policy(path).seeds == [44]
    np.testing.assert_array_equal(rlopt.load_policy(path)(observations), rlopt.load_policy(path, 44)(observations))
    assert rlopt.load_policy(path, seed="all").seeds == SEEDS
    as_best = rlopt.load_policy(path, best=True)
    right = best.policy(torch.tensor(observations, dtype=torch.float32).expand(3, -1, -1))[2].numpy()
    np.testing.assert_allclose(as_best(observations), LOW + (right + 1) / 2 * (HIGH - LOW), rtol=1e-5, atol=1e-6)
    plain = save(tmp_path / "plain.pt", agent)
    assert rlopt.load_policy(plain).seeds == [42]
    with pytest.raises(UserError, match="has no policy of seed 9: it has 42, 43, 44"):
        rlopt.load_policy(plain, seed=9)
    with pytest.raises(UserError, match="only files of step 1 have"):
        rlopt.load_policy(plain, best=True)


def test_samples_are_repeatable_and_have_the_spread_that_was_learned(tmp_path):
    agent = build()
    path = save(tmp_path / "model.pt", agent)
    many = np.tile(np.array([1.0, 2.0, 3.0], np.float32), (20_000, 1))
    policy = rlopt.load_policy(path, seed=43, sampling_seed=5)
    drawn = policy(many, deterministic=False)
    np.testing.assert_array_equal(drawn, rlopt.load_policy(path, 43, sampling_seed=5)(many, deterministic=False))
    assert not np.array_equal(drawn, policy(many, deterministic=False))
    mean, log_std = (value[1, 0].detach() for value in agent.policy.actor(torch.tensor(many[:1]).expand(3, -1, -1)))
    before_tanh = np.arctanh((drawn - LOW) / (HIGH - LOW) * 2 - 1)
    np.testing.assert_allclose(before_tanh.mean(0), mean, atol=0.02)
    np.testing.assert_allclose(before_tanh.std(0), log_std.exp(), rtol=0.05)
    with pytest.raises(UserError, match="its policies are deterministic"):
        rlopt.load_policy(save(tmp_path / "bc.pt", build("bc")))(many, deterministic=False)


def test_predict_is_batch_in_batch_out_and_hands_the_state_back(tmp_path, observations):
    path = save(tmp_path / "model.pt", build())
    policy = rlopt.load_policy(path)
    action, state = policy.predict(observations, state="kept", episode_start=np.ones(5, bool), deterministic=True)
    np.testing.assert_array_equal(action, policy(observations))
    assert (action.shape, state) == ((5, 2), "kept")
    assert policy.predict(observations[0])[0].shape == (2,)
    assert policy.predict(observations[0])[1] is None
    with pytest.raises(UserError, match="load one seed's policy"):
        rlopt.load_policy(path, "all").predict(observations)


def test_stable_baselines3_evaluates_it(tmp_path):
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    policy = rlopt.load_policy(pendulum(tmp_path))
    returns, lengths = evaluate_policy(policy, make_vec_env("Pendulum-v1", 2), 4, return_episode_rewards=True)
    assert lengths == [200] * 4
    assert all(-2000 < value < -1 for value in returns)


def test_it_gets_the_return_of_the_evaluation(tmp_path):
    policy = rlopt.load_policy(pendulum(tmp_path))
    env = gym.make("Pendulum-v1")
    observation, _ = env.reset(seed=EVALUATION_SEED)
    total, truncated = 0.0, False
    while not truncated:
        observation, reward, _, truncated, _ = env.step(policy(observation))
        total += reward
    assert total == pytest.approx(evaluate(policy.policy, "Pendulum-v1", episodes=1).item(), rel=1e-6)


def test_the_document_shows_how(tmp_path):
    text = (Path(__file__).parents[1] / "docs" / "use-a-policy.md").read_text()
    (shown,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "load_policy" in block)
    names = {}
    exec(re.sub(r'"logs/.*?\.pt"', repr(str(pendulum(tmp_path))), shown), names)
    assert names["env"].action_space.contains(names["action"])


def test_a_file_of_an_earlier_version_has_its_environment_looked_up():
    expected = torch.load(FIXTURES / "expected.pt")["sac_expert"]["action"]
    observation = torch.linspace(-1, 1, 15).view(5, 3).numpy()
    policy = rlopt.load_policy(FIXTURES / "sac_expert.pt", seed="all")
    np.testing.assert_allclose(policy(observation), 2 * expected.numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(
        UserError, match="is for observations of size 3 and actions of size 1, but rlopt-test/Two-v0 has 2 and 1"
    ):
        rlopt.load_policy(FIXTURES / "sac_expert.pt", env="rlopt-test/Two-v0")


class Two(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(size=2).astype(np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 0.0, True, False, {}


gym.register("rlopt-test/Two-v0", entry_point=Two, max_episode_steps=5)


def test_another_environment_has_its_own_bounds(tmp_path, counter_env):
    path = save(tmp_path / "model.pt", build(), action_low=-torch.ones(2), action_high=torch.ones(2))
    observation = np.ones(3)
    right = LOW + (rlopt.load_policy(path)(observation) + 1) / 2 * (HIGH - LOW)  # as the counter's are
    np.testing.assert_allclose(rlopt.load_policy(path, env=counter_env)(observation), right, rtol=1e-5, atol=1e-6)


def test_a_file_without_bounds_of_an_environment_that_no_id_finds_asks_for_it(tmp_path):
    save_agent(tmp_path / "model.pt", build(), "MyEnv", SEEDS)
    with pytest.raises(UserError, match=r"does not say the bounds of actions: give its environment \(env\)"):
        rlopt.load_policy(tmp_path / "model.pt")


@pytest.mark.parametrize("bounds", [(HIGH, LOW), (LOW, HIGH + np.nan), (LOW[:1], HIGH[:1])])
def test_bounds_that_are_none_are_damage(tmp_path, bounds):
    path = save(tmp_path / "m.pt", build(), action_low=torch.tensor(bounds[0]), action_high=torch.tensor(bounds[1]))
    with pytest.raises(UserError, match="is damaged or of another version"):
        rlopt.load_policy(path)


# ------------------------------------------------------------------------------------------------- other observations


class Parts(gym.Env):
    """Observes a Dict, whose order is not the alphabet's."""

    observation_space = gym.spaces.Dict(
        [("position", gym.spaces.Box(-9, 9, (2, 2))), ("goal", gym.spaces.Box(-9, 9, (1,)))]
    )
    action_space = gym.spaces.Box(LOW, HIGH)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


class Matrix(Parts):
    observation_space = gym.spaces.Box(-9, 9, (2, 3))


gym.register("rlopt-test/Parts-v0", entry_point=Parts, max_episode_steps=5)
gym.register("rlopt-test/Matrix-v0", entry_point=Matrix, max_episode_steps=5)


def test_a_dict_is_flattened_as_in_training_and_so_is_a_batch_of_it(tmp_path):
    path = save(tmp_path / "model.pt", build(observation_size=5), "rlopt-test/Parts-v0", max_episode_steps=5)
    policy = rlopt.load_policy(path)
    env, flat = gym.make("rlopt-test/Parts-v0"), env_spec("rlopt-test/Parts-v0").make()
    observation, vector = env.reset(seed=3)[0], flat.reset(seed=3)[0]
    np.testing.assert_allclose(policy(observation), policy(vector), rtol=1e-6, atol=1e-6)
    vectors = gym.make_vec("rlopt-test/Parts-v0", 3, vectorization_mode="sync")
    batch, _ = vectors.reset(seed=3)  # the first copy's seed is 3
    assert policy.predict(batch)[0].shape == (3, 2)
    np.testing.assert_allclose(policy(batch)[0], policy(vector), rtol=1e-5, atol=1e-6)
    with pytest.raises(UserError, match="goal is missing"):
        policy({"position": np.zeros((2, 2))})
    with pytest.raises(UserError, match=r"observation\['goal'\] has the shape \[2\], and must end in \[1\]"):
        policy({"position": np.zeros((2, 2)), "goal": np.zeros(2)})
    with pytest.raises(UserError, match="batches of different sizes"):
        policy({"position": np.zeros((3, 2, 2)), "goal": np.zeros((2, 1))})


def test_a_matrix_is_flattened_row_by_row(tmp_path):
    path = save(tmp_path / "model.pt", build(observation_size=6), "rlopt-test/Matrix-v0", max_episode_steps=5)
    policy = rlopt.load_policy(path)
    matrix = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(policy(matrix), policy(np.arange(6.0)), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(policy(np.stack([matrix, -matrix]))[1], policy(-np.arange(6.0)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("observation", "sentence"),
    [
        (np.zeros(4), r"observation has the shape \[4\], and must end in \[3\]"),
        (np.zeros((2, 5, 3)), r"takes \[3\], \[N, 3\], not an array of \[2, 5, 3\]"),
        (np.array([0.0, np.nan, 0.0]), "has NaN or infinity in it"),
        ("text", "not an array of numbers"),
        ({"a": np.zeros(3)}, "is a dict, not an array of numbers"),
    ],
)
def test_other_observations_are_refused_in_a_sentence(observation, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        rlopt.load_policy(pendulum(tmp_path))(observation)


def test_a_dict_needs_the_environment(tmp_path):
    policy = rlopt.load_policy(save(tmp_path / "model.pt", build()))
    with pytest.raises(UserError, match="Observations that are no vectors of 3 numbers need the environment"):
        policy({"a": np.zeros(3)})
