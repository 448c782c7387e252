"""What a training takes at the least: figures by hand, refusals, and what this machine has."""

import logging
from types import SimpleNamespace

import pytest
import torch

from rlopt.agents import BC, IPMD, SAC
from rlopt.config import BCConfig, IPMDConfig, LoopConfig, SACConfig, TrainingConfig
from rlopt.errors import UserError
from rlopt.training import memory as module
from rlopt.training.memory import check_memory, memory, parts
from rlopt.training.replay import SeedReplayBuffer

SIZES = (3, 1)
SMALL = {"num_seeds": 2, "warmup_frames": 100, "frames": 1000, "num_envs": 4, "steps_per_batch": 8}


def sizes_of(agent, loop, episodes=0):
    return {part.what: part.size for _, part in parts(agent, loop, SIZES, episodes)}


def tensor_bytes(state):
    if isinstance(state, torch.Tensor):
        return state.numel() * 4 if state.is_floating_point() else 0
    values = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else []
    return sum(map(tensor_bytes, values))


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (SAC, SACConfig(hidden_sizes=(32, 16), num_critics=3)),
        (IPMD, IPMDConfig(hidden_sizes=(32, 16), reward_inputs="sas")),
        (BC, BCConfig(hidden_sizes=(32, 16))),
    ],
)
def test_networks_take_what_their_state_holds_and_their_gradients(kind, config):
    agent = kind(config, *SIZES, num_seeds=2)
    loop = LoopConfig(num_seeds=2) if kind is BC else TrainingConfig(**SMALL)
    estimated = sizes_of(config, loop)["Networks with their optimisers"]
    trained = sum(p.numel() * 4 for optimizer in agent.optimizers for p in optimizer.parameters)
    assert estimated == pytest.approx(tensor_bytes(agent.state_dict()) + trained, rel=0.02)


def test_the_replay_buffer_and_the_batches_by_hand():
    """32 frames a batch, half an update each: 16 updates of 2 seeds and 64 + 256 transitions of 2 * 3 + 1 + 2 numbers."""
    config, loop = IPMDConfig(batch_size=64), TrainingConfig(**SMALL, updates_per_frame=0.5)
    found = sizes_of(config, loop)
    assert found["What the 16 updates of a collector batch learn from"] == 16 * 2 * (64 + 256) * 9 * 4
    replay = SeedReplayBuffer(1032, *SIZES, num_seeds=2, num_envs=4)
    assert found["The replay buffer"] == sum(t.numel() * 4 for t in (replay.rows, replay.final_of))


IMPOSSIBLE = [
    (SACConfig(hidden_sizes=(10**6, 10**6)), {}, "--hidden-sizes"),
    (SACConfig(), {"updates_per_frame": 1e9}, "--updates-per-frame"),
    (SACConfig(), {"num_seeds": 10**9}, "--num-seeds"),
    (SACConfig(), {"num_envs": 10**9, "buffer_size": 10**11}, "--num-envs"),
    (SACConfig(), {"buffer_size": 10**12, "frames": 10**12}, "--buffer-size"),
    (SACConfig(batch_size=10**10), {}, "--batch-size"),
    (SACConfig(), {"eval_episodes": 10**9}, "--eval-episodes"),
]


@pytest.mark.parametrize(("agent", "changes", "flag"), IMPOSSIBLE)
def test_what_fits_no_machine_is_refused_with_its_size(agent, changes, flag, monkeypatch):
    monkeypatch.setattr(module, "memory", lambda device: (10**11, 2 * 10**11))
    with pytest.raises(UserError, match=r"would take [\d,]+ bytes \([\d,.]+ GB\), and this machine has ") as raised:
        check_memory(agent, TrainingConfig(**changes), SIZES, "cpu")
    assert flag in str(raised.value)
    assert "200,000,000,000 bytes (200.0 GB)" in str(raised.value)


def test_a_billion_demonstrations_are_refused(monkeypatch):
    monkeypatch.setattr(module, "memory", lambda device: (10**11, 2 * 10**11))
    with pytest.raises(UserError, match="--episodes"):
        check_memory(SACConfig(), TrainingConfig(), SIZES, "cpu", episodes=10**9)


def test_presets_fit_this_machine():
    for config in (SACConfig(), IPMDConfig()):
        check_memory(config, TrainingConfig(), (376, 17), "cpu")
    check_memory(BCConfig(), LoopConfig(), (376, 17), "cpu")


def test_a_buffer_above_what_is_free_is_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(module, "memory", lambda device: (10**7, 10**10))
    loop = TrainingConfig(frames=10**6, num_seeds=1)
    with caplog.at_level(logging.WARNING):
        check_memory(SACConfig(hidden_sizes=(8,)), loop, SIZES, "cpu")
    (line,) = caplog.messages
    assert "The replay buffer will take up to 28,0" in line
    assert "10,000,000 bytes (0.0 GB) of memory are free: lower --buffer-size" in line


def test_where_memory_is_not_known_nothing_is_checked(monkeypatch):
    monkeypatch.setattr(module, "memory", lambda device: (None, None))
    check_memory(SACConfig(hidden_sizes=(10**6, 10**6)), TrainingConfig(), SIZES, "cpu")


def test_a_gpus_memory_is_the_gpus_and_the_environments_are_not_there(monkeypatch):
    small, large = (10**6, 10**6), (10**15, 10**15)
    monkeypatch.setattr(module, "memory", lambda device: small if device.type == "cuda" else large)
    with pytest.raises(UserError, match="the GPU has 1,000,000 bytes"):
        check_memory(SACConfig(), TrainingConfig(), SIZES, "cuda")
    monkeypatch.setattr(module, "memory", lambda device: large if device.type == "cuda" else small)
    with pytest.raises(UserError, match=r"environments .* this machine has 1,000,000 bytes"):
        check_memory(SACConfig(), TrainingConfig(num_envs=1000), SIZES, "cuda")


def test_what_this_machine_has_is_plausible():
    free, total = memory(torch.device("cpu"))
    assert 10**8 < free <= total < 10**14


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_has_what_its_control_groups_allow(version, tmp_path, monkeypatch):
    own, root = tmp_path / "own", tmp_path / "cgroup"
    folder = root / ("memory" if version == 1 else "") / "job" / "step"
    folder.mkdir(parents=True)
    names = ("memory.usage_in_bytes", "memory.limit_in_bytes") if version == 1 else ("memory.current", "memory.max")
    own.write_text("5:cpu,cpuacct:/other\n4:memory:/job/step\n" if version == 1 else "0::/job/step\n")
    for place, used, limit in ((folder, 400, "max" if version == 2 else 2**63), (folder.parent, 600, 1000)):
        for name, value in zip(names, (used, limit), strict=True):
            (place / name).write_text(f"{value}\n")
    groups = list(module._cgroups(root, own))
    assert (600, 1000) in groups
    monkeypatch.setattr(module, "_cgroups", lambda: groups)
    assert memory(torch.device("cpu")) == (400, 1000)


def test_without_proc_the_system_is_asked(monkeypatch):
    def unreadable(self):
        raise OSError

    monkeypatch.setattr(module.Path, "read_text", unreadable)
    fake = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(module, "os", SimpleNamespace(sysconf=fake.__getitem__))
    assert memory(torch.device("cpu")) == (None, 4_096_000)
    monkeypatch.setattr(module, "os", SimpleNamespace())  # Windows
    assert memory(torch.device("cpu")) == (None, None)
