"""How the online loop goes on from the checkpoint of a run that was stopped."""

import math
import signal
from functools import partial

import pytest
import torch

from rlopt.agents import GAIL, IPMD, SAC, SQIL, EnvironmentReward, IQLearn
from rlopt.config import IPMDConfig, SACConfig
from rlopt.envs import env_spec
from rlopt.errors import UserError
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.logs.files import load_safely
from rlopt.peer_config import GAILConfig, IQLearnConfig, SQILConfig
from rlopt.training import monitor, train_online
from rlopt.training.collectors import make_collector
from rlopt.training.evaluation import BestPolicies
from rlopt.training.monitor import Monitor

from ..envs.line import Spoilt
from .shared import TINY, ConstantEvaluator, S, sac, settings, spy_on_updates


@pytest.fixture(autouse=True)
def checkpoints_take_their_time(monkeypatch):
    """These trainings are so short that most checkpoints would be left out."""
    monkeypatch.setattr(monitor, "SAVING", math.inf)


PENDULUM = "InvertedPendulum-v5"
"""Four observations, one action, episodes of some ten steps."""


class Run:
    """A training of 120 frames, twelve batches, with demonstrations; `stop` during report number `stop_at`."""

    def __init__(self, folder, kind="ipmd", limit=None, **changes):
        self.checkpoint, self.kind = folder / "checkpoint.pt", kind
        self.spec = env_spec(PENDULUM, max_episode_steps=limit)
        self.config = settings(frames=120, updates_per_frame=0.33, lr_decay=0.5, **changes)

    def start(self, monkeypatch=None, stop_at=None, resume=False, fail_at=None):
        generator = torch.Generator().manual_seed(0)
        rows = {
            "observation": torch.randn(50, 4, generator=generator),
            "action": torch.rand(50, 1, generator=generator),
            "next_observation": torch.randn(50, 4, generator=generator),
        }
        expert, mixed = (
            None,
            {"expert_batch_size": 8, "expert_ratio": 0.25, "recent_ratio": 0.5, "reward_inputs": "sas"},
        )
        peers = {"gail": (GAIL, GAILConfig), "iqlearn": (IQLearn, IQLearnConfig), "sqil": (SQIL, SQILConfig)}
        if self.kind == "sac":
            agent = SAC(SACConfig(**TINY), 4, 1, num_seeds=S, seed=1)
        else:
            agent_type, config = peers.get(self.kind, (IPMD, partial(IPMDConfig, **mixed)))
            agent = agent_type(config(**TINY), 4, 1, num_seeds=S, seed=1)
            expert = ExpertReplayBuffer(rows, seed=3)
        best = BestPolicies(agent.policy, S)
        reports, report = [], Monitor.report

        def spy(self, *arguments):
            reports.append(1)
            if len(reports) == stop_at:
                signal.raise_signal(signal.SIGINT)
            report(self, *arguments)
            if len(reports) == fail_at:
                raise ZeroDivisionError  # as abrupt as kill -9

        if monkeypatch is not None:
            monkeypatch.setattr(Monitor, "report", spy)
        history = train_online(
            agent,
            self.spec,
            self.config,
            expert,
            best=best,
            checkpoint=self.checkpoint,
            resume=self.checkpoint if resume else None,
        )
        learned = {name: value for name, value in vars(history).items() if name != "wall_seconds"}
        saved = load_safely(self.checkpoint, what="Checkpoint")
        del saved["replay"]["files"], saved["history"]
        return {"agent": agent.state_dict(), "best": best.state_dict(), "history": learned, "saved": saved}


