"""Several episodes in one dict: what says how long they are."""

import numpy as np
import pytest

from rlopt.errors import UserError
from rlopt.imitation import load_demonstrations

from .test_axes import LINE, episode


@pytest.mark.parametrize("name", ["episode_lengths", "lengths", "len_B"])
def test_lengths_by_any_name(name):
    arrays = {"observations": np.concatenate([episode(4, 0), episode(6, 5)]), "actions": np.zeros((10, 1))}
    data = load_demonstrations(arrays | {name: [4, 6]}, env=LINE)
    assert data.episode_lengths.tolist() == [4, 6]
    assert data.observation[4].tolist() == [5, 5]


def test_lists_of_episodes():
    """As IQ-Learn pickles its experts: an entry for each episode, and `dones` at the time limit, too."""
    walks = [episode(20, 0), episode(6, 5)]
    lists = {
        "states": [walk[:-1] for walk in walks],
        "next_states": [walk[1:] for walk in walks],
        "actions": [np.zeros((len(walk) - 1, 1)) for walk in walks],
        "rewards": [[1.0] * (len(walk) - 1) for walk in walks],
        "dones": [[False] * (len(walk) - 2) + [True] for walk in walks],
        "lengths": [20, 6],
    }
    data = load_demonstrations(lists, env=LINE)
    assert data.episode_lengths.tolist() == [20, 6]
    assert data.terminated.nonzero().flatten().tolist() == [25]
    assert data.truncated.nonzero().flatten().tolist() == [19]
    assert data.expert_return == 13
    with pytest.raises(UserError, match=r"Lists of episodes must be equally long, found .*'actions': 1"):
        load_demonstrations(lists | {"actions": lists["actions"][:1]}, env=LINE)


def test_an_episode_that_the_recording_cuts_off_is_no_part_of_the_return():
    ends = np.arange(25) == 19
    arrays = {"observations": np.concatenate([episode(20, 0)[:-1], episode(5, 9)[:-1]]), "actions": np.zeros((25, 1))}
    arrays |= {"rewards": np.ones(25), "terminations": ends & False, "truncations": ends}
    assert load_demonstrations(arrays, env=LINE).expert_return == 20
