"""The device that is chosen, and how a training leaves the processor."""

import logging

import numpy as np
import pytest
import torch

from rlopt.agents import SAC
from rlopt.config import SACConfig
from rlopt.errors import UserError
from rlopt.training import train_online
from rlopt.training.devices import arithmetic_set_up, choose_device

from .shared import ConstantEvaluator, S, sac, settings, spy_on_updates


def test_cpu_is_taken_without_a_word(caplog):
    assert choose_device("cpu") == torch.device("cpu")
    assert caplog.records == []


def test_another_default_type_is_refused():
    agent = sac()
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(UserError, match=r"default type is torch.float64.*set_default_dtype\(torch.float32\)"):
            train_online(agent, "Pendulum-v1", settings())
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_without_cuda_there_is_one_warning_line(name, caplog, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with caplog.at_level(logging.INFO):
        assert choose_device(name) == torch.device("cpu")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "CUDA" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_with_cuda_a_device_must_exist(caplog, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UserError, match=r"cuda:7 does not exist.*2"):
        choose_device("cuda:7")
    assert caplog.records == []


@pytest.mark.parametrize("name", ["banana", "xpu", ""])
def test_what_is_no_device_is_refused(name):
    with pytest.raises(UserError, match=f"--device '?{name}.*use cpu, cuda"):
        choose_device(name)


def test_training_gives_the_processor_back(counter_env):
    seen = []
    agent = sac()
    spy_on_updates(agent, lambda number, info: seen.append(np.float32(1e-40) * np.float32(1) == 0) or info)
    threads = torch.get_num_threads()
    train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator())
    assert all(seen)  # denormals count as zero while it trains
    assert np.float32(1e-40) * np.float32(1) != 0
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("precision", "allowed"), [("tf32", True), ("float32", False)])
def test_tf32_products_are_allowed_while_an_agent_that_asks_for_them_trains(counter_env, precision, allowed):
    seen = []
    config = SACConfig(hidden_sizes=(8,), batch_size=10, matmul_precision=precision)
    agent = SAC(config, 3, 2, num_seeds=S)
    spy_on_updates(agent, lambda number, info: seen.append(torch.backends.cuda.matmul.allow_tf32) or info)
    train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator())
    assert set(seen) == {allowed}
    assert not torch.backends.cuda.matmul.allow_tf32


def test_no_operation_has_threads_of_its_own_while_training():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    with arithmetic_set_up():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
