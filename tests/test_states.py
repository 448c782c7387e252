"""States of another form are refused before anything takes them over."""

import pytest
import torch

from rlopt.agents import BC, GAIL, IPMD, SAC, SQIL, IQLearn
from rlopt.agents.saving import load_agent, save_agent
from rlopt.config import BCConfig, IPMDConfig, SACConfig
from rlopt.errors import UserError
from rlopt.logs.files import load_safely, save_atomically
from rlopt.peer_config import GAILConfig, IQLearnConfig, SQILConfig
from rlopt.states import UNFIT, check_form

LIKE = {"weight": torch.zeros(2, 3), "steps": [1, 2], "name": "a", "pair": (1.0, None)}


def test_what_is_alike_is_taken():
    check_form({"weight": torch.ones(2, 3), "steps": [3, 4], "name": "b", "pair": (0.5, None)}, LIKE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": torch.ones(3)}, r"s\['weight'\] is a tensor of float32 \[3\], not of float32 \[2, 3\]"),
        ({"weight": torch.ones(2, 3).double()}, r"s\['weight'\] is a tensor of float64 \[2, 3\], not of float32"),
        ({"weight": 1.0}, r"s\['weight'\] is a float, not a tensor"),
        ({"steps": [1]}, r"s\['steps'\] is not a list of 2 entries"),
        ({"steps": [1, True]}, r"s\['steps'\]\[1\] is a bool, not a int"),
        ({"name": None}, r"s\['name'\] is a NoneType, not a str"),
        ({"more": 1}, r"s has \['more', 'name', .* in place of \['name'"),
    ],
)
def test_the_first_difference_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        check_form({**LIKE, **change}, LIKE, "s")


AGENTS = {
    "sac": lambda: SAC(SACConfig(hidden_sizes=(8,)), 3, 2, num_seeds=2),
    "ipmd": lambda: IPMD(IPMDConfig(hidden_sizes=(8,)), 3, 2, num_seeds=2),
    "bc": lambda: BC(BCConfig(hidden_sizes=(8,)), 3, 2, num_seeds=2),
    "gail": lambda: GAIL(GAILConfig(hidden_sizes=(8,)), 3, 2, num_seeds=2),
    "iqlearn": lambda: IQLearn(IQLearnConfig(hidden_sizes=(8,)), 3, 2, num_seeds=2),
    "sqil": lambda: SQIL(SQILConfig(hidden_sizes=(8,)), 3, 2, num_seeds=2),
}


def tensors(state, place=()):
    """Where the tensors are."""
    if isinstance(state, torch.Tensor):
        return [place]
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list) else ()
    return [found for key, value in items for found in tensors(value, (*place, key))]


def changed(state, place, edit):
    """A copy with one tensor edited."""
    if not place:
        return edit(state)
    copy = dict(state) if isinstance(state, dict) else list(state)
    copy[place[0]] = changed(state[place[0]], place[1:], edit)
    return copy


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize(
    "edit", [lambda t: t.unsqueeze(0), lambda t: t.double(), lambda t: t.flatten()[:1].expand(1, 1, 1, 1)]
)
def test_no_tensor_of_an_agent_is_repeated_or_cast(name, edit):
    agent = AGENTS[name]()
    state = agent.state_dict()
    for place in tensors(state):
        with pytest.raises(UNFIT):
            agent.load_state_dict(changed(state, place, edit))


@pytest.mark.parametrize("change", [{"observation_size": 2**40}, {"seeds": list(range(10**5))}, {"env_id": None}])
def test_a_model_that_declares_more_than_it_holds_is_refused(tmp_path, change):
    path = tmp_path / "model.pt"
    save_agent(path, AGENTS["ipmd"](), "Pendulum-v1", [4, 5])
    save_atomically(path, {**load_safely(path, what="Model"), **change})
    with pytest.raises(UserError, match=r"^Model [^\n]* is damaged or of another version: [^\n]*$"):
        load_agent(path)
