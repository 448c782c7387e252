"""Demonstrations that another run replaces: what was there is kept, and a comparison holds on to those it began with."""

import errno
import json
from pathlib import Path

import pytest

from rlopt.experiments import learners
from rlopt.imitation import load_demonstrations, save_demonstrations
from rlopt.logs import files as disk
from rlopt.logs.files import load_safely, save_atomically

from .shared_errors import COMPARE, demonstrations

pytestmark = pytest.mark.usefixtures("workplace")


def test_other_demonstrations_are_kept_and_the_same_ones_are_not(tmp_path, counter_env):
    folder, said = tmp_path / "data-of-two", []
    first, second = demonstrations(counter_env), demonstrations(counter_env, episodes=4)
    for data in (first, first, second, second, first):
        save_demonstrations(data, folder, say=said.append)
    assert [len(line.split("expert_buffer.")) for line in said] == [3, 3]
    assert "are kept as" in said[0]
    names = {path.name for path in folder.iterdir()}
    assert names == {"expert_buffer.pt", "expert_buffer.1.pt", "expert_buffer.2.pt", "metadata.pt", "README.txt"}
    digests = [load_demonstrations(folder / f"expert_buffer{n}.pt").digest for n in ("", ".1", ".2")]
    assert digests == [first.digest, first.digest, second.digest]


@pytest.mark.parametrize("call_name", ["link", "replace"])
def test_a_backup_that_fails_loses_nothing(call_name, tmp_path, counter_env, monkeypatch):
    """Without second names of a file it gets another one; a write that fails then leaves it under that."""
    folder = tmp_path / "data-of-two"
    first, second = demonstrations(counter_env), demonstrations(counter_env, episodes=4)
    save_demonstrations(first, folder)

    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "link", fail if call_name == "link" else disk.os.link)
        patch.setattr(disk.os, "fsync", fail)
        with pytest.raises(disk.CannotWrite):
            save_demonstrations(second, folder)
    kept = [load_demonstrations(path).digest for path in folder.glob("expert_buffer*.pt")]
    assert set(kept) == {first.digest}
    save_demonstrations(second, folder)
    kept = {path.name: load_demonstrations(path).digest for path in folder.glob("expert_buffer*.pt")}
    assert kept == {"expert_buffer.pt": second.digest, "expert_buffer.1.pt": first.digest}


OWN = "expert_data/rlopt-test/Counter-v0"


@pytest.fixture
def interrupted(quick, call, monkeypatch):
    """A comparison that stopped after its expert; returns the digest of its demonstrations."""

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(learners, "train_method", stop)
        assert call(*quick(COMPARE))[0] == 130
    return load_demonstrations(f"{OWN}/expert_buffer.pt").digest


def learned_from():
    return {
        json.loads(path.read_text())["config"]["demonstrations_sha256"]
        for method in ("ipmd", "bc")
        for path in Path("logs", method).glob("*/*/*/config.json")
    }


def test_a_resumed_comparison_uses_the_demonstrations_that_it_began_with(interrupted, quick, call, counter_env):
    begun_with = load_demonstrations(f"{OWN}/expert_buffer.pt").first(2).digest
    save_demonstrations(demonstrations(counter_env), OWN)
    assert call(*quick(COMPARE), "--resume")[0] == 0
    assert learned_from() == {begun_with}


def test_a_resumed_comparison_whose_demonstrations_are_gone_is_refused(interrupted, quick, call, counter_env):
    save_demonstrations(demonstrations(counter_env), OWN)
    Path(f"{OWN}/expert_buffer.1.pt").unlink()
    code, _, err = call(*quick(COMPARE), "--resume")
    assert code == 2
    assert "no longer holds the demonstrations that this comparison began with" in err.splitlines()[-1]
    assert learned_from() == set()
    assert call(*quick(COMPARE))[0] == 0


def test_a_comparison_of_given_demonstrations_holds_on_to_them(quick, call, counter_env, monkeypatch):
    line = [*quick(COMPARE), "--expert-data", "counter/expert_buffer.pt", "--methods", "bc", "ipmd"]
    assert call(*line)[0] == 0
    replaced = demonstrations(counter_env, steps=10)
    save_demonstrations(replaced, "counter")
    code, _, err = call(*line, "--resume")
    assert code == 2
    assert "was begun with other demonstrations" in err.splitlines()[-1]
    train, trained = learners.train_method, []

    def replace_then(*args, **kwargs):
        trained.append(args[0])
        result = train(*args, **kwargs)
        save_demonstrations(demonstrations(counter_env), "counter")
        return result

    monkeypatch.setattr(learners, "train_method", replace_then)
    code, _, err = call(*line)  # replaced while it runs
    assert code == 2
    assert "no longer holds the demonstrations" in err.splitlines()[-1]
    assert trained == ["bc"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_returns_that_are_no_numbers_are_no_result(value, interrupted, quick, call):
    path = Path("comparison_results/rlopt-test/Counter-v0/stages.pt")
    state = load_safely(path, what="Stages")
    state["stages"]["sac"]["result"]["returns"][0][0] = value
    save_atomically(path, state)
    code, _, err = call(*quick(COMPARE), "--resume")
    assert code == 2
    assert "SAC ended with returns that are NaN or infinite" in err.splitlines()[-1]
    assert not path.with_name("results.json").exists()
