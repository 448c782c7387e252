"""SAC against TorchRL's SACLoss: the same parameters and the same noise give the same losses and gradients."""

import pytest
import torch
from tensordict import TensorDict
from tensordict.nn import InteractionType, TensorDictModule, TensorDictSequential
from torch import nn
from torchrl.data import Bounded
from torchrl.modules import ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import SACLoss, ValueEstimators

from rlopt import losses
from rlopt.agents import SAC
from rlopt.config import SACConfig

OBSERVATION_SIZE, ACTION_SIZE, BATCH = 3, 2, 16
GAMMA, ALPHA = 0.97, 0.3

pytestmark = pytest.mark.filterwarnings("ignore:No target network updater")  # there is one step, and no update


class GaussianHead(nn.Module):
    """The end of the policy, written down a second time: mean, and standard deviation within smooth bounds."""

    def forward(self, x):
        mean, raw = x.chunk(2, dim=-1)
        share = (torch.tanh(raw) + 1) / 2
        return mean, torch.exp(-5 + share * 7)  # between e^-5 and e^2


class CriticHead(nn.Module):
    """A critic of observation and action on top of an ordinary network of both."""

    def __init__(self, mlp):
        super().__init__()
        self.mlp = mlp

    def forward(self, observation, action):
        return self.mlp(torch.cat([observation, action], dim=-1))


def plain_mlp(stacked, index):
    """Network `index` of a StackedMLP as an ordinary `nn.Sequential`."""
    modules = []
    for layer in stacked.layers:
        linear = nn.Linear(*layer.weight.shape[1:])
        linear.weight.data = layer.weight.data[index].T.clone()
        linear.bias.data = layer.bias.data[index, 0].clone()
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def plain_critics(ensemble):
    return [ValueOperator(CriticHead(plain_mlp(ensemble.mlp, k)), ["observation", "action"]) for k in range(2)]


def sac_loss(agent):
    """TorchRL's loss module with copies of the agent's parameters."""
    network = nn.Sequential(plain_mlp(agent.actor.mlp, 0), GaussianHead())
    actor = ProbabilisticActor(
        TensorDictSequential(TensorDictModule(network, ["observation"], ["loc", "scale"])),
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        return_log_prob=True,
        default_interaction_type=InteractionType.RANDOM,
        spec=Bounded(-1, 1, shape=(ACTION_SIZE,)),
    )
    # the module starts its target critics as copies of the critics: it is built on the targets, then gets the critics
    module = SACLoss(actor, plain_critics(agent.target_critic), loss_function="l2", alpha_init=ALPHA)
    module.make_value_estimator(ValueEstimators.TD0, gamma=GAMMA)
    module.qvalue_network_params.data.update_(TensorDict.from_modules(*plain_critics(agent.critic)).data)
    return module


def gradients_of(loss, parameters):
    """Gradients of TorchRL's parameters, layer by layer: weight, bias."""
    items = sorted(parameters.items(True, True), key=lambda item: (item[0][-2], item[0][-1] == "bias"))
    return torch.autograd.grad(loss, [value for _, value in items])


def recorded_gradients(optimizer, network):
    """A list that gets, in place of the optimiser's next step, the same of a StackedMLP's layers: weights `[N, out, in]`
    as nn.Linear has them, biases `[N, out]`; the temperature's gradient comes behind them."""
    gradients = []

    def record(loss):
        found = torch.autograd.grad(loss.sum(), optimizer.parameters)
        layers = len(network.layers)
        for weight, bias in zip(found[: 2 * layers : 2], found[1 : 2 * layers : 2], strict=True):
            gradients.extend([weight.mT, bias.squeeze(1)])
        gradients.extend(found[2 * layers :])

    optimizer.minimize = record
    return gradients


def as_tensordict(batch):
    """TorchRL's form; of the rows that go on every other one is truncated, which must not change a thing."""
    terminated = batch.terminated[0].bool()
    truncated = ~terminated & (torch.arange(BATCH) % 2 == 0)
    assert terminated.any()
    assert truncated.any()
    flags = {"terminated": terminated, "truncated": truncated, "done": terminated | truncated}
    following = {
        "observation": batch.next_observation[0],
        "reward": batch.reward[0].unsqueeze(-1),
        **{name: flag.unsqueeze(-1) for name, flag in flags.items()},
    }
    data = {"observation": batch.observation[0], "action": batch.action[0], "next": following}
    return TensorDict(data, batch_size=[BATCH])


