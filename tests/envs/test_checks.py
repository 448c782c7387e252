"""One look at an environment: every beginner's mistake is a sentence, before anything is trained."""

import gc
import logging
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlopt.agents import SAC
from rlopt.config import SACConfig, TrainingConfig
from rlopt.envs import TorchEnv, env_seeds, env_spec
from rlopt.errors import UserError
from rlopt.evaluation import Evaluator, evaluate
from rlopt.training import train_online

from .line import Line

SMALL = {"num_envs": 2, "warmup_frames": 40, "eval_points": 1, "eval_episodes": 3, "updates_per_frame": 0.1}


def changed(**parts):
    """A Line environment with other parts, with a time limit."""
    kind = type("Changed", (Line,), parts)
    return lambda **kwargs: gym.wrappers.TimeLimit(kind(**kwargs), 20)


def step_with(change):
    return lambda self, action: change(*Line.step(self, action))


def box(low, high, size=1):
    return gym.spaces.Box(np.float32(low), np.float32(high), (size,))


WRONG = {
    "the old reset": ({"reset": lambda self: 0.0}, r"reset\(seed=1\) fails: .*unexpected keyword argument"),
    "reset without info": (
        {"reset": lambda self, seed=None, options=None: Line.reset(self, seed=seed)[0]},
        r"reset\(\) returns a ndarray, not \(observation, info\)",
    ),
    "an observation too long": ({"look": lambda self: np.zeros(3)}, r"of shape \(3,\), but its space says \(2,\)"),
    "NaN at the start": ({"look": lambda self: np.array([np.nan, 0])}, r"reset\(\) gives an observation with NaN"),
    "four values": (
        {"step": step_with(lambda o, r, te, tr, i: (o, r, te, i))},
        r"expected 5, got 4\)\. It must return \(observation, reward, terminated, truncated, info\)",
    ),
    "an array as reward": (
        {"step": step_with(lambda o, r, te, tr, i: (o, np.array([r]), te, tr, i))},
        r"the reward array.*, not one number\.$",
    ),
    "several objectives": (
        {"step": step_with(lambda o, r, te, tr, i: (o, np.array([r, r]), te, tr, i))},
        r"the reward array.*, not one number\. Objectives need weights: .*LinearReward",
    ),
    "no reward": ({"step": step_with(lambda o, r, te, tr, i: (o, None, te, tr, i))}, "the reward None, not one number"),
    "a reward of NaN": ({"step": step_with(lambda o, r, te, tr, i: (o, np.nan, te, tr, i))}, "returns the reward nan"),
    "a step that raises": (
        {"step": lambda self, action: 1 / 0},
        r"step\(\[0.0\]\) fails: ZeroDivisionError: division by zero \(test_checks\.py, line \d+\)\.$",
    ),
    "a step that ends the program": (
        {"step": lambda self, action: sys.exit("no licence")},
        r"step\(\[0.0\]\) fails: SystemExit: no licence \(test_checks\.py, line \d+\)\.",
    ),
    "no width": ({"action_space": box(0.5, 0.5)}, "0.5 and 0.5 of action component 0 have no width.*ctrlrange"),
    "too wide": ({"action_space": box(-3e38, 3e38)}, "too wide to scale"),
    "dm_control's bounds of an actuator without limits": (
        {"action_space": box(-1e10, 1e10)},
        r"bounds -1e\+10 and 1e\+10 of action component 0 are too wide .*ctrlrange",
    ),
}


