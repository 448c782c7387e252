"""Groups of seeds: they do to the whole agent what one update of all seeds does, with any number of threads."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from rlopt.agents.agent import Agent
from rlopt.agents.gail import GAIL
from rlopt.agents.ipmd import IPMD
from rlopt.agents.iqlearn import IQLearn
from rlopt.agents.sac import SAC
from rlopt.agents.sqil import SQIL
from rlopt.config import IPMDConfig, SACConfig
from rlopt.cores import available_workers
from rlopt.peer_config import GAILConfig, IQLearnConfig, SQILConfig
from rlopt.training.devices import arithmetic_set_up
from rlopt.training.seed_groups import SeedGroups, group_sizes, share_out
from rlopt.training.update_runner import UpdateRunner, disagreement, update_all

S, B, OBS, A, U = 5, 16, 3, 2, 6
IPMD_SETTINGS = {
    "expert_ratio": 0.5,
    "inverse_eta": 0.5,
    "mirror_period": 3,
    "standardize_observations": True,
    "average_reward": True,
}


def make(kind: str) -> Agent:
    sizes = {"hidden_sizes": (16, 16), "batch_size": B}
    if kind == "sac":
        agent: Agent = SAC(SACConfig(**sizes), OBS, A, num_seeds=S)
    elif kind == "ipmd":
        agent = IPMD(IPMDConfig(**sizes, expert_batch_size=B, **IPMD_SETTINGS), OBS, A, num_seeds=S)
    elif kind == "sqil":
        agent = SQIL(SQILConfig(**sizes), OBS, A, num_seeds=S)
    else:
        types = (GAIL, GAILConfig) if kind == "gail" else (IQLearn, IQLearnConfig)
        agent = types[0](types[1](**sizes, expert_batch_size=B), OBS, A, num_seeds=S)
    agent.fit_standardizers(torch.arange(OBS).float(), torch.arange(OBS) + 1.0)
    return agent


def packed(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    batches = torch.rand(U, S, B, 2 * OBS + A + 2, generator=generator)
    batches[..., -1] = (batches[..., -1] > 0.9).float()  # terminated
    return batches


def experts(agent: Agent) -> torch.Tensor | None:
    return packed(1) if agent.expert_batch_size else None


@pytest.mark.parametrize("kind", ["sac", "ipmd", "gail", "iqlearn", "sqil"])
@pytest.mark.parametrize("sizes", [[1] * S, [3, 2], [2, 2, 1]])
def test_groups_do_what_one_update_of_all_seeds_does(kind, sizes):
    agent = make(kind)
    alone = make(kind)
    before = deepcopy(agent.state_dict())
    groups = SeedGroups(agent, sizes)
    agent.optimizers[0].scale_learning_rate(0.5)
    alone.optimizers[0].scale_learning_rate(0.5)
    for workers in (1, 3):  # in turn, then at once
        groups.start(workers)
        metrics = groups.update_all(packed(), experts(agent), [part.update for part in groups.agents])
        expected = update_all(alone, packed(), experts(alone))
    groups.close()
    assert disagreement(before, alone.state_dict(), agent.state_dict()) < 0.002
    for name, value in expected.items():
        torch.testing.assert_close(metrics[name], value, rtol=1e-3, atol=1e-4)
    for generator, other in zip(agent.generators, alone.generators, strict=True):
        assert torch.equal(generator.get_state(), other.get_state())


def test_groups_work_on_the_agents_own_memory():
    agent = make("ipmd")
    groups = SeedGroups(agent, [2, 3])
    first, last = groups.agents
    assert (first.num_seeds, last.num_seeds) == (2, 3)
    assert first.actor.mlp.layers[0].weight.data_ptr() == agent.actor.mlp.layers[0].weight.data_ptr()
    last.sac.critic.mlp.layers[1].bias.data.fill_(7.0)
    critics = agent.config.num_critics
    assert (agent.sac.critic.mlp.layers[1].bias[2 * critics :] == 7).all()
    assert not (agent.sac.critic.mlp.layers[1].bias[: 2 * critics] == 7).any()
    agent.load_state_dict(make("ipmd").state_dict())  # in place: the groups see it
    assert torch.equal(last.sac.log_alpha, agent.sac.log_alpha[2:])


def test_what_all_seeds_share_is_the_agents():
    agent = make("sac")
    groups = SeedGroups(agent, [1] * S)
    agent.fit_standardizers(torch.ones(OBS), torch.ones(OBS))
    for times in (1, 2):
        groups.update_all(packed(), None, [part.update for part in groups.agents])
        assert agent.critic_optimizer.step == times * U


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ((5, 256, 256, 1), [1] * 5),  # wide: each alone, whatever the machine has
        ((5, 256, 256, 8), [1] * 5),
        ((5, 64, 64, 2), []),  # small and few: one update of all
        ((10, 64, 64, 1), [10]),  # many: stacked, in as many groups as workers
        ((9, 64, 64, 2), [5, 4]),
        ((10, 64, 64, 64), [2] * 5),  # and never alone
        ((1, 256, 256, 2), []),
    ],
)
def test_sizes_of_groups(setup, expected):
    assert group_sizes(*setup) == expected


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ((4, [1, 1], 1), [[(0, 0, 4), (1, 0, 4)]]),
        ((4, [1, 1], 2), [[(0, 0, 4)], [(1, 0, 4)]]),
        ((4, [1, 1, 1], 2), [[(0, 0, 4), (1, 2, 4)], [(1, 0, 2), (2, 0, 4)]]),
        ((4, [1] * 5, 2), [[(0, 0, 4), (1, 0, 4), (2, 2, 4)], [(2, 0, 2), (3, 0, 4), (4, 0, 4)]]),
        ((1, [1, 1, 1], 2), [[(0, 0, 1)], [(1, 0, 1), (2, 0, 1)]]),
        ((8, [3, 2], 2), [[(0, 1, 8)], [(0, 0, 1), (1, 0, 8)]]),
    ],
)
def test_shares_of_workers(setup, expected):
    assert share_out(*setup) == expected


@pytest.mark.parametrize("num_updates", [1, 7, 64])
@pytest.mark.parametrize("groups", [1, 2, 5, 10, 13])
@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_shares_are_complete_even_and_end(num_updates, groups, workers):
    plan = share_out(num_updates, [1] * groups, min(workers, groups))
    done = sorted((group, update) for pieces in plan for group, begin, end in pieces for update in range(begin, end))
    assert done == [(group, update) for group in range(groups) for update in range(num_updates)]
    lengths = [sum(end - begin for _, begin, end in pieces) for pieces in plan]
    assert max(lengths) - min(lengths) <= 1 + (num_updates == 1)
    for pieces in plan:  # what another worker waits for comes first
        assert all(end == num_updates for _, _, end in pieces[1:])
        assert all(begin == 0 for _, begin, _ in pieces[:-1])


def test_workers_are_as_many_as_cores_or_as_the_user_says(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert available_workers() == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert available_workers() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert available_workers() == 4


@pytest.mark.parametrize(
    "kind", ["sac", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("ipmd", "gail", "iqlearn", "sqil"))]
)
def test_one_compilation_serves_groups_of_any_size(kind, monkeypatch):
    backend = CompileCounterWithBackend("eager")  # needs no C++ compiler
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    monkeypatch.setattr("rlopt.training.update_runner._CPU_OPTIONS", None)
    monkeypatch.setattr("rlopt.training.seed_groups._MANY", 2)
    agent = make(kind)
    run = UpdateRunner(agent, compiled=True, workers=2)
    with arithmetic_set_up():
        run(packed(), experts(agent))
        run(packed(1), experts(agent))
    run.close()
    assert len(run.updates) == 2
    assert backend.frame_count == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sac", "ipmd"])
@pytest.mark.parametrize(("width", "batch"), [(64, 64), (256, 64)])
def test_the_results_are_the_same_with_any_number_of_workers(kind, width, batch, monkeypatch):
    monkeypatch.setattr("rlopt.training.seed_groups._WIDE", 1_000_000)
    monkeypatch.setattr("rlopt.training.seed_groups._MANY", 2)
    states = []
    for workers in (1, 2, 3):
        config = {"hidden_sizes": (width, width), "batch_size": batch}
        if kind == "sac":
            agent: Agent = SAC(SACConfig(**config), OBS, A, num_seeds=S)
        else:
            agent = IPMD(IPMDConfig(**config, expert_batch_size=batch), OBS, A, num_seeds=S)
        run = UpdateRunner(agent, compiled=True, workers=workers)
        for seed in range(3):
            generator = torch.Generator().manual_seed(seed)
            sides = torch.rand(2, 20, S, batch, 2 * OBS + A + 2, generator=generator)
            sides[..., -1] = 0
            run(sides[0], sides[1] if kind == "ipmd" else None)
        run.close()
        assert len(run.updates) == (5 if width == 256 else min(workers, 2))
        states.append(agent.state_dict())
    for state in states[1:]:
        assert disagreement(states[0], states[0], state) == 0
