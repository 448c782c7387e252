"""The benchmark's parts that must be right for its numbers to mean anything; how fast anything is, is not tested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def peers(monkeypatch):
    """The folder of the benchmark's parts on the path, as it is for the script."""
    monkeypatch.syspath_prepend(SCRIPTS)


@pytest.fixture
def broken_python(tmp_path):
    """An interpreter without the library that is asked for."""
    path = tmp_path / "python"
    path.write_text("#!/bin/sh\necho 'ModuleNotFoundError: no such library' >&2\nexit 1\n")
    path.chmod(0o755)
    return path


def benchmark(*arguments):
    command = [sys.executable, SCRIPTS / "benchmark_throughput.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_quick_run_of_one_contestant_prints_and_writes_what_it_measured(
    monkeypatch, capsys, peers, tmp_path, broken_python
):
    import benchmark_throughput

    arguments = ["--quick", "--contestants", "rlopt,sbx", "--envs", "Pendulum-v1", "--sizes", "small"]
    arguments += ["--num-seeds", "2", "--tables", "training,collection"]
    arguments += ["--peer-python", str(broken_python), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["benchmark_throughput.py", *arguments])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # else this process would start anew on so many cores
    benchmark_throughput.main()
    results = json.loads((tmp_path / "throughput.json").read_text())
    assert (tmp_path / "throughput.png").read_bytes().startswith(PNG)
    own, *_, missing = results["training"]
    assert own["contestant"] == "rlopt S=2"
    assert len(own["frames_per_second"]) == 2  # rounds
    assert min(own["frames_per_second"]) > 0
    assert missing["missing"] == "ModuleNotFoundError: no such library"
    assert {row["copies"] for row in results["collection"]} == {0, 1, 5}  # one thread and, where there are more, all
    assert min(rate for row in results["collection"] for rate in row["frames_per_second"]) > 0
    shown = capsys.readouterr().out
    assert "missing: ModuleNotFoundError: no such library" in shown
    assert shown.count(results["machine"]) == 2  # at the head of every table


def test_builds_are_timed_in_turn_from_an_empty_cache(tmp_path, peers):
    from benchmark_peers.end_to_end import comparison_table, measure_comparison

    builds = [tmp_path / name for name in ("old", "new")]
    for build in builds:
        (build / "scripts").mkdir(parents=True)
        (build / "scripts" / "04_compare_methods.py").write_text(
            "import os, sys\nassert not os.path.exists(os.environ['TORCHINDUCTOR_CACHE_DIR'])\n"
            f"assert os.environ['PYTHONPATH'] == {str(build)!r} and '--bc-epochs' in sys.argv\n"
            f"open({str(tmp_path / 'calls')!r}, 'a').write({build.name!r} + ' ')\n"
        )
    rows = measure_comparison(builds, 2, quick=True)
    assert (tmp_path / "calls").read_text() == "old new old new "
    assert [(row["build"], len(row["seconds"])) for row in rows] == [(str(build), 2) for build in builds]
    table = list(comparison_table([{"build": "a", "seconds": [4.0]}, {"build": "b", "seconds": [2.0]}]))
    assert table[1:] == [("a", 1, "4", "0.50"), ("b", 1, "2", "1.00")]


