"""Folders as values: packed on one machine, unpacked on another, so that nothing depends on a shared disk."""

import io
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rlopt.logs.files import atomic_file
from rlopt.logs.lock import LOCK

MARK = "cell.json"
"""In a run folder whose run is elsewhere: whose it is. It stays where it is."""
LAST = "checkpoint.pt"
"""Names files of `replay/`, which must be there before it."""
_STAYS = {LOCK, MARK}
Stamps = Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True)
class Packed:
    """Files of a folder, by their path in it."""

    names: tuple[str, ...]
    """All files that the folder had."""
    content: bytes
    """A tar of those that had changed."""
    stamps: Stamps = field(default_factory=dict)
    """Size, time and number of each file, for `pack`."""


def pack(folder: Path, known: Stamps | None = None) -> Packed:
    """A folder's files, without those that are as they were in `known`. Links are left out."""
    stamps: dict[str, tuple[int, int, int]] = {}

    def changed() -> Iterator[tuple[str, bytes]]:
        for name, path in _files(folder):
            try:
                status = path.stat()
                stamps[name] = (status.st_size, status.st_mtime_ns, status.st_ino)
                if known is None or known.get(name) != stamps[name]:
                    yield name, path.read_bytes()
            except FileNotFoundError:  # a temporary file of a library
                stamps.pop(name, None)

    content = tar_of(changed())
    return Packed(tuple(stamps), content, stamps)


def tar_of(files: Iterable[tuple[str, bytes]]) -> bytes:
    """An archive of files with these names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def unpack(packed: Packed, folder: Path, below: str = "") -> None:
    """Let `folder` hold what the packed one did, each file whole or not at all, the checkpoint last.

    Files that the packed one did not have are removed. With `below`, only what lies in that folder of the packed one counts.
    Raises CannotWrite if the disk is full, ValueError for a name that leads out of the folder.
    """
    prefix = f"{below}/" if below else ""
    names = {name.removeprefix(prefix) for name in packed.names if name.startswith(prefix)}
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(packed.content)) as tar:
        entries = [entry for entry in tar if entry.isfile() and entry.name.startswith(prefix)]
        for entry in sorted(entries, key=lambda entry: PurePosixPath(entry.name).name == LAST):
            name = PurePosixPath(entry.name.removeprefix(prefix))
            if name.is_absolute() or ".." in name.parts:
                raise ValueError(f"{entry.name} leads out of its folder")
            content = tar.extractfile(entry)
            assert content is not None
            with atomic_file(folder / name) as file:
                file.write(content.read())
    for found, path in list(_files(folder)):
        if found not in names:
            path.unlink()
    for place, _, _ in os.walk(folder, topdown=False):
        if Path(place) != folder and not os.listdir(place):
            os.rmdir(place)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(place, name)
            if name not in _STAYS and path.is_file() and not path.is_symlink():
                yield path.relative_to(folder).as_posix(), path