@pytest.mark.parametrize(
    ("kind", "changes", "stops"),
    [
        pytest.param("ipmd", {}, (1, 2, 4, 7, 11), id="whole buffer"),
        pytest.param("ipmd", {"buffer_size": 40}, (7, 11), id="ring"),
        pytest.param("ipmd", {"limit": 5}, (2, 7), id="every episode ends with a batch"),
        pytest.param("sac", {}, (2, 7), id="no demonstrations"),
    ],
)
def test_a_stopped_run_ends_as_if_it_had_not_been(tmp_path, monkeypatch, assert_same_state, kind, changes, stops):
    """Wherever it was stopped: in the warm-up, between two updates that are due, in an evaluation, at the end."""
    undisturbed = Run(tmp_path / "whole", kind, **changes).start()
    for stop_at in stops:
        run = Run(tmp_path / str(stop_at), kind, **changes)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            run.start(patch, stop_at=stop_at)
        assert load_safely(run.checkpoint, what="Checkpoint")["frames"] == 10 * stop_at
        assert_same_state(run.start(resume=True), undisturbed)


@pytest.mark.parametrize("kind", ["gail", "iqlearn", "sqil"])
def test_a_stopped_run_of_a_peer_ends_as_if_it_had_not_been(tmp_path, monkeypatch, assert_same_state, kind):
    undisturbed, run = Run(tmp_path / "whole", kind).start(), Run(tmp_path / "stopped", kind)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        run.start(patch, stop_at=7)
    assert_same_state(run.start(resume=True), undisturbed)


