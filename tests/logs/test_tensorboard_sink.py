"""TensorBoard's event files, read back as TensorBoard reads them: the names of W&B, whole after Ctrl-C, no step twice."""

import sys

import pytest

from rlopt.config import RunOptions
from rlopt.errors import UserError

from .shared import open_log, read_rows

pytest.importorskip("tensorboard")


def read_events(directory):
    """The scalars of a run folder, by name: steps and values."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {name: [(each.step, each.value) for each in events.Scalars(name)] for name in events.Tags()["scalars"]}


def settings_text(directory):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory / "tensorboard"))
    events.Reload()
    (entry,) = events.Tensors("config/text_summary")
    return entry.tensor_proto.string_val[0].decode()


def test_rows_have_the_names_of_wandb_and_their_count_as_the_step(tmp_path):
    with open_log(tmp_path, config={"lr": 0.5}, tensorboard=True) as log:
        log.metrics({"frames": 500, "return_seed42": -100.0, "return_seed43": -200.0, "alpha": 0.25})
        log.metrics({"frames": 900, "return_seed42": -50.0, "return_seed43": -150.0, "alpha": 0.125})
    assert read_events(tmp_path) == {
        "frames": [(500, 500.0), (900, 900.0)],
        "return/seed42": [(500, -100.0), (900, -50.0)],
        "return/seed43": [(500, -200.0), (900, -150.0)],
        "return/mean": [(500, -150.0), (900, -100.0)],
        "alpha": [(500, 0.25), (900, 0.125)],
    }
    assert '"lr": 0.5' in settings_text(tmp_path)


def test_a_row_is_on_disk_at_once(tmp_path):
    with open_log(tmp_path, tensorboard=True) as log:
        log.metrics({"frames": 1})
        assert read_events(tmp_path) == {"frames": [(1, 1.0)]}  # a killed process would leave it


def test_an_interrupted_run_has_all_rows_and_its_file_is_closed(tmp_path):
    log = open_log(tmp_path, tensorboard=True)
    log.metrics({"frames": 1})
    with pytest.raises(KeyboardInterrupt), log:
        raise KeyboardInterrupt
    assert read_events(tmp_path) == {"frames": [(1, 1.0)]}
    assert log.sinks[1]._writer is None


def test_a_resumed_run_goes_on_in_its_folder_and_no_step_is_there_twice(tmp_path):
    with open_log(tmp_path, tensorboard=True) as log:
        for frames in (10, 20, 30):  # the checkpoint is at 10
            log.metrics({"frames": frames, "loss": 0.5})
    with open_log(tmp_path, tensorboard=True, resume_at=10) as log:
        log.metrics({"frames": 25, "loss": 0.25})
    assert read_events(tmp_path) == {
        "frames": [(10, 10.0), (25, 25.0)],
        "loss": [(10, 0.5), (25, 0.25)],
    }
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2  # the earlier file is as it was


def test_what_was_logged_without_tensorboard_is_there_after_a_resume_with_it(tmp_path):
    with open_log(tmp_path, tensorboard=True) as log:
        log.metrics({"frames": 10})
    with open_log(tmp_path, resume_at=10) as log:
        log.metrics({"frames": 20})
    with open_log(tmp_path, tensorboard=True, resume_at=20) as log:
        log.metrics({"frames": 30})
    assert read_events(tmp_path) == {"frames": [(10, 10.0), (20, 20.0), (30, 30.0)]}


def test_a_new_run_in_the_same_folder_begins_anew(tmp_path):
    for frames in (10, 5):
        with open_log(tmp_path, tensorboard=True) as log:
            log.metrics({"frames": frames})
    assert read_events(tmp_path) == {"frames": [(5, 5.0)]}


def test_columns_that_come_later_are_there_from_then_on(tmp_path):
    with open_log(tmp_path, tensorboard=True) as log:
        log.metrics({"frames": 1})
        log.add_columns(["success_seed42"])
        log.metrics({"frames": 2, "success_seed42": 0.5})
    assert read_events(tmp_path)["success/seed42"] == [(2, 0.5)]


def test_a_writer_that_fails_is_one_warning_and_the_run_goes_on(tmp_path, capsys, monkeypatch):
    with open_log(tmp_path, tensorboard=True) as log:
        log.metrics({"frames": 1})

        def full(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.flush", full)
        log.metrics({"frames": 2})
        log.metrics({"frames": 3})
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "TensorBoard" in line]
    assert line == (
        "warning: TensorBoard: stopped logging ([Errno 28] No space left on device); metrics.csv has everything."
    )
    assert read_rows(tmp_path) == [["frames"], ["1"], ["2"], ["3"]]


def test_a_folder_that_cannot_be_made_is_one_warning(tmp_path, capsys):
    (tmp_path / "tensorboard").touch()
    with open_log(tmp_path, tensorboard=True) as log:
        log.metrics({"frames": 1})
    assert capsys.readouterr().err.startswith("warning: TensorBoard: off (")
    assert read_rows(tmp_path) == [["frames"], ["1"]]


def test_a_missing_package_is_refused_before_anything_else(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match=r"not installed: pip install 'rlopt\[tensorboard\]', or say --no-tensorboard"):
        RunOptions(tensorboard=True)
    RunOptions()


def test_a_package_that_cannot_be_loaded_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r"TensorBoard cannot be loaded \(.*\): pip install 'rlopt\[tensorboard\]'"):
        open_log(tmp_path, tensorboard=True)