@pytest.fixture
def agent():
    config = SACConfig(hidden_sizes=(16, 16), gamma=GAMMA, initial_alpha=ALPHA, learning_rate=1e-2)
    agent = SAC(config, OBSERVATION_SIZE, ACTION_SIZE, seed=0)
    # target critics unlike the critics, so that one cannot pass for the other
    agent.target_critic.load_state_dict(SAC(config, OBSERVATION_SIZE, ACTION_SIZE, seed=1).critic.state_dict())
    return agent


@pytest.fixture
def batch(make_batch):
    return make_batch(1, BATCH, OBSERVATION_SIZE, ACTION_SIZE)


@pytest.fixture(autouse=True)
def noise(monkeypatch):
    """Both sides' standard normal noise is this one tensor."""
    noise = torch.randn(1, BATCH, ACTION_SIZE, generator=torch.Generator().manual_seed(7))
    monkeypatch.setattr(
        "torch.distributions.normal._standard_normal", lambda shape, dtype, device: noise.view(shape).to(dtype)
    )
    return noise


def test_critic_loss_and_gradient(agent, batch, noise):
    module = sac_loss(agent)
    expected, _ = module.qvalue_v2_loss(as_tensordict(batch))
    expected_gradients = gradients_of(expected, module.qvalue_network_params)  # [K, out, in], [K, out], ...

    gradients = recorded_gradients(agent.critic_optimizer, agent.critic.mlp)
    metrics = agent.update_critic(batch, noise)
    torch.testing.assert_close(metrics["critic_loss"], expected.detach().view(1))
    torch.testing.assert_close(gradients, list(expected_gradients), atol=1e-6, rtol=1e-4)


def test_policy_and_temperature_loss_and_gradient(agent, batch, noise, monkeypatch):
    temperature_losses = []
    temperature_loss = losses.temperature_loss

    def spy(*args):
        temperature_losses.append(temperature_loss(*args))
        return temperature_losses[-1]

    monkeypatch.setattr(losses, "temperature_loss", spy)
    module = sac_loss(agent)
    expected = module(as_tensordict(batch))
    expected_gradients = gradients_of(expected["loss_actor"], module.actor_network_params)
    (temperature_gradient,) = torch.autograd.grad(expected["loss_alpha"], module.log_alpha)

    gradients = recorded_gradients(agent.actor_optimizer, agent.actor.mlp)
    metrics = agent.update_actor(batch.observation, noise)
    torch.testing.assert_close(metrics["policy_loss"], expected["loss_actor"].detach().view(1))
    torch.testing.assert_close(metrics["entropy"], expected["entropy"].view(1))
    torch.testing.assert_close(temperature_losses[0].detach(), expected["loss_alpha"].detach().view(1))
    *gradients, own_temperature_gradient = (gradient.squeeze(0) for gradient in gradients)
    torch.testing.assert_close(own_temperature_gradient, temperature_gradient)
    torch.testing.assert_close(gradients, list(expected_gradients), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("name", "source", "tau"), [("target_critic", "critic", 0.005), ("ema_actor", "actor", 0.02)])
def test_averages_follow_what_was_learned(name, source, tau, batch):
    config = SACConfig(hidden_sizes=(16, 16), tau=0.005, actor_ema_tau=0.02, learning_rate=1e-2)
    agent = SAC(config, OBSERVATION_SIZE, ACTION_SIZE)
    before = [parameter.clone() for parameter in getattr(agent, name).parameters()]
    agent.update(batch)
    for old, average, new in zip(
        before, getattr(agent, name).parameters(), getattr(agent, source).parameters(), strict=True
    ):
        assert not torch.equal(old, new)
        torch.testing.assert_close(average, (1 - tau) * old + tau * new)


def test_the_policy_is_the_ema_actor_and_with_a_tau_of_one_the_actor(agent, batch):
    agent.update(batch)
    mean, _ = agent.ema_actor(batch.observation)
    assert torch.equal(agent.policy(batch.observation), torch.tanh(mean))
    whole = SAC(SACConfig(hidden_sizes=(16, 16), actor_ema_tau=1.0), OBSERVATION_SIZE, ACTION_SIZE)
    whole.update(batch)
    mean, _ = whole.actor(batch.observation)
    assert torch.equal(whole.policy(batch.observation), torch.tanh(mean))