def test_a_killed_run_ends_as_if_it_had_not_been(tmp_path, monkeypatch, assert_same_state):
    """It goes back to its last checkpoint; files of the buffer that were written after it do no harm."""
    undisturbed = Run(tmp_path / "whole").start()
    run = Run(tmp_path / "killed")
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        run.start(patch, fail_at=8)
    assert load_safely(run.checkpoint, what="Checkpoint")["frames"] == 60
    (tmp_path / "killed" / "replay" / "000000000065.pt").write_bytes(b"of a checkpoint that was never written")
    assert_same_state(run.start(resume=True), undisturbed)
    assert not (tmp_path / "killed" / "replay" / "000000000065.pt").exists()


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0)])
def test_processes_that_step_change_nothing(tmp_path, monkeypatch, assert_same_state, before, after):
    """From the beginning, or from where the run goes on: either way the checkpoint has all of their state."""
    undisturbed = Run(tmp_path / "whole").start()
    run = Run(tmp_path / "stopped", env_workers=before)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        run.start(patch, stop_at=5)
    run = Run(tmp_path / "stopped", env_workers=after)
    assert_same_state(run.start(resume=True), undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sac", "ipmd"])
def test_a_stopped_run_with_compiled_updates(tmp_path, monkeypatch, assert_same_state, kind):
    undisturbed = Run(tmp_path / "whole", kind, compile=True).start()
    run = Run(tmp_path / "stopped", kind, compile=True)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        run.start(patch, stop_at=6)
    assert_same_state(run.start(resume=True), undisturbed)


@pytest.mark.parametrize("kind", ["sac", "ipmd"])
def test_a_stopped_run_with_groups_of_seeds(tmp_path, monkeypatch, assert_same_state, kind):
    """On another number of cores."""
    monkeypatch.setattr("rlopt.training.seed_groups._WIDE", 1)
    monkeypatch.setattr(torch, "compile", lambda update, **options: lambda *batches: update(*batches))
    undisturbed = Run(tmp_path / "whole", kind, compile=True, workers=1).start()
    run = Run(tmp_path / "stopped", kind, compile=True, workers=1)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        run.start(patch, stop_at=6)
    run = Run(tmp_path / "stopped", kind, compile=True, workers=2)
    assert_same_state(run.start(resume=True), undisturbed)


def test_a_checkpoint_writes_what_is_new(tmp_path):
    Run(tmp_path).start()
    files = sorted((tmp_path / "replay").iterdir())
    assert [file.name for file in files] == [f"{first:012d}.pt" for first in (0, 28, 58, 88)]
    assert [len(torch.load(file)["rows"]) for file in files] == [
        28,
        30,
        30,
        30,
    ]  # the newest step may still end an episode
    assert "rows" not in load_safely(tmp_path / "checkpoint.pt", what="Checkpoint")["replay"]


def test_files_that_a_full_ring_does_not_need_are_removed(tmp_path):
    Run(tmp_path, buffer_size=40).start()
    # the last checkpoint, at 120 frames, needs those of 80 to 120; the one before needed 50 to 90
    assert sorted(int(file.stem) for file in (tmp_path / "replay").iterdir()) == [28, 58, 88]


def test_a_failing_environment_leaves_a_checkpoint_of_all_that_came_before(tmp_path):
    spec, checkpoint = env_spec(Spoilt, max_episode_steps=7), tmp_path / "checkpoint.pt"
    agent = sac(observation_size=2, action_size=1)
    with pytest.raises(UserError, match=r"reset\(\) of environment number 0 fails .*: the simulator is gone"):
        train_online(agent, spec, settings(), evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    assert load_safely(checkpoint, what="Checkpoint")["frames"] == 50  # 25 steps of each copy, the 28th failed


def test_checkpoints_take_a_hundredth_of_the_time(counter_env, tmp_path, monkeypatch):
    """After one that took long, the next waits; the last one does not."""
    monkeypatch.setattr(monitor, "SAVING", 0.01)
    counts, save = [], Monitor.save

    def slow(self, count):
        save(self, count)
        counts.append(count)
        self.saving_seconds += 1_000

    monkeypatch.setattr(Monitor, "save", slow)
    train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(), checkpoint=tmp_path / "checkpoint.pt")
    assert counts == [0, 80]


def test_resuming_a_finished_run_adds_nothing(counter_env, tmp_path, assert_same_state):
    """As after a crash between the last checkpoint and the writing of the model."""
    checkpoint = tmp_path / "checkpoint.pt"
    first = train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    agent = sac()
    batches = spy_on_updates(agent)
    history = train_online(
        agent, counter_env, settings(), evaluator=ConstantEvaluator(), checkpoint=checkpoint, resume=checkpoint
    )
    assert history.x == first.x
    assert batches == []
    assert_same_state(agent.state_dict(), load_safely(checkpoint, what="Checkpoint")["agent"])


@pytest.mark.parametrize(("stopped_at", "random_frames"), [(None, 20), (10, 10), (40, 0)])
def test_the_warm_up_is_not_begun_again(counter_env, tmp_path, monkeypatch, stopped_at, random_frames):
    checkpoint = None
    if stopped_at is not None:
        checkpoint = tmp_path / "checkpoint.pt"
        short = settings(frames=stopped_at, warmup_frames=5)
        train_online(sac(), counter_env, short, evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    asked_for = []

    def spy(*args, **kwargs):
        asked_for.append(kwargs["random_frames"])
        return make_collector(*args, **kwargs)

    monkeypatch.setattr("rlopt.training.online.make_collector", spy)
    train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(), resume=checkpoint)
    assert asked_for == [random_frames]


def test_what_cannot_be_resumed(counter_env, tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(UserError, match="Checkpoint not found"):
        train_online(sac(), counter_env, settings(), resume=checkpoint)
    train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    with pytest.raises(UserError, match="not of a run with these settings"):
        train_online(sac(hidden_sizes=(9,)), counter_env, settings(frames=90), resume=checkpoint)
    ipmd = IPMD(IPMDConfig(**TINY), 3, 2, num_seeds=S, reward=EnvironmentReward())
    with pytest.raises(UserError, match="not of a run with these settings"):
        train_online(ipmd, counter_env, settings(frames=90), resume=checkpoint)


def test_a_failing_environment_in_a_process_of_its_own(tmp_path, capfd):
    spec, checkpoint = env_spec(Spoilt, max_episode_steps=7), tmp_path / "checkpoint.pt"
    with pytest.raises(UserError, match=r"reset\(\) of environment number [02] fails .*: the simulator is gone"):
        train_online(
            sac(observation_size=2, action_size=1),
            *(spec, settings(env_workers=2)),
            evaluator=ConstantEvaluator(),
            checkpoint=checkpoint,
        )
    assert "Traceback" not in capfd.readouterr().err
    assert load_safely(checkpoint, what="Checkpoint")["frames"] == 50
