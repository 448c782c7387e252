"""The run folder, the progress lines and W&B, offline for real and online as a stand-in."""

import csv
import io
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rlopt import progress, runlog, wandb_run
from rlopt.errors import UserError
from rlopt.runlog import RunLog, WandbOptions, format_seconds, new_run_directory, timestamp, to_json
from rlopt.wandb_run import by_seed


def open_log(directory, **changes):
    return RunLog(directory, **({"config": {}, "title": "SAC", "total": 100} | changes))


def read_rows(directory):
    with open(directory / "metrics.csv", newline="") as file:
        return list(csv.reader(file))


# The folder


@dataclass(frozen=True)
class Settings:
    hidden: tuple[int, int] = (64, 64)
    file: Path = Path("expert_data") / "x.pt"


def test_config_json_holds_settings_versions_and_device(tmp_path):
    with open_log(tmp_path / "run", config={"sac": Settings(), "device": torch.device("cpu"), "seeds": [42, 43]}):
        pass
    text = (tmp_path / "run" / "config.json").read_text()
    content = json.loads(text)
    assert content["config"] == {
        "sac": {"hidden": [64, 64], "file": "expert_data/x.pt"},
        "device": "cpu",
        "seeds": [42, 43],
    }
    assert content["device"] == "cpu"
    assert content["versions"]["torch"] == torch.__version__
    assert set(content["versions"]) == {"python", "rlopt", "torch", "torchrl", "tensordict", "gymnasium", "numpy"}
    assert text.index('"config"') < text.index('"device": "cpu",\n  "title"') < text.index('"versions"')


def test_to_json_knows_what_json_does_not():
    value = {"nan": float("nan"), 3: (np.float32(0.5), np.int64(2), np.bool_(True)), "t": torch.ones(2), "inf": np.inf}
    assert to_json(value) == {"nan": None, "3": [0.5, 2, True], "t": [1.0, 1.0], "inf": "inf"}
    json.dumps(to_json(value), allow_nan=False)


def test_log_lines_are_stamped_and_on_the_console(tmp_path, capsys):
    with open_log(tmp_path) as log:
        log.info("collecting [bold] 50 episodes")
        log.warning("no CUDA device: using the CPU")
    lines = (tmp_path / "rlopt.log").read_text().splitlines()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(rf"{stamp} INFO    collecting \[bold\] 50 episodes", lines[0])
    assert re.fullmatch(rf"{stamp} WARNING no CUDA device: using the CPU", lines[1])
    assert capsys.readouterr().err == "collecting [bold] 50 episodes\nwarning: no CUDA device: using the CPU\n"


def test_an_exception_is_logged_and_not_swallowed(tmp_path):
    with pytest.raises(RuntimeError, match="diverged"), open_log(tmp_path):
        raise RuntimeError("diverged")
    assert "ERROR   stopped by RuntimeError: diverged" in (tmp_path / "rlopt.log").read_text()


def test_close_twice_is_harmless(tmp_path):
    log = open_log(tmp_path)
    log.close()
    log.close()


