"""The fixtures' environment, and what is right of an episode of it: see tests/fixtures/formats/steps_env.py."""

import sys
from pathlib import Path

import numpy as np

from rlopt.envs.spec import EnvSpec
from rlopt.imitation.formats import FORMATS

FIXTURES = Path(__file__).parents[2] / "fixtures" / "formats"
sys.path.insert(0, str(FIXTURES))
from steps_env import Steps  # noqa: E402

STEPS = EnvSpec("Steps-v0", 2, 1, np.zeros(1, np.float32), np.full(1, 4, np.float32), 5, Steps)
ACTIONS = (-0.5, 0.0, 0.5, 1.0, -1.0)


def read(name, source, env=STEPS):
    """Read with the format that recognizes it, which must be this one alone."""
    assert [key for key, module in FORMATS.items() if module.recognizes(source)] == [name]
    return FORMATS[name].read(source, env)


def assert_steps(data, starts, lengths, scripted=True):
    """Episodes that start there and are that long: every observation, action, and true next observation.

    An odd hundred's third step is a final state, an even hundred's fifth the time limit, and no other step an end; a start that
    is no hundred is an episode that lost its first steps.
    """
    assert data.episode_lengths.tolist() == lengths
    at = np.concatenate([start + np.arange(length) for start, length in zip(starts, lengths, strict=True)])
    assert data.observation[:, 0].tolist() == at.tolist()
    assert data.next_observation[:, 0].tolist() == (at + 1).tolist()
    odd = at // 100 % 2 == 1
    assert data.terminated.tolist() == (odd & (at % 100 == 2)).tolist()
    if scripted:
        assert data.action[:, 0].tolist() == [ACTIONS[step] for step in at % 100]
    # the second observation is the last action, in the environment's units
    assert np.allclose(data.next_observation[:, 1], 2 * (data.action[:, 0] + 1), atol=1e-5)
    ends = np.cumsum(lengths) - 1
    assert not np.delete(data.truncated.numpy(), ends).any()
    return data.truncated[ends].tolist()
