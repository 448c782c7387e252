"""W&B beside the run log, offline for real and online as a stand-in: it never stops a run."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlopt.logs import wandb_sink
from rlopt.logs.wandb_sink import WandbOptions, by_seed

from .shared import open_log, read_rows


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path_factory):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_ENTITY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path_factory.mktemp("home") / "netrc"))
    monkeypatch.setattr(wandb_sink, "_unreachable", {})


class FakeArtifact:
    """Stands in for an artifact: its name and type, and how each file came to it."""

    def __init__(self, name, type):
        self.name, self.type, self.files = name, type, []

    def add_file(self, path, policy, skip_cache):
        assert (policy, skip_cache) == ("immutable", True), "wandb would copy it to the user's home"
        self.files.append(path)


class FakeWandb:
    """Stands in for wandb: records what it is asked, and fails online when told to."""

    def __init__(self, online_error=None, logged_in=True, resumed=False, log_error=None):
        self.inits, self.rows, self.exit_codes, self.teardowns = [], [], [], 0
        self.online_error, self.logged_in, self.resumed, self.log_error = online_error, logged_in, resumed, log_error
        self.run = None
        fields = dict.fromkeys(("init_timeout", "silent", "console", "finish_timeout", "reinit"))
        self.artifacts, self.Artifact = [], FakeArtifact
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
            log_artifact=self.log_artifact,
            finish=lambda exit_code: self.exit_codes.append(exit_code),
        )

    def log(self, row, step):
        if self.log_error is not None:
            raise self.log_error
        self.rows.append((step, row))

    def log_artifact(self, artifact):
        if self.log_error is not None:
            raise self.log_error
        self.artifacts.append(artifact)

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


def test_real_wandb_offline_writes_a_run_folder_and_keeps_a_model(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "m.pt").write_bytes(b"0" * 100_000)
    with open_log(tmp_path / "run", wandb=WandbOptions("RLOpt-BC", group="g")) as log:
        log.metrics({"frames": 10, "return_seed42": -1.0})
        log.keep("sac-Pendulum-v1", "model", [tmp_path / "m.pt"])
    output = capfd.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    folder = Path(re.search(r"offline \(not logged in\); .*`wandb sync (.+)`", line)[1])
    assert folder.parent == tmp_path / "run" / "wandb"
    run_id = (tmp_path / "run" / "wandb_run_id.txt").read_text().strip()
    sys.modules["wandb"].teardown()  # wandb's service writes behind our back, and waits for it when the process ends
    record = (folder / f"run-{run_id}.wandb").read_bytes()
    assert b"return/seed42" in record
    assert b"sac-Pendulum-v1" in record
    assert str(tmp_path / "m.pt").encode() in record
    assert sum(file.stat().st_size for file in (tmp_path / "data").rglob("*") if file.is_file()) < 20_000  # no copy


def test_real_wandb_without_a_network_goes_offline(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setattr(wandb_sink, "INIT_SECONDS", 1.0)
    with open_log(tmp_path, wandb=WandbOptions("RLOpt-BC", entity="nobody")) as log:
        log.metrics({"frames": 10})
    (line,) = capfd.readouterr().err.splitlines()
    assert re.fullmatch(r"W&B: offline \(cannot log to nobody: .+\); upload later with `wandb sync .+`", line)
    sys.modules["wandb"].teardown()  # else this address and this key are those of the next test's run


def test_a_run_id_can_be_given(tmp_path, fake):
    wandb = fake()
    with open_log(tmp_path, wandb=WandbOptions("p", run_id="mine")):
        pass
    assert wandb.inits[0]["id"] == "mine"
    assert (tmp_path / "wandb_run_id.txt").read_text() == "mine\n"


def test_earlier_rows_that_are_not_numbers_do_not_stop_a_resumed_run(tmp_path, fake, capsys):
    wandb = fake()
    (tmp_path / "metrics.csv").write_text("frames,loss\n10,much\n")
    with open_log(tmp_path, wandb=WandbOptions("p"), resume_at=10) as log:
        log.metrics({"frames": 20, "loss": 1})
    assert wandb.rows == []
    assert "W&B: stopped logging (could not convert string to float: 'much')" in capsys.readouterr().err
    assert read_rows(tmp_path)[1:] == [["10", "much"], ["20", "1"]]


def test_a_wandb_whose_login_always_asks_is_not_asked(tmp_path, fake):
    """Versions before `login(prompt=...)`."""
    wandb = fake()
    wandb.login = lambda key=None: pytest.fail("it would ask")
    wandb.api = SimpleNamespace(api_key="0" * 40)
    with open_log(tmp_path, wandb=WandbOptions("p")):
        pass
    assert [init["mode"] for init in wandb.inits] == ["online"]


def test_files_become_an_artifact_with_a_name_that_wandb_takes(tmp_path, fake):
    wandb = fake()
    (tmp_path / "m.pt").touch()
    with open_log(tmp_path, wandb=WandbOptions("p")) as log:
        log.keep("ipmd-Mine-v0_goal=0.5", "model", [tmp_path / "m.pt"])
    (artifact,) = wandb.artifacts
    assert (artifact.name, artifact.type) == ("ipmd-Mine-v0_goal-0.5", "model")
    assert artifact.files == [str(tmp_path / "m.pt")]


def test_files_that_cannot_be_sent_are_one_warning(tmp_path, fake, capsys):
    wandb = fake(log_error=BrokenPipeError("service gone"))
    with open_log(tmp_path, wandb=WandbOptions("p")) as log:
        log.keep("ipmd", "model", [tmp_path / "m.pt"])
        log.keep("ipmd", "model", [tmp_path / "m.pt"])
    assert wandb.artifacts == []
    assert capsys.readouterr().err.count(f"stopped logging (service gone); the model is in {tmp_path}.") == 1
