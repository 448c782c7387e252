"""Expert transitions from anywhere, in one shape: the one door through which demonstrations reach an agent.

Shape letters: `N` transitions, `S` seeds, `B` batch per seed, `O` observation, `A` action.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict, is_tensor_collection
from torch import Tensor
from torchrl.data import ReplayBuffer

from rlopt.errors import UserError
from rlopt.imitation.demonstrations import (
    Demonstrations,
    actions_out_of_range,
    load_demonstrations,
    validate_transitions,
)

Key = str | tuple[str, str]
OBSERVATION, ACTION = "observation", "action"
NEXT_OBSERVATION, TERMINATED = ("next", "observation"), ("next", "terminated")
SOURCE_KEYS: dict[str, tuple[Key, ...]] = {
    "observation": (OBSERVATION,),
    "action": (ACTION,),
    "next_observation": (NEXT_OBSERVATION, "next_observation"),
    "terminated": (TERMINATED, "terminated"),
}
STATISTICS_SAMPLE = 10_000  # transitions


class ExpertReplayBuffer:
    """Samples expert transitions `(observation, action, next observation, terminated)` from `source`.

    Whatever the source's batch shape, device, dtype and further keys are, a sample is flat, float32 and on `device`.
    Tensors in memory are sampled uniformly with replacement from a generator of this buffer's own (the global one is
    not touched); any other source samples as it does. Nothing is swallowed: a source that fails or lacks a key raises.

    Args:
        source: one of
            a manager whose `.buffer` is a TorchRL `ReplayBuffer`, looked up at every sample because managers replace it
            (ImitationLearningTools' `ExpertReplayManager` does when its assignment changes);
            a TorchRL `ReplayBuffer`;
            `Demonstrations`, or the path of an `expert_buffer.pt`;
            a dict or TensorDict of tensors `[..., O]`, `[..., A]`: `observation`, `action`, `("next", "observation")`
            (or `next_observation`) and, if there is any, `("next", "terminated")` (or `terminated`);
            any object with `sample()`, with or without a batch size, that returns the like.
        device: where samples go.
        seed: of the generator.
        batch_size: what `sample()` returns when it is not told.

    Raises:
        UserError: `source` is none of these, or its tensors lack a key, do not fit together or hold NaN or infinity.

    Warns:
        UserWarning: actions outside [-1, 1], the unit in which every agent of this library acts.
    """

    def __init__(self, source: Any, *, device: str | torch.device = "cpu", seed: int = 0, batch_size: int = 256):
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self._sizes: tuple[int, int] | None = None  # (O, A), known from the first transitions seen
        self._tensors: dict[Key, Tensor] | None = None  # all N transitions, of a source in memory
        if isinstance(source, (str, os.PathLike)):
            source = load_demonstrations(Path(source))
        self._name = type(source).__name__
        if isinstance(source, Demonstrations):
            source = source.transitions
        if isinstance(source, Mapping) or is_tensor_collection(source):
            self._tensors = self._read(source)
        else:
            self._source = source
            self._live_source()  # raises now, not at the first update

    def __len__(self) -> int:
        """The number of transitions in the source, as the source counts them.

        Raises:
            TypeError: it does not say.
        """
        if self._tensors is not None:
            return len(self._tensors[OBSERVATION])
        source = self._live_source()
        if not hasattr(source, "__len__"):
            raise TypeError(f"The expert source {self._name} has no len(); it can only be sampled.")
        return len(source)

    @property
    def observation_size(self) -> int:
        """O; draws one batch from a source that was not sampled yet."""
        return self._known_sizes()[0]

    @property
    def action_size(self) -> int:
        """A; likewise."""
        return self._known_sizes()[1]

    def sample(self, batch_size: int | None = None) -> TensorDict:
        """Exactly `batch_size` transitions (default: the buffer's own batch size).

        A source that returns fewer is sampled again until there are enough; of a surplus a random part is dropped, and
        what is left keeps its order.

        Returns:
            A TensorDict of batch `[B]`: `observation` `[B, O]`, `action` `[B, A]`, `("next", "observation")` `[B, O]`,
            float32, and `("next", "terminated")` `[B, 1]`, bool (False where the source does not say).

        Raises:
            UserError: what the source returned lacks a key, is empty, does not fit together or is not finite.
            RuntimeError: the source itself failed; its exception is the cause.
        """
        size = self.batch_size if batch_size is None else batch_size
        return TensorDict(self._draw(size), batch_size=[size], device=self.device)

    def sample_stacked(self, num_seeds: int, batch_size: int) -> TensorDict:
        """`num_seeds * batch_size` transitions, a batch for each seed: as `sample`, with batch `[S, B]`."""
        size = num_seeds * batch_size
        rows = self._draw(size)
        if self._tensors is None:
            # A sequential source returns time order, and no seed should live in one stretch of it.
            order = torch.randperm(size, generator=self.generator, device=self.device)
            rows = {key: value.index_select(0, order) for key, value in rows.items()}
        stacked = {key: value.view(num_seeds, batch_size, -1) for key, value in rows.items()}
        return TensorDict(stacked, batch_size=[num_seeds, batch_size], device=self.device)

    def observation_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, `[O]` each, over observations and next observations together.

        Of all transitions in memory, else of a sample of 10,000. A constant coordinate has deviation 0.
        """
        rows = self._draw(STATISTICS_SAMPLE) if self._tensors is None else self._tensors
        # float64: a mean of millions of float32 values would lose digits
        values = torch.cat([rows[OBSERVATION], rows[NEXT_OBSERVATION]]).double()
        return values.mean(dim=0).float(), values.std(dim=0, correction=0).float()

    def _known_sizes(self) -> tuple[int, int]:
        if self._sizes is None:
            self.sample()  # of the usual size, because a slice sampler refuses some others
        assert self._sizes is not None
        return self._sizes

    def _draw(self, size: int) -> dict[Key, Tensor]:
        if size < 1:
            raise UserError(f"A batch must have at least one transition, {size} asked for.")
        if self._tensors is not None:
            index = torch.randint(len(self), (size,), generator=self.generator, device=self.device)
            return {key: value.index_select(0, index) for key, value in self._tensors.items()}
        parts: list[dict[Key, Tensor]] = []
        count = 0
        while count < size:  # ends, because _read refuses an empty batch
            parts.append(self._read(self._sample_source(size - count)))
            count += len(parts[-1][OBSERVATION])
        rows = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        if count == size:
            return rows
        # A random part: a source may return all it has in order, and its first rows would be the only ones ever seen.
        kept = torch.randperm(count, generator=self.generator, device=self.device)[:size].sort().values
        return {key: value.index_select(0, kept) for key, value in rows.items()}

    def _live_source(self) -> Any:
        """The object to sample now."""
        buffer = getattr(self._source, "buffer", None)
        source = buffer if isinstance(buffer, ReplayBuffer) else self._source
        if not callable(getattr(source, "sample", None)):
            raise UserError(
                f"Expert data cannot be read from a {self._name}: give a TorchRL replay buffer, an object with one as "
                ".buffer, an object with sample(), a dict or TensorDict of tensors, or the path of an expert_buffer.pt."
            )
        return source

    def _sample_source(self, size: int) -> Any:
        sample = self._live_source().sample
        try:
            return _call(sample, size)
        except Exception as error:
            raise RuntimeError(f"Sampling the expert source {self._name} failed: {error}") from error

    def _read(self, batch: Any) -> dict[Key, Tensor]:
        """What the source gave, checked and flat: `[n, ...]` on the device."""
        if not isinstance(batch, Mapping) and not is_tensor_collection(batch):
            raise UserError(f"Expert source {self._name}: a {type(batch).__name__} is not a dict or TensorDict.")
        rows: dict[str, Tensor] = {}
        for name, keys in SOURCE_KEYS.items():
            value = next((found for key in keys if (found := _get(batch, key)) is not None), None)
            if value is None and name == "terminated":
                value = torch.zeros(rows["observation"].shape[:-1])
            if not isinstance(value, (Tensor, np.ndarray)):
                problem = "is missing" if value is None else f"holds a {type(value).__name__}, not a tensor"
                raise UserError(f"Expert source {self._name}: the key {keys[0]!r} {problem}.")
            dtype = torch.bool if name == "terminated" else torch.float32
            rows[name] = torch.as_tensor(value).detach().to(dtype)
        try:
            rows = _flatten(rows)
            validate_transitions(rows)
        except UserError as error:
            raise UserError(f"Expert source {self._name}: {error}") from error
        sizes = (rows["observation"].shape[1], rows["action"].shape[1])
        if self._sizes is None and (complaint := actions_out_of_range(rows["action"])) is not None:
            warnings.warn(f"Expert source {self._name}: {complaint}", stacklevel=3)
        if self._sizes not in (None, sizes):
            raise UserError(
                f"Expert source {self._name}: its (observation, action) sizes {self._sizes} became {sizes}."
            )
        self._sizes = sizes
        rows["terminated"] = rows["terminated"].unsqueeze(-1)  # [n, 1], as TorchRL has it
        return {keys[0]: rows[name].to(self.device) for name, keys in SOURCE_KEYS.items()}


def _flatten(rows: dict[str, Tensor]) -> dict[str, Tensor]:
    """All batch dimensions into one: `[..., O]` to `[n, O]`, `terminated` `[...]` or `[..., 1]` to `[n]`."""
    shape = rows["observation"].shape
    if len(shape) < 2:
        raise UserError(f"'observation' must have shape [..., size] with batch dimensions, found {list(shape)}.")
    for name, value in rows.items():
        batch = value.shape[: len(shape) - 1]
        # Compared before flattening: [T, E] and [E, T] have as many rows, and would be paired wrongly.
        if batch != shape[:-1] or (name == "terminated" and value.numel() != batch.numel()):
            raise UserError(f"'{name}' {list(value.shape)} and 'observation' {list(shape)} differ in batch shape.")
    return {
        name: value.flatten() if name == "terminated" else value.flatten(0, len(shape) - 2)
        for name, value in rows.items()
    }


def _get(batch: Any, key: Key) -> Any:
    """The value at a key of a TensorDict or of a dict, nested or with tuples as keys; None if there is none."""
    if not isinstance(batch, Mapping):
        return batch.get(key, None)
    if isinstance(key, str) or key in batch:
        return batch.get(key)
    nested = batch.get(key[0])
    return None if nested is None else _get(nested, key[1])


def _call(sample: Callable[..., Any], size: int) -> Any:
    """Call `sample` with the size as `batch_size`, else as its first argument if required or a number, else bare."""
    parameters = inspect.signature(sample).parameters
    if "batch_size" in parameters:
        return sample(batch_size=size)
    first = next(iter(parameters.values()), None)
    if first is None or first.kind in (first.KEYWORD_ONLY, first.VAR_KEYWORD):
        return sample()
    return sample(size) if first.default is first.empty or type(first.default) is int else sample()