def test_an_unwritable_folder_is_a_user_error_at_the_start(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Cannot write to"):
        open_log(tmp_path / "file" / "run")


def test_run_directories_never_collide(tmp_path, monkeypatch):
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", timestamp())
    monkeypatch.setattr(runlog, "timestamp", lambda: "2026-01-31_09-05-00")
    made = [new_run_directory(tmp_path / "logs" / "sac") for _ in range(3)]
    assert [path.name for path in made] == [
        "2026-01-31_09-05-00",
        "2026-01-31_09-05-00_2",
        "2026-01-31_09-05-00_3",
    ]
    assert all(path.is_dir() for path in made)


# metrics.csv


def test_rows_are_on_disk_at_once(tmp_path):
    log = open_log(tmp_path)
    log.metrics({"frames": 100, "return_seed42": np.float32(-153.25), "loss": torch.tensor(0.1)})
    log.metrics({"loss": float("nan"), "return_seed42": -1e-7, "frames": 20_000_000_000})
    assert read_rows(tmp_path) == [
        ["frames", "return_seed42", "loss"],
        ["100", "-153.25", "0.100000001"],
        ["20000000000", "-1e-07", "nan"],
    ]
    log.close()


def test_a_row_with_other_columns_raises_and_names_them(tmp_path):
    with open_log(tmp_path) as log:
        log.metrics({"frames": 1, "loss": 2})
        with pytest.raises(ValueError, match=r"missing \['loss'\], unexpected \['los'\]"):
            log.metrics({"frames": 2, "los": 2})
        log.metrics({"frames": 3, "loss": 2})
    assert read_rows(tmp_path) == [["frames", "loss"], ["1", "2"], ["3", "2"]]


def test_resume_drops_later_rows_and_appends(tmp_path):
    with open_log(tmp_path) as log:
        for frames in (10, 20, 30):
            log.metrics({"frames": frames, "loss": frames / 8})
        log.info("first")
    with open(tmp_path / "metrics.csv", "a") as file:
        file.write("20,9")  # the start of a row that a crash cut off; it must not pass for a row at 20 frames
    with open_log(tmp_path, resume_at=20) as log:
        assert read_rows(tmp_path) == [["frames", "loss"], ["10", "1.25"], ["20", "2.5"]]
        with pytest.raises(ValueError, match="unexpected"):
            log.metrics({"frames": 25, "loss": 0, "other": 1})
        log.metrics({"loss": 7, "frames": 40})
    assert read_rows(tmp_path) == [["frames", "loss"], ["10", "1.25"], ["20", "2.5"], ["40", "7"]]
    assert "first" in (tmp_path / "rlopt.log").read_text()


def test_resume_without_a_metrics_file_begins_one(tmp_path):
    with open_log(tmp_path, resume_at=20) as log:
        log.metrics({"frames": 30})
    assert read_rows(tmp_path) == [["frames"], ["30"]]


def test_a_new_run_in_an_old_folder_begins_anew(tmp_path):
    for column in ("a", "b"):
        with open_log(tmp_path) as log:
            log.metrics({column: 1})
    assert read_rows(tmp_path) == [["b"], ["1"]]


def test_resume_from_a_foreign_metrics_file_is_a_user_error(tmp_path):
    (tmp_path / "metrics.csv").write_text("frames\nmany\n")
    with pytest.raises(UserError, match="not a metrics file"):
        open_log(tmp_path, resume_at=20)


def test_a_full_disk_is_a_user_error(tmp_path):
    log = open_log(tmp_path)
    log._csv.close()
    log._csv = open("/dev/full", "w")  # noqa: SIM115
    with pytest.raises(UserError, match=r"Cannot write /dev/full: No space left on device"):
        log.metrics({"frames": 1})
    log._csv = io.StringIO()
    log.close()


# Progress


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (7, "0:07"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")]
)
def test_format_seconds(seconds, text):
    assert format_seconds(seconds) == text


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_plain_progress_is_a_line_every_15_seconds_and_one_at_the_end(tmp_path, capsys, clock):
    with open_log(tmp_path, total=10_000) as log:
        for step in range(320):  # ten frames every eighth of a second, 40 s in all
            log.progress(10 * step, return_mean=-1200.0 + step)
            clock.seconds += 0.125
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "SAC: 12% 1,200/10,000 frames · 80 frames/s · 1:50 left · return mean -1080",
        "SAC: 24% 2,400/10,000 frames · 80 frames/s · 1:35 left · return mean -960",
        "SAC: 3,190 frames after 0:40 · return mean -881",
    ]
    logged = (tmp_path / "rlopt.log").read_text().splitlines()
    assert [line[28:] for line in logged] == [line[5:] for line in lines]


def test_resumed_progress_does_not_count_earlier_frames_in_its_rate(tmp_path, capsys, clock):
    with open_log(tmp_path, total=2000, resume_at=1000) as log:
        for step in range(200):
            log.progress(1000 + step)
            clock.seconds += 0.125
    assert capsys.readouterr().err.startswith("SAC: 56% 1,120/2,000 frames · 8.0 frames/s · 1:50 left\n")


def test_progress_can_be_silent(tmp_path, capsys, clock):
    with open_log(tmp_path, show_progress=False) as log:
        for step in range(100):
            log.progress(step)
            clock.seconds += 1
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_live_bar_drawn_five_times_a_second(tmp_path, monkeypatch, clock):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    drawings = []
    monkeypatch.setattr(progress.Progress, "refresh", lambda self: drawings.append(self.tasks and self.tasks[0]))
    with open_log(tmp_path, total=1000) as log:
        for step in range(1000):
            log.progress(step, return_mean=-153.21)
            clock.seconds += 0.01
    drawn = [task for task in drawings if task]
    assert 45 <= len(drawn) <= 55  # ten seconds
    assert drawn[-1].fields["status"] == "100 frames/s · 0:00 left · return mean -153.2"
    assert "SAC: " not in screen.getvalue()  # no plain lines beside the bar


def test_the_live_bar_shows_title_percentage_and_figures(tmp_path, monkeypatch, clock):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    with open_log(tmp_path, title="IPMD Pendulum-v1", total=1000) as log:
        log.progress(0)
        clock.seconds += 1
        log.progress(250, return_mean=-153.2)
        log.info("a line above the bar")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert re.search(r"IPMD Pendulum-v1 \S+ +25% 250 frames/s · 0:03 left · return mean -153\.2", text)
    assert "a line above the bar\n" in text.replace("\r", "")
    assert screen.getvalue().count("\x1b[?25h") == 1  # the cursor is given back


