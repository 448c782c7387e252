"""A trained model as the start of a new run."""

import pytest
import torch

from rlopt.agents import BC, IPMD, SAC
from rlopt.agents.saving import save_agent
from rlopt.agents.warm_start import start_from
from rlopt.config import BCConfig, IPMDConfig, SACConfig
from rlopt.errors import UserError
from rlopt.transition import Transition

O, A, S = 3, 2, 2  # noqa: E741
SIZES = {"hidden_sizes": (8, 8)}


def observations():
    return 2 * torch.randn(S, 20, O, generator=torch.Generator().manual_seed(0)) + 1


def trained(kind, config, num_seeds=S):
    agent = kind(config, O, A, num_seeds=num_seeds, seed=5)
    generator = torch.Generator().manual_seed(1)
    agent.fit_standardizers(torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.5, 2.0, 0.01]))
    for _ in range(3):
        rows = [torch.randn(num_seeds, 8, size, generator=generator) for size in (O, A, O)]
        batch = Transition(rows[0], rows[1].tanh(), torch.zeros(num_seeds, 8), rows[2], torch.zeros(num_seeds, 8))
        agent.update(batch, batch)
    return agent


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("num_seeds", [1, S])
def test_ipmd_starts_as_the_cloned_policy(tmp_path, standardize, num_seeds):
    """Whatever either of them does to observations: it acts alike."""
    bc = trained(BC, BCConfig(**SIZES), num_seeds)
    save_agent(tmp_path / "bc.pt", bc, "Some-v0", range(num_seeds))
    ipmd = IPMD(IPMDConfig(standardize_observations=standardize, **SIZES), O, A, num_seeds=S, seed=1)
    ipmd.fit_standardizers(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([3.0, 4.0, 5.0]))
    critic = ipmd.sac.critic.state_dict()
    before = {name: value.clone() for name, value in critic.items()}
    start_from(ipmd, tmp_path / "bc.pt")
    expected = bc.policy(observations()[:num_seeds]).expand(S, -1, -1) if num_seeds == 1 else bc.policy(observations())
    given = ipmd.policy(observations()[:1].expand(S, -1, -1) if num_seeds == 1 else observations())
    torch.testing.assert_close(given, expected, atol=1e-5, rtol=1e-4)
    for actor in (ipmd.actor, ipmd.mirror_actor):
        assert all(torch.equal(a, b) for a, b in zip(actor.parameters(), ipmd.policy.actor.parameters(), strict=True))
    assert all(torch.equal(value, before[name]) for name, value in critic.items())  # which BC has none for


@pytest.mark.parametrize(("kind", "config"), [(SAC, SACConfig), (IPMD, IPMDConfig), (BC, BCConfig)])
@pytest.mark.parametrize("num_seeds", [1, S])
def test_the_same_method_goes_on_with_all_that_it_learned(tmp_path, assert_same_state, kind, config, num_seeds):
    model = trained(kind, config(**SIZES), num_seeds)
    save_agent(tmp_path / "model.pt", model, "Some-v0", range(num_seeds))
    agent = kind(config(**SIZES), O, A, num_seeds=S, seed=1)
    random = [generator.get_state() for generator in agent.generators]
    start_from(agent, tmp_path / "model.pt")
    whole = torch.cat([model.policy(observations()[:1])] * S) if num_seeds == 1 else model.policy(observations())
    seen = observations()[:1].expand(S, -1, -1) if num_seeds == 1 else observations()
    torch.testing.assert_close(agent.policy(seen), whole)
    if num_seeds == S:
        for optimizer, other in zip(agent.optimizers, model.optimizers, strict=True):
            assert_same_state(optimizer.state_dict(), other.state_dict())
    assert all(torch.equal(g.get_state(), before) for g, before in zip(agent.generators, random, strict=True))


@pytest.mark.parametrize(
    ("changes", "sizes", "seeds", "sentence"),
    [
        ({}, (O + 1, A), S, "is for observations of size 3"),
        ({}, (O, A), 3, "holds 2 seeds: use --num-seeds 2"),
        ({"hidden_sizes": (8,)}, (O, A), S, "hidden layers of widths"),
    ],
)
def test_what_does_not_fit(tmp_path, changes, sizes, seeds, sentence):
    save_agent(tmp_path / "bc.pt", trained(BC, BCConfig(**SIZES)), "Some-v0", range(S))
    with pytest.raises(UserError, match=sentence):
        start_from(IPMD(IPMDConfig(**SIZES | changes), *sizes, num_seeds=seeds), tmp_path / "bc.pt")
    with pytest.raises(UserError, match="Model not found"):
        start_from(SAC(SACConfig(), O, A), tmp_path / "other.pt")
