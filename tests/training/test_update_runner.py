"""Updates of a collector batch: the loop is the agent's own updates; on CUDA the captured graph agrees with it."""

import math
import re
import shutil
import threading
from copy import deepcopy
from functools import partial
from warnings import warn

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException
from torch._dynamo.testing import CompileCounterWithBackend
from torch._inductor.codecache import CppPythonBindingsCodeCache

from rlopt.training.update_runner import _CUDA_OPTIONS, UpdateRunner, disagreement, update_all
from rlopt.transition import Transition

from .shared_updates import KINDS, PEERS, A, B, O, S, make_agent, packed, sample_experts, tensors


def test_the_loop_is_one_update_after_the_other():
    looped, stepped = make_agent("sac"), make_agent("sac")
    batches = packed(4)
    UpdateRunner(looped)(batches)
    for batch in batches:
        stepped.update(Transition.unpack(batch, O))
    for a, b in zip(tensors(looped.state_dict()), tensors(stepped.state_dict()), strict=True):
        assert torch.equal(a, b)


def test_every_update_of_ipmd_gets_expert_data_of_its_own():
    agent, seen = make_agent("ipmd"), []
    experts = sample_experts(agent, 3)
    assert experts.shape == (3, S, B, 2 * O + A + 2)
    assert not torch.equal(experts[0], experts[1])
    assert make_agent("sac").expert_batch_size == 0
    update = agent.update
    agent.update = lambda batch, expert: seen.append(expert.pack()) or update(batch, expert)
    UpdateRunner(agent)(packed(3), experts)
    assert torch.equal(torch.stack(seen), experts)


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


def train(agent, **how):
    """20 updates, and how they were made."""
    run = UpdateRunner(agent, **how)
    for call in range(5):
        run(packed(4, agent.device, seed=call), sample_experts(agent, 4))
    return run


def warnings(caplog):
    return [record.message for record in caplog.records if record.name == "rlopt"]


# "sac" is one piece in test_seed_groups.py; "ipmd" and "frozen" do what "walking" does, and less
@pytest.mark.parametrize(
    "kind", ["walking", *PEERS, *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("sac", "ipmd", "frozen"))]
)
def test_an_update_is_one_piece_of_code_to_the_compiler(kind, monkeypatch, caplog):
    # every break in it would cost a tenth of a small update; this backend needs no C++ compiler
    backend = CompileCounterWithBackend("eager")
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    monkeypatch.setattr("rlopt.training.update_runner._CPU_OPTIONS", None)
    plain, compiled = make_agent(kind), make_agent(kind)
    before = deepcopy(plain.state_dict())
    train(plain)
    assert train(compiled, compiled=True).compiled
    assert warnings(caplog) == []
    # on a frozen reward, or a peer's, an average that hardly moves is off by more, 0.0002 of its way: rounding
    assert disagreement(before, plain.state_dict(), compiled.state_dict()) < (
        1e-3 if kind in ("frozen", *PEERS) else 5e-4
    )
    assert backend.frame_count == 1


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("kind", ["sac", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("ipmd", *PEERS))])
def test_compiled_and_plain_training_agree(kind, caplog):
    plain, compiled = make_agent(kind), make_agent(kind)
    before = deepcopy(plain.state_dict())
    train(plain)
    run = train(compiled, compiled=True)
    assert run.compiled
    assert warnings(caplog) == []
    assert disagreement(before, plain.state_dict(), compiled.state_dict()) < 0.01

    at_rest = deepcopy(compiled.actor.state_dict())
    for optimizer in compiled.optimizers:  # it does not go on with the rate that it was compiled with
        optimizer.scale_learning_rate(0.0)
    run(packed(4), sample_experts(compiled, 4))
    assert all(torch.equal(value, compiled.actor.state_dict()[name]) for name, value in at_rest.items())


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_the_compiler_is_prepared_before_there_is_anything_to_update(monkeypatch):
    """Whatever fails there is silent: this PyTorch has what is called, and it works."""
    made, load = [], CppPythonBindingsCodeCache.load_pybinding
    monkeypatch.setattr(CppPythonBindingsCodeCache, "load_pybinding", lambda *given: made.append(load(*given)))
    UpdateRunner(make_agent("sac"), compiled=True)
    for thread in threading.enumerate():
        if thread.name == "compiler":
            thread.join()
    assert made
    for kernel in made:
        kernel(torch.zeros(1))


@pytest.mark.parametrize("kind", ["sac", "ipmd", "frozen"])
def test_looking_for_the_quickest_way_leaves_no_trace(kind, monkeypatch, assert_same_state):
    monkeypatch.setattr(torch, "compile", lambda update, **options: lambda *batches: update(*batches))
    plain, checked = make_agent(kind), make_agent(kind)
    train(plain)
    assert train(checked, compiled=True).compiled
    assert_same_state(plain.state_dict(), checked.state_dict())