# W&B


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path_factory):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_ENTITY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path_factory.mktemp("home") / "netrc"))
    monkeypatch.setattr(wandb_run, "_unreachable", {})


class FakeWandb:
    """Stands in for wandb: records what it is asked, and fails online when told to."""

    def __init__(self, online_error=None, logged_in=True, resumed=False, log_error=None):
        self.inits, self.rows, self.exit_codes, self.teardowns = [], [], [], 0
        self.online_error, self.logged_in, self.resumed, self.log_error = online_error, logged_in, resumed, log_error
        self.run = None
        fields = dict.fromkeys(("init_timeout", "silent", "console", "finish_timeout", "reinit"))
        self.Settings = type("Settings", (dict,), {"model_fields": fields})

    def setup(self):
        return SimpleNamespace(settings=SimpleNamespace(mode="online"))

    def login(self, prompt=True, verify=True):
        assert not prompt, "a prompt would hang the run"
        assert not verify, "a verification is a network call without a time limit"
        return self.logged_in

    def init(self, **arguments):
        print("wandb: noise")
        print("wandb: noise", file=sys.stderr)
        self.inits.append(arguments)
        if arguments["mode"] == "online" and self.online_error is not None:
            raise self.online_error
        return SimpleNamespace(
            url="https://wandb.ai/e/p/runs/1",
            resumed=self.resumed,
            settings=SimpleNamespace(sync_dir=f"{arguments['dir']}/wandb/offline-run-1"),
            log=self.log,
            finish=lambda exit_code: self.exit_codes.append(exit_code),
        )

    def log(self, row, step):
        if self.log_error is not None:
            raise self.log_error
        self.rows.append((step, row))

    def teardown(self):
        self.teardowns += 1


@pytest.fixture
def fake(monkeypatch):
    def install(**how):
        module = FakeWandb(**how)
        monkeypatch.setitem(sys.modules, "wandb", module)
        return module

    return install


def test_online_run_gets_options_config_and_rows(tmp_path, fake, capsys):
    wandb = fake()
    options = WandbOptions("RLOpt-IPMD", group="ablation", name="kappa 1")
    with open_log(tmp_path, config={"lr": 3e-4}, wandb=options) as log:
        log.metrics({"frames": 500, "return_seed42": -100.0, "return_seed43": -200.0, "alpha": 0.2})
    (init,) = wandb.inits
    assert (init["project"], init["group"], init["name"]) == ("RLOpt-IPMD", "ablation", "kappa 1")
    assert (init["mode"], init["entity"], init["dir"]) == ("online", "fywu", str(tmp_path))
    assert init["config"]["config"] == {"lr": 3e-4}
    assert init["settings"]["init_timeout"] <= 30
    expected = {"return/seed42": -100.0, "return/seed43": -200.0, "return/mean": -150.0, "frames": 500.0, "alpha": 0.2}
    assert wandb.rows == [(500, expected)]
    assert wandb.exit_codes == [0]
    assert capsys.readouterr().err == "W&B: https://wandb.ai/e/p/runs/1\n"


def test_by_seed_keeps_a_mean_that_is_there_and_leaves_other_means_alone():
    row = {"frames": 1.0, "loss_mean": 5.0, "return_mean": 2.0, "return_seed42": 1.0, "return_seed43": 3.0}
    expected = {"frames": 1.0, "loss_mean": 5.0, "return/mean": 2.0, "return/seed42": 1.0, "return/seed43": 3.0}
    assert by_seed(row) == expected


def test_entity_from_option_then_environment(tmp_path, fake, monkeypatch):
    wandb = fake()
    monkeypatch.setenv("WANDB_ENTITY", "from-environment")
    with open_log(tmp_path, wandb=WandbOptions("p")), open_log(tmp_path, wandb=WandbOptions("p", entity="mine")):
        pass
    assert [init["entity"] for init in wandb.inits] == ["from-environment", "mine"]


def test_an_online_failure_falls_back_to_offline_in_one_line(tmp_path, fake, capsys):
    wandb = fake(online_error=ConnectionError("permission denied\nfor fywu"))
    for number in (1, 2):
        with open_log(tmp_path, wandb=WandbOptions("p")) as log:
            log.metrics({"frames": number})
    # The second run does not wait for the server again, and no run is half open when the offline one begins.
    assert [init["mode"] for init in wandb.inits] == ["online", "offline", "offline"]
    assert wandb.teardowns == 1
    assert [step for step, _ in wandb.rows] == [1, 2]
    line = (
        "W&B: offline (cannot log to fywu: permission denied for fywu); "
        f"upload later with `wandb sync {tmp_path}/wandb/offline-run-1`\n"
    )
    assert capsys.readouterr().err == 2 * line


