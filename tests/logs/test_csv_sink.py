"""metrics.csv, new and resumed."""

import io

import numpy as np
import pytest
import torch

from rlopt.errors import UserError

from .shared import open_log, read_rows


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


def test_a_column_that_comes_later_is_nan_before(tmp_path):
    with open_log(tmp_path) as log:
        log.add_columns(["success_mean"])  # there are no rows yet
        log.metrics({"frames": 1, "loss": 2})
        log.add_columns(["success_mean"])
        log.add_columns(["loss", "success_mean"])  # it has both
        log.metrics({"frames": 3, "success_mean": 0.5, "loss": 4})
    expected = [["frames", "loss", "success_mean"], ["1", "2", "nan"], ["3", "4", "0.5"]]
    assert read_rows(tmp_path) == expected
    with open_log(tmp_path, resume_at=1) as log:
        log.metrics({"frames": 5, "success_mean": 1, "loss": 6})
    assert read_rows(tmp_path) == [*expected[:2], ["5", "6", "1"]]


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
    log._csv._file.close()
    log._csv._file = open("/dev/full", "w")  # noqa: SIM115
    with pytest.raises(UserError, match=r"Cannot write /dev/full: No space left on device"):
        log.metrics({"frames": 1})
    log._csv._file = io.StringIO()
    log.close()


def test_a_resumed_file_without_rows_keeps_its_columns(tmp_path):
    with open_log(tmp_path) as log:
        log.metrics({"frames": 30, "loss": 1})
    with open_log(tmp_path, resume_at=20) as log:
        with pytest.raises(ValueError, match=r"missing \['loss'\]"):
            log.metrics({"frames": 30})
        log.metrics({"loss": 2, "frames": 30})
    assert read_rows(tmp_path) == [["frames", "loss"], ["30", "2"]]
