"""Updates of a collector batch: the loop is the agent's own updates; on CUDA the captured graph agrees with it."""

import math
from copy import deepcopy

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

from rlopt.agents import IPMD, SAC
from rlopt.config import IPMDConfig, SACConfig
from rlopt.errors import UserError
from rlopt.imitation import ExpertReplayBuffer
from rlopt.transition import Transition
from rlopt.updates import GraphedUpdates, disagreement, make_updates, sample_experts, update_all

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
    generator = torch.Generator().manual_seed(1)
    data = {
        "observation": torch.randn(50, O, generator=generator),
        "action": torch.rand(50, A, generator=generator) * 2 - 1,
        "next_observation": torch.randn(50, O, generator=generator),
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


def test_disagreement_is_the_largest_share_of_a_tensors_way():
    before = {"a": torch.zeros(2), "b": [torch.ones(1)], "count": torch.tensor(1)}
    expected = {"a": torch.tensor([3.0, 4.0]), "b": [torch.ones(1)], "count": torch.tensor(2)}
    assert disagreement(before, expected, expected) == 0
    # of a way of 5, half a unit off; whole numbers are not compared
    actual = {"a": torch.tensor([3.0, 4.5]), "b": [torch.ones(1)], "count": torch.tensor(3)}
    assert disagreement(before, expected, actual) == pytest.approx(0.1)
    assert disagreement(before, expected, before) == 1
    moved = {**expected, "b": [torch.ones(1) + 1e-6]}
    assert disagreement(before, expected, moved) == float("inf")
    broken = {**expected, "a": torch.tensor([3.0, float("nan")])}
    assert math.isnan(disagreement(before, expected, broken))


@pytest.mark.parametrize("kind", ["sac", "ipmd"])
def test_compiled_and_plain_updates_agree(kind):
    # what dynamo traces and where it stops is the same for every backend; this one needs no C compiler
    torch.compiler.reset()
    plain, compiled = make_agent(kind), make_agent(kind)
    before = deepcopy(plain.state_dict())
    batches = packed(12)
    experts = sample_experts(plain, 12)
    update_all(plain, batches, experts)
    update_all(compiled, batches, experts, torch.compile(compiled.update, backend="aot_eager"))
    assert disagreement(before, plain.state_dict(), compiled.state_dict()) < 1e-4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", ["sac", "ipmd"])
def test_captured_and_eager_training_agree(kind, compiled, caplog):
    eager, graphed = make_agent(kind, "cuda"), make_agent(kind, "cuda")
    before = deepcopy(eager.state_dict())
    run = GraphedUpdates(graphed, compiled=compiled)
    for call in range(50):  # 200 updates
        batches = packed(4, "cuda", seed=call)
        update_all(eager, batches, sample_experts(eager, 4))
        run(batches)
    assert run.graph is not None
    assert [record for record in caplog.records if record.name == "rlopt"] == []  # it did not fall back
    off = disagreement(before, eager.state_dict(), graphed.state_dict())
    assert off < 0.01 if compiled else off < 1e-5


def test_a_machine_that_cannot_compile_is_told_so(monkeypatch):
    def broken(update):
        def fail(*batches):
            raise TorchDynamoException("no C++ compiler found.\n\nmany more lines")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    expected = r"^torch.compile does not work on this machine: no C\+\+ compiler found\. Leave out --compile\.$"
    with pytest.raises(UserError, match=expected):
        make_updates(make_agent("sac"), compiled=True)(packed(1))