@pytest.mark.parametrize(("parts", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_one_sentence(parts, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        env_spec(changed(**parts))
    assert "\n" not in str(error.value)


def test_a_missing_argument_of_the_constructor_is_named():
    gym.register("rlopt-test/Needs-v0", entry_point=lambda config: Line(), max_episode_steps=20)
    with pytest.raises(
        UserError, match=r"Needs-v0' cannot be made: .*missing 1 required positional argument: 'config'"
    ):
        env_spec("rlopt-test/Needs-v0")
    assert env_spec("rlopt-test/Needs-v0", {"config": 1}).sizes == (2, 1)


def test_no_time_limit_is_asked_about_at_once():
    with pytest.raises(UserError, match=r"has no time limit.*--max-episode-steps"):
        env_spec(Line)
    spec = env_spec(Line, max_episode_steps=7)
    assert spec.max_episode_steps == 7
    (episode,) = Evaluator(spec, episodes=1).record(lambda o: torch.zeros(1, 1, 1))[0]
    assert (len(episode.reward), bool(episode.truncated[-1])) == (7, True)


def test_a_reward_may_be_a_bool():
    spec = env_spec(changed(step=step_with(lambda o, r, te, tr, i: (o, True, te, tr, i))))
    assert evaluate(lambda o: torch.zeros(1, 1, 1), spec, episodes=1).tolist() == [[20]]


def test_statistics_that_drift_are_refused():
    with pytest.raises(UserError, match=r"NormalizeObservation.*--standardize-observations"):
        env_spec(lambda: gym.wrappers.TimeLimit(gym.wrappers.NormalizeObservation(Line()), 20))


def fixed_start_with_a_seed(self, seed=None, options=None):
    observation, info = Line.reset(self, seed=seed)
    if seed is not None:
        self.x = 0.5
        observation = self.look()
    return observation, info


def test_episodes_differ_where_every_seed_gives_the_same_start():
    spec = env_spec(changed(reset=fixed_start_with_a_seed))
    returns = [evaluate(lambda o: torch.zeros(1, o.shape[1], 1), spec, episodes=4) for _ in range(2)]
    assert len(set(returns[0][0])) == 4
    np.testing.assert_array_equal(*returns)  # the seed decides the start that is drawn after it
    starts = TorchEnv(spec, [1, 2, 3]).reset()["observation"][:, 0]
    assert len(starts.unique()) == 3


@pytest.mark.parametrize(
    ("reset", "sentence"),
    [
        (lambda self, seed=None, options=None: Line.reset(self), "another start each time"),
        (lambda self, seed=None, options=None: Line.reset(self, seed=3), "gives the same start"),
    ],
)
def test_starts_that_do_not_follow_their_seed_are_a_warning(reset, sentence, caplog):
    with caplog.at_level(logging.WARNING, "rlopt"):
        env_spec(changed(reset=reset))
    assert [sentence in record.message for record in caplog.records] == [True]
    caplog.clear()
    env_spec(changed())
    assert not caplog.records


def test_what_an_environment_may_be_given_as():
    line = gym.make("rlopt-test/Line-v0", goal=2.0)
    for source in (
        "rlopt-test/Line-v0",
        gym.spec("rlopt-test/Line-v0"),
        line,
        changed(),
        "tests.envs.line:rlopt-test/Line-v0",
    ):
        spec = env_spec(source)
        assert (spec.sizes, spec.max_episode_steps) == ((2, 1), 20)
        spec.make().close()
    assert env_spec(line).make().unwrapped.goal == 2.0  # an environment's own arguments come along
    spec = env_spec("tests.envs.line:rlopt-test/Line-v0", {"goal": 3.0})
    assert spec.make().unwrapped.goal == 3.0
    assert spec.name == "rlopt-test/Line-v0_goal=3.0"
    with pytest.raises(UserError, match="module 'no_such_module' cannot be imported"):
        env_spec("no_such_module:Id-v0")
    with pytest.raises(UserError, match="has no spec"):
        env_spec(Line())


def test_dicts_and_matrices_are_flattened_in_the_order_of_their_space():
    space = gym.spaces.Dict({"b": box(-9, 9, 2), "a": gym.spaces.Box(-9, 9, (1, 2))})
    kind = changed(observation_space=space, look=lambda self: {"b": np.float32([3, 4]), "a": np.float32([[1, 2]])})
    spec = env_spec(kind)
    assert spec.observation_size == 4
    assert spec.make().reset(seed=0)[0].tolist() == [1, 2, 3, 4]  # sorted names, whatever the order of step's dict


def test_an_edited_environment_of_the_same_id_is_seen():
    gym.register("rlopt-test/Edited-v0", entry_point=Line, max_episode_steps=20)
    assert env_spec("rlopt-test/Edited-v0").max_episode_steps == 20
    gym.registry["rlopt-test/Edited-v0"].max_episode_steps = 9
    assert env_spec("rlopt-test/Edited-v0").max_episode_steps == 9


def later(what):
    """NaN in the observation or reward of step 5."""

    def step(self, action):
        self.count = getattr(self, "count", 0) + 1
        observation, reward, *rest = Line.step(self, action)
        if self.count == 8:
            observation, reward = (observation * np.nan, reward) if what == "observation" else (observation, np.nan)
        return observation, reward, *rest

    return changed(step=step)


@pytest.mark.parametrize("what", ["observation", "reward"])
def test_nan_in_training_is_the_environments(what):
    agent = SAC(SACConfig(hidden_sizes=(8,), batch_size=8), 2, 1, num_seeds=2)
    with pytest.raises(UserError, match=f"gave NaN or infinity as its {what}, in environment number 0 at step 8"):
        train_online(agent, env_spec(later(what)), TrainingConfig(frames=200, num_seeds=2, **SMALL))


def test_nan_in_an_evaluation_is_the_environments():
    with pytest.raises(UserError, match="gave NaN or infinity as its reward, in environment number 0 at step 8"):
        evaluate(lambda o: torch.zeros(1, 1, 1), env_spec(later("reward")), episodes=1)


def test_the_end_of_the_program_in_a_simulator_is_a_sentence():
    def step(self, action):
        self.steps = getattr(self, "steps", 0) + 1
        return sys.exit(3) if self.steps == 3 else Line.step(self, action)

    with pytest.raises(
        UserError,
        match=r"step\(\) of environment number 0 fails after 2 steps .*: SystemExit: 3 \(test_checks\.py, line \d+\)\.",
    ):
        evaluate(lambda o: torch.zeros(1, 1, 1), env_spec(changed(step=step)), episodes=1)


def test_that_copies_cannot_be_closed_is_said_once(caplog):
    def close(self):
        raise RuntimeError("no socket")

    TorchEnv(env_spec(changed(close=close)), env_seeds([0], 4)).close()
    assert ["close() fails: RuntimeError: no socket" in record.message for record in caplog.records] == [True]


def test_environments_are_closed():
    gc.collect()  # of other tests' environments
    before = Line.open_now
    env = TorchEnv(changed(), env_seeds([0], 4))
    assert Line.open_now == before + 4
    env.close()
    assert Line.open_now == before
    agent = SAC(SACConfig(hidden_sizes=(8,), batch_size=8), 2, 1, num_seeds=2)
    train_online(agent, changed(), TrainingConfig(frames=100, num_seeds=2, **SMALL))
    assert Line.open_now == before


def test_few_environments_play_all_episodes():
    def push(observation):
        return observation[..., :1].tanh()

    spec = env_spec(changed())
    full, few = Evaluator(spec, num_seeds=2, episodes=5), Evaluator(spec, num_seeds=2, episodes=5, envs=2)
    assert (len(full.copies.envs), len(few.copies.envs)) == (10, 4)
    assert (full(push) == few(push)).all()
    for of_full, of_few in zip(full.record(push), few.record(push), strict=True):
        for own, other in zip(of_full, of_few, strict=True):
            assert (own.observation == other.observation).all()


def test_a_policy_knows_its_seeds():
    agent = SAC(SACConfig(hidden_sizes=(8,)), 2, 1, num_seeds=3)
    assert evaluate(agent.policy, changed(), episodes=2).shape == (3, 2)
