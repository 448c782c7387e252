"""What is wrong with a TorchRL environment, in a sentence."""

import functools

import gymnasium as gym
import pytest
import torch
from torchrl.data import Bounded, Composite, OneHot, Unbounded
from torchrl.envs import TransformedEnv, VecGymEnvTransform

from rlopt.envs import env_spec
from rlopt.envs.torchrl.env import TorchRLEnv
from rlopt.errors import UserError
from rlopt.imitation import Demonstrations
from rlopt.imitation.readers import environment_of

from .torchrl_tasks import Steps, play, steps


def changed(**what):
    """A function that makes `Steps` and replaces some of its specs."""

    def make(num_envs, device):
        env = Steps(num_envs, device)
        for name, value in what.items():
            setattr(env, name, value(num_envs))
        return env

    return make


def composite(**specs):
    return lambda n: Composite({name: spec(n) for name, spec in specs.items()}, shape=(n,))


def unbounded(*shape, **how):
    return lambda n: Unbounded((n, *shape), **how)


def bounded(low, high, *shape, **how):
    return lambda n: Bounded(low, high, (n, *shape), **how)


def one_hot(n):
    return OneHot(3, (n, 3))


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        (
            changed(observation_spec=composite(pixels=unbounded(3, 8, 8))),
            r"observes pixels \[3, 8, 8\]; rlopt needs one flat",
        ),
        (
            changed(observation_spec=composite(a=unbounded(3), b=unbounded(2))),
            r"observes a \[3\], b \[2\]; .*CatTensors",
        ),
        (changed(observation_spec=composite(x=unbounded(3, dtype=torch.int64))), "observes no floating-point numbers"),
        (changed(action_spec=unbounded(2)), r"action spec Unbounded\w* of shape \[2\]; .*finite bounds"),
        (changed(action_spec=one_hot), "action spec OneHot.*continuous"),
        (changed(action_spec=bounded(-1.0, 1.0, 2, 2)), r"of shape \[2, 2\]; rlopt needs a flat vector"),
        (changed(action_spec=bounded(-1.0, float("inf"), 2)), "action bounds .* finite ones"),
        (changed(action_spec=bounded(1.0, 1.0, 2)), "action bounds .* finite ones"),
        (changed(action_spec=composite(a=bounded(-1, 1, 2), b=bounded(-1, 1, 2))), "several actions"),
        (lambda num_envs, device: Steps(num_envs + 1, device), r"num_envs=2 makes an environment of batch \[3\]"),
        (lambda num_envs, device: gym.make("Pendulum-v1"), "is a TimeLimit, not a TorchRL environment"),
        (lambda num_envs: Steps(num_envs), "cannot be made: .*unexpected keyword argument 'device'"),
        (lambda: 3, "makes a int, neither a gymnasium environment nor a TorchRL one"),
        ("torchrl:steps", "must be torchrl:module:factory"),
        ("torchrl:no_such_module:steps", "the module 'no_such_module' cannot be imported"),
        ("torchrl:tests.envs.torchrl_tasks:stebs", "has no 'stebs'"),
        ("torchrl:torchrl.envs:GymEnv", "cannot be made"),
        ("torchrl:os:getpid", "calls only what has a parameter num_envs, or is annotated to return an EnvBase"),
        (functools.partial(Steps, what=3), "Environment 'Steps' cannot be made"),
    ],
)
def test_what_cannot_be_trained_on_is_one_sentence(factory, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        env_spec(factory, max_episode_steps=5)
    assert "\n" not in str(error.value)


def test_an_episode_without_an_end_is_refused():
    with pytest.raises(UserError, match=r"has no time limit that rlopt sees.*--max-episode-steps"):
        env_spec(steps)


class Broken(Steps):
    """Its second reset, step or reward is wrong, from some step on."""

    def __init__(self, num_envs, device, what, after):
        super().__init__(num_envs, device)
        self.what, self.after = what, after

    def _step(self, tensordict):
        outcome = super()._step(tensordict)
        if self.stepped > self.after:
            if self.what == "raise":
                raise ValueError("the simulator  lost\nits license.")
            outcome[self.what][1] = float("nan")
        return outcome


def test_what_is_wrong_with_its_steps_is_one_sentence():
    def broken(what, after):
        return env_spec(lambda num_envs, device: Broken(num_envs, device, what, after), max_episode_steps=5)

    with pytest.raises(UserError, match="step 2 gives NaN or infinity as its reward"):
        broken("reward", 1)
    with pytest.raises(
        UserError,
        match=r"a reset or step fails: ValueError: the simulator lost its license \(.*, line \d+\)\.$",
    ):
        broken("raise", 0)
    env = TorchRLEnv(broken("raise", 4), [0], 3)
    with pytest.raises(
        UserError,
        match=r"step\(\) fails: ValueError: the simulator lost its license \(.*, line \d+\)\.$",
    ):
        play(env, torch.zeros(6, 3, 2))
    env = TorchRLEnv(broken("observation", 4), [0], 3)
    with pytest.raises(UserError, match="NaN or infinity as an observation, in environment number 1 at step 2 of an"):
        env.check_finite(play(env, torch.zeros(6, 3, 2)))


def test_starts_that_a_seed_does_not_decide_are_a_warning(caplog):
    class Unruly(Steps):
        def _set_seed(self, seed):
            torch.seed()

    env_spec(lambda num_envs, device: Unruly(num_envs, device), max_episode_steps=5)
    assert "set_seed(seed) gives other starts each time" in caplog.text


def test_self_resetting_environments_are_refused():
    class Alone(Steps):
        def __init__(self, num_envs, device):
            super().__init__(num_envs, device)
            self._torchrl_native_autoreset = True

    def hidden(num_envs, device):
        return TransformedEnv(Steps(num_envs, device), VecGymEnvTransform())

    for factory in (lambda num_envs, device: Alone(num_envs, device), hidden):
        with pytest.raises(UserError, match="resets its copies by itself"):
            env_spec(factory, max_episode_steps=5)


def test_a_file_cannot_name_a_function_that_is_then_called(tmp_path):
    """Demonstrations name their environment and its arguments, and a file may be anybody's."""
    data = Demonstrations(
        env_id="torchrl:subprocess:getoutput",
        env_kwargs={"cmd": f"touch {tmp_path / 'harm'}"},
        max_episode_steps=2,
        observation=torch.zeros(2, 1),
        next_observation=torch.zeros(2, 1),
        action=torch.zeros(2, 1),
        reward=torch.zeros(2),
        terminated=torch.zeros(2, dtype=torch.bool),
        truncated=torch.tensor([False, True]),
        episode_lengths=torch.tensor([2]),
        action_low=[-1.0],
        action_high=[1.0],
    )
    with pytest.raises(UserError, match="calls only what has"):
        environment_of(data)
    assert [*tmp_path.iterdir()] == []
