"""What can happen to a file: bad bytes that a disk or a copy leaves behind, and whole files of the wrong form."""

import io
import json
import random
import zipfile
from typing import Any

import torch


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def zero_block(data: bytes, rng: random.Random) -> bytes:
    size = rng.choice((1, 16, 512, 4096))
    start = rng.randrange(len(data)) // size * size
    return data[:start] + bytes(len(data[start : start + size])) + data[start + size :]


def swap_blocks(data: bytes, rng: random.Random) -> bytes:
    size = min(rng.choice((1, 16, 512, 4096)), len(data) // 2)
    first, second = sorted(rng.sample(range(len(data) // size), 2))
    a, b = data[first * size :][:size], data[second * size :][:size]
    return data[: first * size] + b + data[(first + 1) * size : second * size] + a + data[(second + 1) * size :]


def insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 3, 100))) + data[at:]


def change_digit(data: bytes, rng: random.Random) -> bytes:
    """Another number in a text."""
    at = rng.choice([i for i, byte in enumerate(data) if chr(byte).isdigit()])
    return data[:at] + str((data[at] - 48 + rng.randrange(1, 10)) % 10).encode() + data[at + 1 :]


def drop_line(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def swap_lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines)


def change_json(data: bytes, rng: random.Random) -> bytes:
    """Another value at a place, or none; `sha256` itself apart, without which a file is one of an earlier version."""
    content = json.loads(data)
    places = [place for place in _places(content) if place[-1] != "sha256"]
    place = rng.choice(places)
    _edit(content, place, rng.choice((None, 7, -1.5, "x", [], {}, _GONE)))
    return json.dumps(content, indent=2, sort_keys=True).encode()


RAW = (flip_bits, flip_bits, truncate, zero_block, swap_blocks, insert)
TEXT = (*RAW, change_digit, change_digit, drop_line, swap_lines)
_GONE = object()


def restructure(data: bytes, rng: random.Random, optional: frozenset[str]) -> bytes:
    """A whole `.pt` file, checksums and all, with a tensor of another form, a value of another type or a key less.

    Keys that may be missing, in `optional`, stay, and so does what is below `config` and `settings`.
    """
    state = torch.load(io.BytesIO(data), weights_only=True)
    places = [p for p in _places(state) if not optional & set(p) and not {"config", "settings"} & set(p[:-1])]
    places = [p for p in places if p[-2:-1] != ("losses",)]  # without a quantity it is another history
    place = rng.choice(places)
    value = _at(state, place)
    if isinstance(value, torch.Tensor):
        _edit(state, place, rng.choice(_TENSORS)(value))
    else:
        # a number of the same type would be another file, not a damaged one
        others = [other for other in (None, 7, "x", [], {}, torch.zeros(3)) if type(other) is not type(value)]
        _edit(state, place, rng.choice((_GONE, _GONE, *others)) if isinstance(place[-1], str) else rng.choice(others))
    return _saved(state)


_TENSORS = (
    lambda t: t.unsqueeze(0),
    lambda t: t.flatten()[:1],
    lambda t: torch.cat([t, t]) if t.ndim else t.repeat(2),
    lambda t: t.double() if t.dtype != torch.float64 else t.float(),
    lambda t: t.half() if t.is_floating_point() else t.float(),
    lambda t: t[:0] if t.ndim else t.reshape(1, 1),
    lambda t: t.to_sparse() if t.ndim else t.int(),
    lambda t: t.flatten()[:1].expand(1_000_000_000) if t.numel() else t.unsqueeze(0),
    lambda t: torch.zeros(1).expand(1, *t.shape),
    lambda t: t.tolist(),
    lambda t: None,
    lambda t: _GONE,
)


def compress(data: bytes, rng: random.Random) -> bytes:
    """The same content, compressed, with a gigabyte of zeros in it or without."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
        if rng.random() < 0.3:
            with new.open("archive/data/999", "w") as file:
                for _ in range(64):
                    file.write(bytes(2**24))
    return packed.getvalue()


def overstate(data: bytes, rng: random.Random) -> bytes:
    """Checksums are right, but the pickle says that a tensor, and what it lies in, is larger than what is there."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith("data.pkl"):
                for code in (b"K", b"M"):  # small and two-byte numbers become 2 ** 30
                    at = [
                        i
                        for i in range(len(content) - 3)
                        if content[i : i + 1] == code and content[i + len(code) + 1 :][:1] in b"t\x85Q"
                    ]
                    if at:
                        i, width = rng.choice(at), 1 if code == b"K" else 2
                        content = content[:i] + b"J\x00\x00\x00\x40" + content[i + 1 + width :]
            new.writestr(entry.filename, content)
    return packed.getvalue()


def enlarge(data: bytes, rng: random.Random) -> bytes:
    """A model file that declares networks for which there is no memory."""
    state = torch.load(io.BytesIO(data), weights_only=True)
    key = rng.choice(("observation_size", "action_size", "seeds", "hidden_sizes"))
    if key == "hidden_sizes":
        state["config"][key] = (1_000_000, 1_000_000)
    else:
        state[key] = list(range(1_000_000)) if key == "seeds" else 2_000_000_000
    return _saved(state)


def _saved(state: Any) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def _places(state: Any, place: tuple = ()) -> list[tuple]:
    """Every key, down to the leaves; of a long list its first entries."""
    if isinstance(state, dict):
        items = list(state.items())
    else:
        items = list(enumerate(state[:3])) if isinstance(state, list | tuple) else []
    return [p for key, value in items for p in ((*place, key), *_places(value, (*place, key)))]


def _at(state: Any, place: tuple) -> Any:
    for key in place:
        state = state[key]
    return state


def _edit(state: Any, place: tuple, value: Any) -> None:
    holder = _at(state, place[:-1])
    if isinstance(holder, tuple):  # as a list, which it is then
        value, place = [value if i == place[-1] else item for i, item in enumerate(holder)], place[:-1]
        holder = _at(state, place[:-1])
    if value is _GONE:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