def test_the_compilers_advice_on_precision_is_not_shown(monkeypatch, recwarn):
    advice = ["TensorFloat32 tensor cores for float32 matrix multiplication available but not enabled."]

    def advising(update, **options):
        def advise(*batches):
            while advice:  # as it compiles, at the first call
                warn(advice.pop(), stacklevel=1)
            return update(*batches)

        return advise

    monkeypatch.setattr(torch, "compile", advising)
    UpdateRunner(make_agent("sac"), compiled=True)(packed(4))
    assert not advice
    assert list(recwarn) == []


def test_updates_that_do_something_else_are_not_used(monkeypatch, caplog, assert_same_state):
    plain, checked = make_agent("sac"), make_agent("sac")
    monkeypatch.setattr(
        torch, "compile", lambda update, **options: lambda batch: update(batch.with_reward(batch.reward + 1))
    )
    train(plain)
    assert not train(checked, compiled=True).compiled
    assert_same_state(plain.state_dict(), checked.state_dict())
    (message,) = warnings(caplog)
    assert re.fullmatch(r"Compiled updates and plain ones disagree \(by \d+%\): the plain ones are used\.", message)


def test_a_machine_that_cannot_compile_goes_on_without(monkeypatch, caplog, assert_same_state):
    def broken(update, **options):
        def fail(*batches):
            raise TorchDynamoException("no C++ compiler found.\n\nmany more lines")

        return fail

    plain, checked = make_agent("sac"), make_agent("sac")
    monkeypatch.setattr(torch, "compile", broken)
    train(plain)
    train(checked, compiled=True)
    assert_same_state(plain.state_dict(), checked.state_dict())
    assert warnings(caplog) == [
        "torch.compile does not work on this machine: no C++ compiler found. Training goes on without it."
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_is_loaded_in_place(kind):
    # a captured graph goes on reading and writing the memory that the agent had when it was captured
    agent = make_agent(kind)

    def addresses():
        return [value.data_ptr() for value in tensors(agent.state_dict()) if value.is_floating_point()]

    before = addresses()
    agent.load_state_dict(deepcopy(agent.state_dict()))
    assert addresses() == before


class PretendedGraph:
    """Stands where a captured loop stands, on the CPU; capturing and, if it is `wrong`, replaying do something else."""

    wrong = False

    def __init__(self, agent, packed, experts, update):
        self.agent, self.shape, self.update = agent, packed.shape, update
        self.replays = 0
        update_all(agent, packed[:2], None if experts is None else experts[:2], update)

    def takes(self, packed):
        return packed.shape == self.shape

    def __call__(self, packed, experts):
        self.replays += 1
        return update_all(self.agent, packed * 0.5 if self.wrong else packed, experts, self.update)


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize("kind", ["sac", "ipmd", "frozen"])
def test_a_graph_is_used_if_it_does_what_the_loop_does(kind, wrong, monkeypatch, caplog, assert_same_state):
    monkeypatch.setattr("rlopt.training.update_runner.CapturedLoop", PretendedGraph)
    monkeypatch.setattr(PretendedGraph, "wrong", wrong)
    plain, graphed = make_agent(kind), make_agent(kind)
    run = UpdateRunner(graphed)
    run.cuda_graph = run.searching = True  # as on a GPU
    train(plain)
    for call in range(5):
        run(packed(4, seed=call), sample_experts(graphed, 4))
    assert_same_state(plain.state_dict(), graphed.state_dict())
    if wrong:
        assert run.graph is None
        assert re.fullmatch(r"The CUDA graph and the loop disagree \(by .+%\): the loop is used\.", *warnings(caplog))
    else:
        assert run.graph.replays == 5  # at the comparison, and at every call but the first
        assert warnings(caplog) == []
        run(packed(3), sample_experts(graphed, 3))  # another number of updates is no case for the graph
        assert run.graph.replays == 5


def test_this_pytorch_knows_the_options_for_a_gpu():
    torch.compile(lambda x: x, options=_CUDA_OPTIONS)  # raises for a name that it does not know


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("num_seeds", [1, S])  # the compiler makes matrices of a single seed's stacks
@pytest.mark.parametrize("kind", KINDS)
def test_captured_and_eager_training_agree(kind, num_seeds, compiled, caplog):
    eager, graphed = (make_agent(kind, "cuda", num_seeds) for _ in range(2))
    before = deepcopy(eager.state_dict())
    run = UpdateRunner(graphed, compiled=compiled)
    for call in range(50):  # 200 updates
        batches = packed(4, "cuda", call, num_seeds)
        for optimizer in (*eager.optimizers, *graphed.optimizers):
            optimizer.scale_learning_rate(1 - call / 50)
        update_all(eager, batches, sample_experts(eager, 4))
        run(batches, sample_experts(graphed, 4))
    assert run.graph is not None
    assert warnings(caplog) == []  # it did not fall back
    off = disagreement(before, eager.state_dict(), graphed.state_dict())
    assert off < 0.01 if compiled else off < 1e-5
