"""Expert transitions from anywhere, in one shape: the one door through which demonstrations reach an agent.

Shape letters: `N` transitions, `S` seeds, `B` batch per seed, `O` observation, `A` action.
"""

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from tensordict import TensorDict, is_tensor_collection
from torch import Tensor
from torchrl.data import ReplayBuffer

from rlopt.envs.spec import EnvSpec
from rlopt.errors import UserError
from rlopt.imitation.checks import actions_out_of_range
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.readers import READERS, load_demonstrations
from rlopt.imitation.tensors import read_transitions
from rlopt.states import set_generator
from rlopt.transition import Transition

STATISTICS_SAMPLE = 10_000  # transitions
FEW = 16
"""Transitions that may all be the same."""


class ExpertReplayBuffer:
    """Samples expert transitions `(observation, action, next observation, terminated)` from `source`.

    Whatever the source's batch shape, device, dtype and further keys are, a sample is flat, float32 and on `device`.
    Tensors in memory are packed once (`Transition.pack`) and sampled uniformly with replacement by a generator of
    their own; any other source samples as it does. A source that fails or lacks a key raises.

    Args:
        source: one of
            a manager whose `.buffer` is a TorchRL `ReplayBuffer`, looked up at every sample because managers replace it
            (ImitationLearningTools' `ExpertReplayManager` does when its assignment changes);
            a TorchRL `ReplayBuffer`;
            `Demonstrations`, or anything that `load_demonstrations` reads: a path, a name, a list of episodes, ...;
            a dict or TensorDict of tensors `[..., O]`, `[..., A]`: `observation`, `action` (if recorded),
            `("next", "observation")` (or `next_observation`) and, if there is any, `("next", "terminated")` (or `terminated`
            beside `next_observation`; `terminations` and `terminals` are read, too). `mask`, or `("collector", "mask")`, is
            False where a row is padding;
            any object with `sample()`, with or without a batch size, that returns the like.
        env: where the demonstrations were recorded, for a format that does not say so.
        device: where samples go.
        seed: of the generator.
        batch_size: what `sample()` returns when it is not told.

    Raises:
        UserError: `source` is none of these, or its tensors lack a key, do not fit together, hold NaN or infinity, or are
            the same row again and again.

    Warns:
        UserWarning: actions outside [-1, 1], the unit in which every agent of this library acts; no terminations, but a key
            that looks like them (`done` may mean a time limit and is not read).
    """

    def __init__(
        self,
        source: Any,
        *,
        env: EnvSpec | str | None = None,
        device: str | torch.device = "cpu",
        seed: int = 0,
        batch_size: int = 256,
    ):
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self._sizes: tuple[int, int] | None = None  # (O, A), known from the first transitions seen
        self._rows: Tensor | None = None  # [N, D], all transitions of a source in memory
        if _has_reader(source, env):
            source = load_demonstrations(source, env=env)
        self._name = type(source).__name__
        if isinstance(source, Demonstrations):
            source = source.transitions
        if isinstance(source, Mapping) or is_tensor_collection(source):
            self._rows = self._read(source)
        else:
            self._source = source
            self._live_source()  # raises now, not at the first update

    def __len__(self) -> int:
        """The number of transitions in the source, as the source counts them.

        Raises:
            TypeError: it does not say.
        """
        if self._rows is not None:
            return len(self._rows)
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
        """A; likewise. 0: there are no actions."""
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
        return self._tensordict(self._draw(self.batch_size if batch_size is None else batch_size))

    def sample_stacked(self, num_seeds: int, batch_size: int) -> TensorDict:
        """`num_seeds * batch_size` transitions, a batch for each seed: as `sample`, with batch `[S, B]`."""
        return self._tensordict(self._draw_shuffled(num_seeds * batch_size).view(num_seeds, batch_size, -1))

    def sample_packed(self, num_updates: int, num_seeds: int, batch_size: int) -> Tensor:
        """Batches `[U, S, B, D]` for U updates, packed as `Transition.pack` does, gathered at once."""
        rows = self._draw_shuffled(num_seeds * num_updates * batch_size)
        return rows.view(num_seeds, num_updates, batch_size, -1).transpose(0, 1).contiguous()

    def observation_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, `[O]` each, over observations and next observations together.

        Of all transitions in memory, else of a sample of 10,000. A constant coordinate has deviation 0.
        """
        rows = self._draw(STATISTICS_SAMPLE) if self._rows is None else self._rows
        parts = Transition.unpack(rows, self.observation_size)
        # float64: a mean of millions of float32 values would lose digits
        values = torch.cat([parts.observation, parts.next_observation]).double()
        return values.mean(dim=0).float(), values.std(dim=0, correction=0).float()

    def state_dict(self) -> dict[str, Any]:
        """What a sample is drawn from; a source that samples by itself keeps that to itself."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        set_generator(self.generator, state["generator"])

    def _tensordict(self, packed: Tensor) -> TensorDict:
        """Packed rows `[..., D]` under TorchRL's key names."""
        parts = Transition.unpack(packed, self.observation_size)
        data = {
            "observation": parts.observation,
            "action": parts.action,
            "next": {"observation": parts.next_observation, "terminated": parts.terminated.bool().unsqueeze(-1)},
        }
        return TensorDict(data, batch_size=packed.shape[:-1], device=self.device).contiguous()

    def _check_first(self, rows: dict[str, Tensor], complaint: str | None) -> None:
        """Warn of what looks wrong in the first transitions. Raises UserError if they are all the same."""
        n = len(rows["observation"])
        source = self._live_source() if hasattr(self, "_source") else rows["observation"]
        alone = hasattr(source, "__len__") and len(source) == 1  # its one transition is sampled again and again
        same = None
        if n > 1 and not alone and all((value == value[0]).all() for value in rows.values()):
            same = (
                f"all {n} transitions are the same, so that there is nothing to learn. TorchRL 0.14.1's "
                "MinariExperienceReplay hands out zeros: read the dataset itself, 'minari:ID'."
            )
            if n >= FEW or not rows["observation"].any():
                raise UserError(same)
        for sentence in (complaint, actions_out_of_range(rows["action"]), same):
            if sentence is not None:
                warnings.warn(f"Expert source {self._name}: {sentence}", stacklevel=4)

    def _known_sizes(self) -> tuple[int, int]:
        if self._sizes is None:
            self.sample()  # of the usual size, because a slice sampler refuses some others
        assert self._sizes is not None
        return self._sizes

    def _draw(self, size: int) -> Tensor:
        """Packed rows `[size, D]`."""
        if size < 1:
            raise UserError(f"A batch must have at least one transition, {size} asked for.")
        if self._rows is not None:
            index = torch.randint(len(self), (size,), generator=self.generator, device=self.device)
            return self._rows.index_select(0, index)
        parts: list[Tensor] = []
        while (count := sum(map(len, parts))) < size:  # ends, because _read refuses an empty batch
            parts.append(self._read(self._sample_source(size - count)))
        rows = torch.cat(parts)
        if count == size:
            return rows
        # A random part: a source may return all it has in order, and its first rows would be the only ones ever seen.
        return rows[torch.randperm(count, generator=self.generator, device=self.device)[:size].sort().values]

    def _draw_shuffled(self, size: int) -> Tensor:
        """As `_draw`, in random order: a sequential source returns time order, and no seed should get one stretch of it."""
        rows = self._draw(size)
        if self._rows is not None:
            return rows
        return rows[torch.randperm(size, generator=self.generator, device=self.device)]

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

    def _read(self, batch: Any) -> Tensor:
        """What the source gave, checked, flat and packed: `[n, D]` on the device."""
        if not isinstance(batch, Mapping) and not is_tensor_collection(batch):
            raise UserError(f"Expert source {self._name}: a {type(batch).__name__} is not a dict or TensorDict.")
        try:
            rows, complaint = read_transitions(batch)
            if self._sizes is None:
                self._check_first(rows, complaint)
        except UserError as error:
            raise UserError(f"Expert source {self._name}: {error}") from error
        sizes = (rows["observation"].shape[1], rows["action"].shape[1])
        if self._sizes not in (None, sizes):
            raise UserError(
                f"Expert source {self._name}: its (observation, action) sizes {self._sizes} became {sizes}."
            )
        self._sizes = sizes
        terminated = rows["terminated"].float()
        return (
            Transition(**rows | {"terminated": terminated, "reward": torch.zeros_like(terminated)})
            .pack()
            .to(self.device)
        )


def _has_reader(source: Any, env: EnvSpec | str | None) -> bool:
    """Whether a reader turns the source into demonstrations; what can be sampled, or is tensors already, needs none."""
    if callable(getattr(source, "sample", None)) or is_tensor_collection(source):
        return False
    if isinstance(source, Mapping):
        return env is not None or any(name in source for name in ("observations", "obs"))
    return any(reader.recognizes(source) for reader in READERS)


def _call(sample: Callable[..., Any], size: int) -> Any:
    """Call `sample` with the size as `batch_size`, else as its first argument if required or a number, else bare."""
    parameters = inspect.signature(sample).parameters
    if "batch_size" in parameters:
        return sample(batch_size=size)
    first = next(iter(parameters.values()), None)
    if first is None or first.kind in (first.KEYWORD_ONLY, first.VAR_KEYWORD):
        return sample()
    return sample(size) if first.default is first.empty or type(first.default) is int else sample()
