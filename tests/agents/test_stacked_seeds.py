"""S seeds in one update: each gets what it would get alone, and none touches another."""

from operator import attrgetter

import pytest
import torch

from rlopt.agents import BC, GAIL, IPMD, SAC, SQIL, IQLearn
from rlopt.agents.saving import take_seed
from rlopt.config import BCConfig, IPMDConfig, SACConfig
from rlopt.peer_config import GAILConfig, IQLearnConfig, SQILConfig
from rlopt.transition import Transition

S, B, UPDATES, SEED = 3, 16, 8, 11
HIDDEN = {"hidden_sizes": (16, 16), "learning_rate": 1e-3}
# every branch of an update: the mirror step is renewed within the updates, and both criteria are tried
KINDS = {
    "sac": (SAC, SACConfig(**HIDDEN)),
    "ipmd": (IPMD, IPMDConfig(**HIDDEN, inverse_eta=0.5, mirror_period=3)),
    "ipmd_average_reward": (IPMD, IPMDConfig(**HIDDEN, average_reward=True, reward_inputs="sas")),
    "ipmd_standardized": (IPMD, IPMDConfig(**HIDDEN, standardize_observations=True, entropy_backup=False)),
    "ipmd_walking": (IPMD, IPMDConfig(**HIDDEN, expert_ratio=0.5, expert_bound=True, entropy_backup=False)),
    "bc": (BC, BCConfig(**HIDDEN)),
    "gail": (GAIL, GAILConfig(**HIDDEN)),
    "iqlearn": (IQLearn, IQLearnConfig(**HIDDEN, num_critics=2)),
    "sqil": (SQIL, SQILConfig(**HIDDEN, batch_size=B)),
}

each_kind = pytest.mark.parametrize("kind", KINDS)


def build(kind, num_seeds=S, seed=SEED):
    agent_type, config = KINDS[kind]
    agent = agent_type(config, 3, 2, num_seeds=num_seeds, seed=seed)
    if isinstance(agent, IPMD | GAIL):
        agent.fit_standardizers(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([2.0, 1.0, 3.0]))
    return agent


@pytest.fixture
def batches(make_batch):
    """A pair (policy's, expert's) of batches `[S, B]` for every update."""
    return [(make_batch(S, B, 3, 2, seed=2 * i), make_batch(S, B, 3, 2, seed=2 * i + 1)) for i in range(UPDATES)]


def train(agent, batches, seeds=slice(None)):
    """What each update on these seeds' part of the batches reported."""
    parts = [[Transition(*(value[seeds] for value in batch)) for batch in pair] for pair in batches]
    return [agent.update(pair[0]) if isinstance(agent, SAC | BC) else agent.update(*pair) for pair in parts]


@pytest.fixture
def share_noise(monkeypatch):
    """A function of seeds: from then on they get their slices of noise that is the same at every call of it."""

    def start(seeds):
        generator = torch.Generator().manual_seed(0)

        def normal(action, copies, own):  # [2, S, B, A]
            return torch.randn(copies, S, *action.shape[1:], generator=generator)[:, seeds]

        def uniform(reward, own):  # [S, B, 1]
            return torch.rand(S, *reward.shape[1:], 1, generator=generator)[seeds]

        for module in ("sac", "ipmd", "gail", "iqlearn", "sqil"):
            monkeypatch.setattr(f"rlopt.agents.{module}.standard_normal_like", normal)
        monkeypatch.setattr("rlopt.agents.reward.uniform_like", uniform)

    return start


@each_kind
@pytest.mark.parametrize("index", range(S))
def test_each_seed_gets_what_it_gets_alone(kind, index, batches, share_noise, assert_same_state):
    stacked, lone = build(kind), build(kind, num_seeds=1)
    lone.load_state_dict(take_seed(stacked.state_dict(), index, S))
    mine = slice(index, index + 1)
    share_noise(slice(None))
    stacked_metrics = train(stacked, batches)
    share_noise(mine)
    lone_metrics = train(lone, batches, mine)

    assert_same_state(take_seed(stacked.state_dict(), index, S), lone.state_dict(), atol=1e-5, rtol=1e-4)
    for together, alone in zip(stacked_metrics, lone_metrics, strict=True):
        for name, value in together.items():
            torch.testing.assert_close(value[mine], alone[name], atol=1e-4, rtol=1e-4)


@each_kind
def test_a_seed_does_not_touch_the_others(kind, batches):
    def spoil(batch):
        spoilt = [value.clone() for value in batch]
        for value in spoilt:
            value[1] = 0.5 * value[1] + 0.25
        return Transition(*spoilt)

    plain, other = build(kind), build(kind)
    plain_metrics = train(plain, batches)
    other_metrics = train(other, [(spoil(batch), spoil(expert)) for batch, expert in batches])

    for index in range(S):
        first, second = (take_seed(agent.actor.state_dict(), index, S) for agent in (plain, other))
        assert all(torch.equal(value, second[name]) for name, value in first.items()) is (index != 1)
    for before, after in zip(plain_metrics, other_metrics, strict=True):
        for name, value in before.items():
            assert torch.equal(value[[0, 2]], after[name][[0, 2]]), name


@each_kind
def test_initial_weights_are_those_of_the_seed_alone(kind):
    stacked = build(kind)
    for index in range(S):
        lone = build(kind, num_seeds=1, seed=SEED + index)
        for network in ("actor", "reward.net") if isinstance(lone, IPMD | GAIL) else ("actor",):
            mine = take_seed(attrgetter(network)(stacked).state_dict(), index, S)
            for name, value in attrgetter(network)(lone).state_dict().items():
                assert torch.equal(value, mine[name]), name


def test_initial_critics_differ_and_are_those_of_the_seed_alone():
    stacked = build("sac").critic.state_dict()
    for index in range(S):
        lone = build("sac", num_seeds=1, seed=SEED + index).critic.state_dict()
        mine = take_seed(stacked, index, S)
        assert all(torch.equal(value, mine[name]) for name, value in lone.items())
    for value in stacked.values():  # [S*K, ...], and no two alike
        assert len(value.flatten(1).unique(dim=0)) == 2 * S


def test_take_seed_of_a_known_state():
    state = {
        "critic": torch.arange(12.0).reshape(6, 2),  # S * K = 6 rows
        "log_alpha": torch.tensor([0.0, 1.0, 2.0]),
        "optimizer": {"means": [torch.tensor([[0.0], [1.0], [2.0]])], "step": torch.tensor(5.0)},
        "standardizer.mean": torch.arange(3.0),
        "generator": torch.arange(9),
        "name": "sac",
    }
    taken = take_seed(state, 1, 3)
    assert taken["critic"].tolist() == [[4, 5], [6, 7]]
    assert taken["log_alpha"].tolist() == [1]
    assert taken["optimizer"]["means"][0].tolist() == [[1]]
    assert taken["optimizer"]["step"] == 5
    assert taken["standardizer.mean"].tolist() == [0, 1, 2]
    assert taken["generator"].tolist() == list(range(9))
    assert taken["name"] == "sac"
