"""Updates of a collector batch: the loop is the agent's own updates; on CUDA the captured graph agrees with it."""

from copy import deepcopy

import pytest
import torch

from rlopt.agents import IPMD, SAC
from rlopt.config import IPMDConfig, SACConfig
from rlopt.imitation import ExpertReplayBuffer
from rlopt.transition import Transition
from rlopt.updates import GraphedUpdates, make_updates, sample_experts, update_all

O, A, S, B = 3, 1, 2, 16  # noqa: E741  (the shape letters)


def packed(num_updates, device="cpu", seed=0):
    generator = torch.Generator().manual_seed(seed)
    observation = torch.randn(num_updates, S, B, O, generator=generator)
    return (
        Transition(
            observation,
            torch.rand(num_updates, S, B, A, generator=generator) * 2 - 1,
            torch.randn(num_updates, S, B, generator=generator),
            observation + 0.1,
            torch.zeros(num_updates, S, B),
        )
        .pack()
        .to(device)
    )


def make_agent(kind, device="cpu"):
    sizes = {"hidden_sizes": (16, 16), "batch_size": B}
    if kind == "sac":
        return SAC(SACConfig(**sizes), O, A, num_seeds=S, device=device)
    config = IPMDConfig(**sizes, expert_batch_size=B, inverse_eta=1.0, mirror_period=7)
    agent = IPMD(config, O, A, num_seeds=S, device=device)
    data = {
        "observation": torch.randn(50, O),
        "action": torch.rand(50, A) * 2 - 1,
        "next_observation": torch.randn(50, O),
    }
    agent.set_expert_buffer(ExpertReplayBuffer(data, device=device))
    return agent


def tensors(state):
    if isinstance(state, dict):
        return [t for value in state.values() for t in tensors(value)]
    if isinstance(state, list):
        return [t for value in state for t in tensors(value)]
    return [state]


def test_the_loop_is_one_update_after_the_other():
    looped, stepped = make_agent("sac"), make_agent("sac")
    batches = packed(4)
    make_updates(looped)(batches)
    for batch in batches:
        stepped.update(Transition.unpack(batch, O, A))
    for a, b in zip(tensors(looped.state_dict()), tensors(stepped.state_dict()), strict=True):
        assert torch.equal(a, b)


def test_every_update_of_ipmd_gets_expert_data_of_its_own():
    agent = make_agent("ipmd")
    experts = sample_experts(agent, 3)
    assert experts.shape == (3, S, B, 2 * O + A + 2)
    assert not torch.equal(experts[0], experts[1])
    assert sample_experts(make_agent("sac"), 3) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", ["sac", "ipmd"])
def test_captured_and_eager_training_agree(kind):
    eager, graphed = make_agent(kind, "cuda"), make_agent(kind, "cuda")
    graphed.load_state_dict(deepcopy(eager.state_dict()))
    run = GraphedUpdates(graphed)
    for call in range(50):  # 200 updates
        batches = packed(4, "cuda", seed=call)
        update_all(eager, batches, sample_experts(eager, 4))
        run(batches)
    assert run.usable
    for a, b in zip(tensors(eager.state_dict()), tensors(graphed.state_dict()), strict=True):
        if a.is_floating_point():
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
