"""Updates of a later stage are compiled beside an earlier one."""

import subprocess
import time

import pytest
from torch._dynamo.utils import counters

from rlopt.config import IPMDConfig, TrainingConfig
from rlopt.training import compile_ahead
from rlopt.training.compile_ahead import Later, compile_updates_of, compiled_ahead

SMALL = IPMDConfig(hidden_sizes=(8, 8), batch_size=8, expert_batch_size=8)


def later(**settings):
    settings = {"frames": 200, "num_seeds": 2, "warmup_frames": 100, "compile": True, **settings}
    return Later("ipmd", SMALL, TrainingConfig(**settings), (3, 1))


@pytest.fixture
def processes(monkeypatch):
    """The processes that are started."""
    started = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            started.append(self)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    return started


@pytest.mark.parametrize(("cores", "compiled"), [(1, True), (2, False)])
def test_no_process_without_a_second_core_or_without_compiled_updates(processes, monkeypatch, cores, compiled):
    monkeypatch.setattr(compile_ahead, "available_workers", lambda: cores)
    with compiled_ahead([later(compile=compiled)]):
        assert processes == []


def test_the_process_ends_with_the_block_whatever_becomes_of_it(processes, monkeypatch, capfd):
    monkeypatch.setattr(compile_ahead, "available_workers", lambda: 2)
    began = time.monotonic()
    with pytest.raises(KeyError), compiled_ahead([later()._replace(method="no such method")]):
        raise KeyError
    (process,) = processes
    assert process.returncode is not None
    assert time.monotonic() - began < 20
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_what_was_compiled_ahead_is_found(processes, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compile_ahead, "available_workers", lambda: 2)
    with compiled_ahead([later()]):
        (process,) = processes
        assert process.wait(timeout=300) == 0
    counters.clear()
    assert compile_updates_of(later())
    found = counters["inductor"]["fxgraph_cache_hit"] + counters["aot_autograd"]["autograd_cache_hit"]
    missed = counters["inductor"]["fxgraph_cache_miss"] + counters["aot_autograd"]["autograd_cache_miss"]
    assert found > 0
    assert missed == 0