def test_a_notebooks_own_run_survives_our_failure(tmp_path, fake):
    wandb = fake(online_error=ConnectionError("no network"))
    wandb.run = SimpleNamespace(offline=False)
    with open_log(tmp_path, wandb=WandbOptions("p")):
        pass
    assert wandb.teardowns == 0
    assert wandb.inits[0]["settings"]["reinit"] == "create_new"


def test_not_logged_in_goes_offline_without_a_prompt(tmp_path, fake, capsys):
    wandb = fake(logged_in=False)
    with open_log(tmp_path, wandb=WandbOptions("p")):
        pass
    assert [init["mode"] for init in wandb.inits] == ["offline"]
    assert "offline (not logged in); upload later with `wandb login` and then `wandb sync" in capsys.readouterr().err


def test_offline_and_disabled_are_honoured(tmp_path, fake, monkeypatch):
    wandb = fake()
    for mode in ("offline", "dryrun", "disabled"):
        monkeypatch.setenv("WANDB_MODE", mode)
        with open_log(tmp_path, wandb=WandbOptions("p")):
            pass
    monkeypatch.delenv("WANDB_MODE")
    with open_log(tmp_path, wandb=WandbOptions("p", mode="disabled")), open_log(tmp_path):
        pass
    assert [init["mode"] for init in wandb.inits] == ["offline", "offline"]


def test_wandb_that_cannot_even_start_is_one_warning(tmp_path, fake, capsys):
    fake(logged_in=False).Settings = None
    with open_log(tmp_path, wandb=WandbOptions("p")) as log:
        log.metrics({"frames": 1})
    assert capsys.readouterr().err.startswith("warning: W&B: off (")
    assert read_rows(tmp_path) == [["frames"], ["1"]]


def test_wandb_that_dies_is_one_warning_and_the_run_goes_on(tmp_path, fake, capsys):
    fake(log_error=BrokenPipeError("service gone"))
    with open_log(tmp_path, wandb=WandbOptions("p")) as log:
        log.metrics({"frames": 1})
        log.metrics({"frames": 2})
    assert capsys.readouterr().err.count("W&B: stopped logging (service gone)") == 1
    assert read_rows(tmp_path) == [["frames"], ["1"], ["2"]]


def test_a_failed_run_is_marked_failed(tmp_path, fake):
    wandb = fake()
    with pytest.raises(RuntimeError), open_log(tmp_path, wandb=WandbOptions("p")):
        raise RuntimeError
    assert wandb.exit_codes == [1]


@pytest.mark.parametrize("known", [True, False])
def test_resume_goes_on_with_the_same_wandb_run(tmp_path, fake, known):
    wandb = fake(resumed=known)
    with open_log(tmp_path, wandb=WandbOptions("p")) as log:
        log.metrics({"frames": 10, "loss": 0.5})
        log.metrics({"frames": 20, "loss": 0.25})
    with open_log(tmp_path, wandb=WandbOptions("p"), resume_at=10) as log:
        log.metrics({"frames": 30, "loss": 0.125})
    with open_log(tmp_path, wandb=WandbOptions("p")):  # a new run in the same folder is a new run there too
        pass
    first, second, third = wandb.inits
    assert first["id"] == second["id"] != third["id"]
    assert (first["resume"], second["resume"]) == (None, "allow")
    # Where W&B does not know the run (it was offline), the kept rows go there again.
    resent = [] if known else [(10, {"frames": 10.0, "loss": 0.5})]
    assert wandb.rows[2:] == [*resent, (30, {"frames": 30.0, "loss": 0.125})]


def test_real_wandb_offline_writes_a_run_folder(tmp_path, capfd):
    with open_log(tmp_path, wandb=WandbOptions("RLOpt-BC", group="g")) as log:
        log.metrics({"frames": 10, "return_seed42": -1.0})
    output = capfd.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    folder = Path(re.search(r"offline \(not logged in\); .*`wandb sync (.+)`", line)[1])
    assert folder.parent == tmp_path / "wandb"
    run_id = (tmp_path / "wandb_run_id.txt").read_text().strip()
    sys.modules["wandb"].teardown()  # wandb's service writes behind our back, and waits for it when the process ends
    assert b"return/seed42" in (folder / f"run-{run_id}.wandb").read_bytes()


def test_real_wandb_without_a_network_goes_offline(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setattr(wandb_run, "INIT_SECONDS", 1.0)
    with open_log(tmp_path, wandb=WandbOptions("RLOpt-BC", entity="nobody")) as log:
        log.metrics({"frames": 10})
    (line,) = capfd.readouterr().err.splitlines()
    assert re.fullmatch(r"W&B: offline \(cannot log to nobody: .+\); upload later with `wandb sync .+`", line)
