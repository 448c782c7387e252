"""Damage is noticed: the checksums of archives, of settings and of a file that grows. Imports no torch."""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlopt.errors import UserError, writing

SEAL = "sha256"
"""The key of a sealed dict's checksum."""
_LINE = "{size:015d} {crc:08x}\n"
_BINARY = getattr(os, "O_BINARY", 0)  # Windows writes two characters for a line's end without it


def check_archive(path: Path | str) -> None:
    """Raise an exception unless every entry of a zip lies in it as it is, whole and as its checksum says.

    What the entries declare is compared with the file before memory is taken for them; the check itself takes some megabytes.
    """
    with zipfile.ZipFile(path) as file:
        entries = file.infolist()
        if len({entry.filename for entry in entries}) != len(entries):
            raise ValueError("two entries of one name")
        if any(e.compress_type != zipfile.ZIP_STORED or e.file_size != e.compress_size for e in entries):
            raise ValueError("a compressed entry")
        if sum(entry.file_size for entry in entries) > os.path.getsize(path):
            raise ValueError("entries that are larger than the file")
        if (damaged := file.testzip()) is not None:
            raise ValueError(f"{damaged} is not what was written")


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """`content` in JSON's own types, with a checksum of it."""
    return {**content, SEAL: _digest(content)}


def read_json(path: Path | str, *keys: str) -> dict[str, Any]:
    """The object in a file, checked against its checksum if it has one.

    Raises UserError if it is no object, lacks one of `keys`, or was changed since it was written; OSError if it cannot be read.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
        content = json.loads(text)
        missing = [key for key in keys if key not in content] if isinstance(content, dict) else ["{"]
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged, or not a file that rlopt wrote: it is no JSON ({error}).") from error
    if missing:
        raise UserError(f"{path} is damaged, or not a file that rlopt wrote: {missing[0]} is missing.")
    unsealed = SEAL not in content and f'"{SEAL}"' not in text  # an earlier version's; or it has moved elsewhere
    if not unsealed and content.pop(SEAL, None) != _digest(content):
        raise UserError(f"{path} was changed or damaged after it was written: put back what it was.")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class GrowingChecksum:
    """Size and CRC-32 of a file that grows line by line, in a small file beside it (`metrics.csv`: `metrics.crc32`).

    It is written after each line. A crash in between leaves a checksum of all lines but the last.
    """

    def __init__(self, path: Path):
        self.path = checksum_path(path)
        self.size, self.crc = 0, 0
        self._file: int | None = None

    def begin(self, text: bytes) -> None:
        """Begin with a file that holds `text`."""
        self.size, self.crc = 0, 0
        with writing(self.path):
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | _BINARY, 0o666)
        self.add(text)

    def add(self, text: bytes) -> None:
        """The file has grown by `text`."""
        self.size, self.crc = self.size + len(text), zlib.crc32(text, self.crc)
        assert self._file is not None
        # in one piece and of one length, so that there is always a whole one
        with writing(self.path):
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, _LINE.format(size=self.size, crc=self.crc).encode())

    def forget(self) -> None:
        """The file is about to be written anew: until `begin`, nothing is known of it."""
        self.close()
        with writing(self.path):
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the small file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def checksum_path(path: Path) -> Path:
    """Where the checksum of a growing file is."""
    return path.with_suffix(".crc32")


def read_checked(path: Path) -> bytes:
    """What a growing file holds. Raises UserError if it is not what was written, as far as its checksum knows."""
    beside = checksum_path(path)
    known = beside.read_bytes() if beside.is_file() else None  # first, as the file may be growing
    content = path.read_bytes()
    if known is None:
        return content
    size, _, _ = known.partition(b" ")
    part = content[: int(size)] if size.isdigit() else b""
    if known != _LINE.format(size=len(part), crc=zlib.crc32(part)).encode():
        raise UserError(
            f"{path} was changed or damaged after it was written, or {beside.name} was: put back what it was, or delete "
            f"{beside.name} to have it read as it is."
        )
    return content
