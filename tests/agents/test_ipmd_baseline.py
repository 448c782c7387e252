"""The baseline: on the environment's reward and without a mirror step, IPMD is SAC, bit for bit."""

import pytest
import torch

from rlopt.agents import IPMD, SAC, EnvironmentReward
from rlopt.config import IPMDConfig, SACConfig

UPDATES = 100
SETTINGS = {"hidden_sizes": (16, 16), "learning_rate": 1e-3}
# what is for learned rewards alone, as far as it is not refused beside the environment's
PARTS = {
    **{"reward_inputs": "ss", "value_regularizer": 2.0, "gradient_penalty": 3.0, "lipschitz_constant": 0.25},
    **{"absorbing_states": False, "min_observation_std": 0.1, "expert_batch_size": 8, "recent_ratio": 0.5},
}


def trained(agent, make_batch, updates=UPDATES):
    """The agent after updates on batches of its own size, drawn alike for all agents."""
    for step in range(updates):
        agent.update(make_batch(agent.num_seeds, 32, seed=step))
    return agent


def ipmd(num_seeds, **settings):
    config = IPMDConfig(**SETTINGS, **settings)
    return IPMD(config, 3, 1, num_seeds=num_seeds, seed=5, reward=EnvironmentReward())


@pytest.mark.parametrize("num_seeds", [1, 3])
@pytest.mark.parametrize("settings", [{}, PARTS])
def test_ipmd_on_environment_reward_is_sac(settings, num_seeds, make_batch, assert_same_state):
    sac = SAC(SACConfig(**SETTINGS), 3, 1, num_seeds=num_seeds, seed=5)
    untrained = {name: value.clone() for name, value in sac.actor.state_dict().items()}
    own = trained(ipmd(num_seeds, inverse_eta=0.0, **settings), make_batch)
    trained(sac, make_batch)

    # actor, critics, target critics, temperatures, optimisers and noise generator
    assert_same_state(own.sac.state_dict(), sac.state_dict())
    assert not any(torch.equal(value, sac.actor.state_dict()[name]) for name, value in untrained.items())
    assert (sac.log_alpha != 0).all()


def test_the_environment_reward_is_what_it_learns_from(make_batch):
    agents = [ipmd(1), ipmd(1)]
    for agent, offset in zip(agents, (0.0, 1.0), strict=True):
        for step in range(3):
            batch = make_batch(1, 32, seed=step)
            agent.update(batch._replace(reward=batch.reward + offset))
    first, second = (agent.sac.critic.state_dict() for agent in agents)
    assert not any(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("settings", [{"inverse_eta": 1.0}, {"entropy_backup": False}])
def test_what_is_not_the_rewards_ends_the_equality(settings, make_batch):
    plain, other = trained(ipmd(1), make_batch, 5), trained(ipmd(1, **settings), make_batch, 5)
    first, second = plain.actor.state_dict(), other.actor.state_dict()
    assert not any(torch.equal(first[name], second[name]) for name in first)
