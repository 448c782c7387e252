"""Transitions in a dict or TensorDict, under TorchRL's names and others. Shape letters: `n` transitions, `O`, `A` sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from tensordict import is_tensor_collection
from torch import Tensor

from rlopt.errors import UserError
from rlopt.imitation.checks import check_no_actions, unread_flags, validate_transitions
from rlopt.imitation.episodes import NAMES

Key = str | tuple[str, str]
SOURCE_KEYS: dict[str, tuple[Key, ...]] = {
    "observation": ("observation",),
    "action": ("action",),
    "next_observation": (("next", "observation"), "next_observation"),
}
FLAGS = ("terminated", "mask")
MASK_KEYS: tuple[Key, ...] = ("mask", ("collector", "mask"))


def read_transitions(batch: Any) -> tuple[dict[str, Tensor], str | None]:
    """Observation, action, next observation and terminated, flat, without padding and checked.

    Without recorded actions `action` has size 0.

    Returns:
        The tensors, and a sentence that names what may be terminations and is not read as such, or None.

    Raises:
        UserError: a key is missing or no tensor, or the tensors do not fit together or are not finite.
    """
    rows: dict[str, Tensor] = {}
    complaint = None
    # beside ("next", "observation") a flag of the root is that of the state before, as TorchRL stores it
    nested = _get(batch, ("next", "observation")) is not None
    ends = tuple(("next", name) if nested else name for name in NAMES["terminations"])
    for name, keys in {**SOURCE_KEYS, "terminated": ends, "mask": MASK_KEYS}.items():
        value = next((found for key in keys if (found := _get(batch, key)) is not None), None)
        if value is None and name == "mask":
            continue
        if value is None and name == "action":
            check_no_actions(_all_keys(batch))
            value = torch.empty(*rows["observation"].shape[:-1], 0)  # states alone
        if value is None and name == "terminated":
            value, complaint = torch.zeros(rows["observation"].shape[:-1]), _unread_ends(batch)
        if not isinstance(value, (Tensor, np.ndarray)):
            problem = "is missing" if value is None else f"holds a {type(value).__name__}, not a tensor"
            whole = ": give it, or whole episodes, observations [T + 1, O] and actions [T, A], with env=..."
            raise UserError(f"the key {keys[0]!r} {problem}{whole if name == 'next_observation' else ''}.")
        rows[name] = torch.as_tensor(value).detach().to(torch.bool if name in FLAGS else torch.float32)
    rows = _flatten(rows)
    validate_transitions(rows)
    return rows, complaint


def _unread_ends(batch: Any) -> str | None:
    """A sentence that names what may be the ends of episodes and is not read as terminations, or None."""
    keys = _all_keys(batch)
    cut = {*NAMES["truncations"], *(("next", name) for name in NAMES["truncations"])}
    flags = unread_flags(keys, cut)
    return (
        f"no episode of it terminates: {', '.join(flags)} may mean a time limit, too, or the state before, and "
        "is not read; give 'terminated' beside 'next_observation', or ('next', 'terminated')."
        if flags
        else None
    )


def _all_keys(batch: Any) -> Iterator[Any]:
    if is_tensor_collection(batch):
        yield from batch.keys(True, True)
        return
    for key, value in batch.items():
        if isinstance(value, Mapping):
            yield from ((key, inner) for inner in value)
        else:
            yield key


def _flatten(rows: dict[str, Tensor]) -> dict[str, Tensor]:
    """All batch dimensions into one: `[..., O]` to `[n, O]`, `terminated` `[...]` or `[..., 1]` to `[n]`."""
    shape = rows["observation"].shape
    if len(shape) < 2:
        raise UserError(f"'observation' must have shape [..., size] with batch dimensions, found {list(shape)}.")
    for name, value in rows.items():
        batch = value.shape[: len(shape) - 1]
        # Compared before flattening: [T, E] and [E, T] have as many rows, and would be paired wrongly.
        if batch != shape[:-1] or (name in FLAGS and value.numel() != batch.numel()):
            raise UserError(f"'{name}' {list(value.shape)} and 'observation' {list(shape)} differ in batch shape.")
    flat = {
        name: value.flatten() if name in FLAGS else value.flatten(0, len(shape) - 2) for name, value in rows.items()
    }
    real = flat.pop("mask", None)
    return flat if real is None else {name: value[real] for name, value in flat.items()}


def _get(batch: Any, key: Key) -> Any:
    """The value at a key of a TensorDict or of a dict, nested or with tuples as keys; None if there is none."""
    if not isinstance(batch, Mapping):
        return batch.get(key, None)
    if isinstance(key, str) or key in batch:
        return batch.get(key)
    nested = batch.get(key[0])
    return None if nested is None else _get(nested, key[1])
