"""Checksums: what was changed after it was written is noticed; what has none is read as before."""

import io
import json
import re
import zipfile
import zlib

import pytest
import torch

from rlopt.errors import UserError
from rlopt.logs.damage import checksum_path
from rlopt.logs.files import load_safely, save_atomically
from rlopt.logs.run_folder import read_config, read_metrics, write_config

from .shared import open_log


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "model.pt"
    save_atomically(path, {"weights": torch.arange(1000.0), "step": 7})
    return path


def repack(path, edit=lambda name, content: content, compression=zipfile.ZIP_STORED, twice=()):
    """The archive again, with right checksums."""
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", compression) as new:
        for entry in [*old.infolist(), *(e for e in old.infolist() if e.filename.endswith(twice or "\0"))]:
            new.writestr(entry.filename, edit(entry.filename, old.read(entry)))
    path.write_bytes(packed.getvalue())


def test_an_archive_that_is_packed_again_is_read(archive):
    repack(archive)
    assert torch.equal(load_safely(archive, what="Model")["weights"], torch.arange(1000.0))


def test_one_changed_bit_of_a_tensor_is_noticed(archive):
    data = bytearray(archive.read_bytes())
    at = data.index(torch.arange(500.0, 502.0).numpy().tobytes())
    data[at] ^= 1
    archive.write_bytes(data)
    assert torch.load(archive, weights_only=True)["weights"].shape == (1000,)  # torch does not look
    with pytest.raises(UserError, match=r"Model .* is refused: it is damaged"):
        load_safely(archive, what="Model")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("how", [{"compression": zipfile.ZIP_DEFLATED}, {"twice": ("data.pkl",)}])
def test_archives_that_rlopt_does_not_write_are_refused(archive, how):
    repack(archive, **how)
    with pytest.raises(UserError, match="is refused"):
        load_safely(archive, what="Model")


def test_a_tensor_that_says_it_is_larger_than_the_file_is_refused(archive):
    torch.save({"weights": torch.zeros(1).expand(10**12)}, archive)
    with pytest.raises(UserError, match="is refused"):
        load_safely(archive, what="Model")
    torch.save({"weights": torch.zeros(1).expand(10)}, archive)
    assert load_safely(archive, what="Model")["weights"].shape == (10,)


def test_files_without_checksums_are_refused(archive):
    torch.save({"weights": torch.zeros(3)}, archive, _use_new_zipfile_serialization=False)
    with pytest.raises(UserError, match="is refused"):
        load_safely(archive, what="Model")


def test_a_changed_setting_is_noticed(tmp_path):
    written = write_config(tmp_path, "SAC", {"frames": 1000, "rate": 0.0003})
    path = tmp_path / "config.json"
    assert read_config(tmp_path) == written
    text = path.read_text()
    path.write_text(text.replace("1000", "1001"))
    with pytest.raises(UserError, match=r"config\.json was changed or damaged after it was written"):
        read_config(tmp_path)
    path.write_text(json.dumps(json.loads(text)))  # in other white space
    assert read_config(tmp_path) == written


def test_settings_of_an_earlier_version_have_no_checksum(tmp_path):
    content = {"title": "SAC", "config": {"frames": 1000}}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert read_config(tmp_path) == content
    (tmp_path / "config.json").write_text(
        json.dumps({**content, "config": {"frames": 1001, "sha256": "of another place"}})
    )
    with pytest.raises(UserError, match="was changed or damaged"):
        read_config(tmp_path)


@pytest.mark.parametrize("text", ["", '{"half', "[]", "{}", '{"config": 3}', "\x00", "[" * 100_000, '{"config": '])
def test_what_is_no_config_is_refused_in_one_sentence(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"^[^\n]*config\.json is damaged, or not a file that rlopt wrote: [^\n]*\.$"):
        read_config(tmp_path)


@pytest.fixture
def metrics(tmp_path):
    with open_log(tmp_path) as log:
        for frames in (10, 20, 30):
            log.metrics({"frames": frames, "loss": frames / 8})
    return tmp_path / "metrics.csv"


def test_the_checksum_of_a_file_that_grows(metrics):
    text = metrics.read_bytes()
    assert checksum_path(metrics).name == "metrics.crc32"
    assert checksum_path(metrics).read_text() == f"{len(text):015d} {zlib.crc32(text):08x}\n"


@pytest.mark.parametrize(
    ("old", "new"), [("2.5", "2.6"), ("20,2.5\n", ""), ("30,3.75\n", ""), ("10,1.25\n20,2.5\n", "20,2.5\n10,1.25\n")]
)
def test_a_changed_row_is_noticed(metrics, old, new):
    metrics.write_text(metrics.read_text().replace(old, new))
    for act in (lambda: read_metrics(metrics), lambda: open_log(metrics.parent, resume_at=20)):
        with pytest.raises(UserError, match=r"metrics\.csv was changed or damaged .* or delete metrics\.crc32"):
            act()
    checksum_path(metrics).unlink()
    assert read_metrics(metrics)[0] == ["frames", "loss"]


def test_a_row_that_a_crash_kept_from_the_checksum_is_read(metrics):
    with open(metrics, "a") as file:
        file.write("40,5\n50,")
    assert [row[0] for row in read_metrics(metrics)] == ["frames", "10", "20", "30", "40"]
    with open_log(metrics.parent, resume_at=40) as log:
        log.metrics({"frames": 50, "loss": 1})
        log.add_columns(["success_mean"])
    assert read_metrics(metrics)[-1] == ["50", "1", "nan"]


def test_a_damaged_checksum_is_said_to_be_one(metrics):
    checksum_path(metrics).write_bytes(b"\xff\x00")
    with pytest.raises(UserError, match=r"or metrics\.crc32 was"):
        read_metrics(metrics)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"frames,loss\n1\n"])
def test_what_is_no_metrics_file_is_refused(metrics, content):
    checksum_path(metrics).unlink()
    metrics.write_bytes(content + b"\n")
    with pytest.raises(UserError, match=re.escape(f"{metrics} is damaged, or not a metrics file of rlopt")):
        read_metrics(metrics)
