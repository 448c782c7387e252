"""Copies of an environment in processes: the numbers of one process, and one sentence for what goes wrong there."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from multiprocessing import active_children, parent_process
from types import ModuleType

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest

from rlopt.envs import processes
from rlopt.envs.batch.copies import make_copies
from rlopt.envs.processes import ProcessCopies
from rlopt.envs.sending import _make
from rlopt.envs.spec import env_seeds, env_spec
from rlopt.errors import UserError

from .line import Line

COLUMNS = ("observation", "reward", "terminated", "truncated", "length", "episode")


def in_processes(env, count=5, processes=2):
    """Of five copies the first process has three."""
    return ProcessCopies(env_spec(env, max_episode_steps=7), env_seeds([3], count), processes)


def play(copies, steps=12):
    """What random actions come to; ended episodes are followed by others, as `TorchEnv` has it."""
    generator, shown = np.random.default_rng(0), []
    copies.begin(np.arange(len(copies)))
    for _ in range(steps):
        copies.step(generator.uniform(-1, 1, (len(copies), copies.spec.action_size)).astype(np.float32))
        shown.append([getattr(copies, column).copy() for column in COLUMNS])
        copies.begin(np.flatnonzero(copies.terminated | copies.truncated))
    copies.close()
    return shown


@pytest.mark.parametrize("env", [Line, "Pendulum-v1"])
def test_the_numbers_are_those_of_one_process(env):
    copies = in_processes(env)
    processes = copies.processes
    expected = play(make_copies(copies.spec, copies.reset_seeds))
    for own, alone in zip(play(copies), expected, strict=True):
        for column, value, other in zip(COLUMNS, own, alone, strict=True):
            np.testing.assert_array_equal(value, other, column)
            assert value.dtype == other.dtype
    assert [process.exitcode for process in processes] == [0, 0]


class Strange(Line):
    """Fails, gives NaN or ends its process where the first action says so; its position says whether torch is loaded."""

    def step(self, action):
        if action[0] < -0.5:
            raise ValueError("the simulator  lost\nits license.")
        if action[0] > 0.5:
            os._exit(3)
        observation, reward, *rest = super().step(action)
        observation[0] = float("torch" in sys.modules)
        logging.getLogger("simulator").warning("%d contacts, of %d", 9, 8)
        return observation, np.nan if action[0] > 0.25 else reward, *rest[:2], {"success": self.v > 0, "model": self}


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            -1,
            r"Strange: step\(\) of environment number 3 fails after 1 steps .*: ValueError: the simulator lost its lic",
        ),
        (0.3, "Strange gave NaN or infinity as its reward, in environment number 3 at step 2 of an episode"),
        (1, r"A process that steps environments has ended \(exit code 3\); if it gave a reason, that stands above"),
    ],
)
def test_what_goes_wrong_there_is_a_sentence_here(action, message, caplog):
    copies = in_processes(Strange)
    copies.begin(np.arange(5))
    for process in copies.processes:
        os.kill(process.pid, signal.SIGINT)  # Ctrl-C: the main process decides what ends
    actions = np.zeros((5, 1), np.float32)
    caplog.clear()
    copies.step(actions)
    assert copies.info == [{"success": False}] * 5
    assert caplog.record_tuples == [("simulator", logging.WARNING, "9 contacts, of 8")] * 5
    assert not copies.observation[:, 0].any()  # a process takes 60 MB and a second, not torch's 400 and seven
    actions[3] = action
    with pytest.raises(UserError, match=message):
        copies.step(actions)
    copies.close()
    assert not any(process.is_alive() for process in copies.processes)


class Unmade(Line):
    """Can be made here alone."""

    def __init__(self, home=None):
        if home not in (None, os.getpid()):
            raise RuntimeError("no licence for a second process")
        super().__init__()


def test_an_environment_that_cannot_be_made_there_is_a_sentence_here():
    spec = env_spec(Unmade, {"home": os.getpid()}, max_episode_steps=7)
    with pytest.raises(UserError, match=r"Environment 'Unmade' cannot be made: .*no licence for a second process"):
        ProcessCopies(spec, [0, 1], 2)


class Companion(Line):
    """Starts a program with each reset; `close` ends it by SIGINT, as simulators are ended."""

    program = None

    def reset(self, **kwargs):
        self.program = self.program or subprocess.Popen(["sleep", "60"])
        return super().reset(**kwargs)

    def close(self):
        if self.program is not None:
            self.program.send_signal(signal.SIGINT)
            self.program.wait()


def test_a_program_that_an_environment_starts_can_be_interrupted():
    copies = in_processes(Companion, 2)
    started, stepping = time.monotonic(), copies.processes
    play(copies, 1)
    assert [process.exitcode for process in stepping] == [0, 0]
    assert time.monotonic() - started < processes._PATIENCE


@pytest.mark.parametrize("source", ["rlopt-test/InScript-v0", "wrapped"])
def test_the_users_script_does_not_run_again_in_a_process(source, tmp_path, monkeypatch):
    script = ModuleType("__main__")
    script.__file__ = str(tmp_path / "script.py")
    (tmp_path / "script.py").write_text("raise SystemExit('begins to train')")  # there is no `if __name__ == ...`
    monkeypatch.setitem(sys.modules, "__main__", script)
    exec("from tests.envs.line import Line, gym\nclass Own(Line): pass", script.__dict__)
    exec("def wrapped(): return gym.Wrapper(gym.make('rlopt-test/InScript-v0'))", script.__dict__)
    for other in [name for name in gym.registry if name.startswith("rlopt-test/")]:  # of modules that load torch
        monkeypatch.delitem(gym.registry, other)
    known = gym.envs.registration.EnvSpec("rlopt-test/InScript-v0", "__main__:Own", max_episode_steps=7)
    monkeypatch.setitem(gym.registry, known.id, known)
    copies = ProcessCopies(env_spec(getattr(script, source, source)), [0], 1)
    assert len(play(copies, 2)) == 2


class Unclosed(Line):
    """Its step can fail; after a step, its `close` fails or, in a process of its own, takes longer than anyone waits."""

    stepped = False

    def __init__(self, how):
        self.how = how
        super().__init__()

    def step(self, action):
        self.stepped = True
        if action[0] > 0.5:
            raise ValueError("the simulator is gone")
        return super().step(action)

    def close(self):
        if self.stepped and self.how == "fails":
            raise RuntimeError("no connection")
        if self.stepped and parent_process() is not None:
            time.sleep(60)


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_what_is_wrong_is_said_before_an_environment_is_closed(how, monkeypatch, capfd):
    patience = 2.0 if how == "hangs" else processes._PATIENCE
    monkeypatch.setattr(processes, "_PATIENCE", patience)
    copies = ProcessCopies(env_spec(Unclosed, {"how": how}, max_episode_steps=7), [0, 1, 2, 3], 4)
    copies.begin(np.arange(4))
    started = time.monotonic()
    with pytest.raises(UserError, match=r"Unclosed: step\(\) of environment number 0 fails .*: the simulator is gone"):
        copies.step(np.ones((4, 1), np.float32))
    copies.close()
    assert time.monotonic() - started < 2 * patience  # for all four together
    for process in copies.processes:
        process.join()
    assert {process.exitcode for process in copies.processes} == {0 if how == "fails" else -signal.SIGKILL}
    assert ("close() fails: RuntimeError: no connection" in capfd.readouterr().err) == (how == "fails")


def unreadable():
    if parent_process() is not None:
        raise ValueError("read where it was written, only")


class Unreadable:
    def __reduce__(self):
        return unreadable, ()


@pytest.mark.parametrize(
    ("thing", "reason"),
    [(threading.Lock(), "cannot pickle '_thread.lock' object"), (Unreadable(), "read where it was")],
)
def test_an_environment_that_cannot_be_sent_is_a_sentence(thing, reason):
    spec = env_spec(Line, {"goal": 0.0}, max_episode_steps=7)
    with pytest.raises(UserError, match=f"The environment cannot be sent to another process: {reason}"):
        ProcessCopies(replace(spec, kwargs={"goal": thing}), [0, 1], 2)


def test_no_process_is_left_of_copies_that_cannot_be_made():
    with pytest.raises(UserError, match="no licence") as caught:
        ProcessCopies(env_spec(Unmade, {"home": os.getpid()}, max_episode_steps=7), [0, 1], 2)
    assert caught.tb is not None  # it holds on to all that was made, as a notebook's last error does
    assert not active_children()


def test_a_registered_environment_that_cannot_be_read_spoils_no_other():
    gym.register("Late-v0", entry_point=Line, max_episode_steps=5)
    spec = env_spec(lambda: gym.make("Late-v0"))
    packed = cloudpickle.dumps(gym.registry.pop("Late-v0"))
    try:
        copies = _make({"Lost-v0": b"of a module that is not here", "Late-v0": packed}, spec, [0], 0)
        copies.close()
    finally:
        del gym.registry["Late-v0"]