@pytest.mark.slow
def test_quick_run_prints_tables_and_writes_json_and_picture(tmp_path, broken_python):
    arguments = ("--quick", "--threads", 1, "--contestants", "rlopt,sbx", "--envs", "Pendulum-v1", "--sizes", "small")
    arguments += ("--tables", "training,floor,sweep,collection,comparison", "--busy", 1)
    done = benchmark(*arguments, "--peer-python", broken_python, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "throughput.json").read_text())
    assert (tmp_path / "throughput.png").read_bytes().startswith(PNG)

    own, *_, missing = results["training"]
    assert own["contestant"] == "rlopt S=1"
    assert own["threads"] == 1
    assert len(own["frames_per_second"]) == 2  # rounds
    assert min(own["frames_per_second"] + own["busy_frames_per_second"]) > 0
    assert len(own["busy_frames_per_second"]) == 2
    assert missing["missing"] == "ModuleNotFoundError: no such library"
    assert [row["num_seeds"] for row in results["floor"]] == [1, 5]
    assert results["floor"][0]["gflop"] == pytest.approx(0.577, abs=5e-4)
    assert [row["num_seeds"] for row in results["sweep"]] == [1, 2]
    assert [(row["copies"], row["threads"]) for row in results["collection"]] == [(0, 1), (1, 1), (5, 1)]
    (comparison,) = results["comparison"]
    assert 0 < comparison["seconds"][0] < 120

    assert "rlopt S=10" in done.stdout
    assert "missing: ModuleNotFoundError: no such library" in done.stdout
    assert done.stdout.count(results["machine"]) == 5  # at the head of every table
    assert "torch" in results["machine"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--tables", "floor,ceiling"), "no ceiling; there are training, floor"),
        (("--rounds", "0"), "must be positive"),
        (("--peer-python", "/nowhere/python"), "/nowhere/python is no program"),
        (("--threads", "4096"), "--threads 4096 is more than the"),
        (("--device", "banana"), "'banana' is no device"),
    ],
)
def test_bad_flags_are_refused_in_words(monkeypatch, capsys, peers, arguments, complaint):
    import benchmark_throughput

    from rlopt.cli import run

    monkeypatch.setattr(sys, "argv", ["benchmark_throughput.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        run(benchmark_throughput.main)
    assert stop.value.code == 2
    assert complaint in capsys.readouterr().err


def test_products_of_an_update_are_all_counted_once(peers):
    from benchmark_peers.updates import sac_products

    # one unit a layer, one transition: a product of sizes (i, o) is i * o multiplications.
    actor, critic = 17 + 1 + 12, 23 + 1 + 1  # layers of one forward pass
    forward = 2 * actor + 3 * 2 * critic  # actor at s' and s; target critics at s', critics at (s, a) and (s, pi(s))
    weight_gradients = actor + 2 * critic
    input_gradients = (1 + 12) + 2 * (1 + 1) + 2 * (6 + 1 + 1)  # actor; critics' loss; critics up to the action
    total = sum(product.flop for product in sac_products(batch_size=1, width=1))
    assert total == 2 * (forward + weight_gradients + input_gradients)


def test_what_more_cores_would_give(peers):
    from benchmark_peers.scaling import scaling_table

    def row(seeds, workers, rate, width=256):
        name = f"rlopt S={seeds} workers={workers}"
        return {
            **{"contestant": name, "num_seeds": seeds, "batch_size": width, "width": width},
            **{"frames_per_second": [rate]},
        }

    rows = [
        row(5, 1, 100.0),
        row(5, 2, 160.0),
        row(10, 1, 50.0),
        {"contestant": "rlopt S=10 workers=2", "missing": "why"},
    ]
    # 10 ms and 6.25 ms: 7.5 ms are shared, 2.5 ms are not; five seeds are five groups
    assert [tuple(map(str, cells)) for cells in scaling_table(rows)][1:] == [
        ("rlopt S=5", "1", "100", "1.00", "measured"),
        ("", "2", "160", "1.60", "measured"),
        ("", "4", "229", "2.29", "predicted; 25% serial"),
        ("", "5", "250", "2.50", "predicted; 25% serial"),
    ]
    # five small networks are one group: two cores share nothing, and more are of no use
    assert len(list(scaling_table([row(5, 1, 100.0, 64), row(5, 2, 99.0, 64)]))) == 3
    # noise: no more than all of it is shared
    assert list(scaling_table([row(3, 1, 100.0), row(3, 2, 230.0)]))[-1][2] == "300"


def test_turns_are_interleaved_and_timed_one_by_one(peers):
    from benchmark_peers.settings import QUICK
    from benchmark_peers.updates import time_in_turn

    calls = []
    times = time_in_turn({name: lambda name=name: calls.append(name) for name in "ab"}, QUICK)
    order = [name for name, previous in zip(calls, [None, *calls], strict=False) if name != previous]
    assert order == ["a", "b"] * (1 + QUICK.rounds)  # a warm-up, then rounds
    assert [len(values) for values in times.values()] == [QUICK.rounds] * 2


def test_a_contestant_that_breaks_down_is_missing_with_its_last_words(peers, tmp_path):
    from benchmark_peers.contestant import Contestant
    from benchmark_peers.settings import Settings

    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        'echo \'{"threads": 1, "versions": {}}\'\n'
        'read frames; echo \'{"frames": 10, "seconds": 2.0}\'\n'
        "read frames; echo 'NaN everywhere' >&2\n"
    )
    python.chmod(0o755)
    settings = Settings(env_id="Pendulum-v1", batch_size=1, width=1, warmup_frames=1)
    contestant = Contestant("fragile", "sbx_sac", [str(python)], settings)
    contestant.train(10)
    assert contestant.row()["frames_per_second"] == [5.0]
    contestant.train(10)
    contestant.train(10)  # no turn any more
    contestant.close()
    assert contestant.row()["missing"] == "NaN everywhere"
