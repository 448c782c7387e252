"""What an expert did, as a value: check, select, subsample, add action noise. `files` writes and reads it.

`expert_buffer.pt` is a plain dict of tensors and primitives, so that reading it never runs code from it:

    {"format": "rlopt-demonstrations", "version": 1, "env_id", "episode_lengths", "expert_return", "random_return",
     "spec":        {"observation_size", "action_size", "action_low", "action_high"},
     "transitions": {"observation", "action", "next_observation", "reward", "terminated", "truncated"}}

Both returns may be None, or missing: not recorded. Keys that are there only where they say something: "env_kwargs"
(a dict), "max_episode_steps" (an int) and "subsampled" (True). Without recorded actions, "action" and its bounds have size 0.

Shape letters: `N` transitions, `M` episodes, `O` observation, `A` action.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from rlopt.errors import UserError
from rlopt.imitation.checks import actions_out_of_range, check_boundaries, plain, validate_transitions
from rlopt.states import is_exactly

FORMAT = "rlopt-demonstrations"
VERSION = 1
COLLECT = "scripts/01_collect_expert_data.py"
TRANSITION_KEYS = ("observation", "action", "next_observation", "reward", "terminated", "truncated")
_DTYPES = {"terminated": torch.bool, "truncated": torch.bool, "episode_lengths": torch.int64}
_RETURNS = ("expert_return", "random_return")
_OPTIONAL: dict[str, type] = {"env_kwargs": dict, "max_episode_steps": int, "subsampled": bool}


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """Transitions of whole episodes (of some of their steps, after `subsample`), in the order they happened.

    Tensors are moved to the CPU, cast to the dtypes below and checked, so that an instance is always valid.

    Raises:
        UserError: a field is wrong; the message names it and says what was expected.
    """

    env_id: str
    observation: Tensor  #: `[N, O]` float32
    #: `[N, A]` float32 in [-1, 1]; in the environment's units low + (a + 1) / 2 * (high - low). A is 0 where none were recorded
    action: Tensor
    next_observation: Tensor  #: `[N, O]` float32; at an episode's end its true last observation, not a reset one
    reward: Tensor  #: `[N]` float32, the environment's, or 0 where it was not recorded; no learner reads it
    terminated: Tensor  #: `[N]` bool, a final state of the task
    truncated: Tensor  #: `[N]` bool, a time limit
    episode_lengths: Tensor  #: `[M]` int64, sums to N
    action_low: Tensor  #: `[A]` float32, the environment's bounds
    action_high: Tensor  #: `[A]` float32
    expert_return: float | None = None  #: mean undiscounted return of an episode; None: not recorded
    random_return: float | None = None  #: the same for uniformly random actions
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)  #: of the environment's constructor
    max_episode_steps: int | None = None  #: a time limit in place of the environment's own
    subsampled: bool = False  #: steps were left out, so that next_observation[t] is not observation[t + 1]

    def __post_init__(self) -> None:
        """Cast, then check."""
        for key in (*TRANSITION_KEYS, "episode_lengths", "action_low", "action_high"):
            value = torch.as_tensor(getattr(self, key)).detach().to("cpu", _DTYPES.get(key, torch.float32))
            object.__setattr__(self, key, value)  # the way into a frozen dataclass while it is made
        validate_transitions(self.transitions, self.episode_lengths.flatten().tolist())
        if (complaint := actions_out_of_range(self.action)) is not None:
            raise UserError(complaint)
        low, high, lengths = self.action_low, self.action_high, self.episode_lengths
        for key, bound in (("action_low", low), ("action_high", high)):
            if list(bound.shape) != [self.action_size] or not bound.isfinite().all():
                raise UserError(f"'{key}' must be {self.action_size} finite numbers, found {bound.tolist()}.")
        if not (low < high).all():
            raise UserError(f"'action_low' {low.tolist()} must be below 'action_high' {high.tolist()}.")
        if lengths.ndim != 1 or (lengths < 1).any() or int(lengths.sum()) != len(self):
            total = int(lengths.sum())
            raise UserError(f"'episode_lengths' must be positive and sum to {len(self)} transitions, found {total}.")
        for key in _RETURNS:
            if (value := getattr(self, key)) is not None and not math.isfinite(value):
                raise UserError(f"'{key}' must be a finite number or None, found {value}.")
        kwargs = {key: plain(value, key) for key, value in self.env_kwargs.items()}
        object.__setattr__(self, "env_kwargs", kwargs)
        ended = self.terminated | self.truncated
        check_boundaries(self.observation, self.next_observation, ended, lengths.tolist(), gaps=self.subsampled)

    def __len__(self) -> int:
        """N, the number of transitions."""
        return len(self.observation)

    @property
    def num_episodes(self) -> int:
        """M."""
        return len(self.episode_lengths)

    @property
    def observation_size(self) -> int:
        """O."""
        return self.observation.shape[1]

    @property
    def action_size(self) -> int:
        """A; 0 where actions were not recorded."""
        return self.action.shape[1]

    @property
    def transitions(self) -> dict[str, Tensor]:
        """The six tensors that have one row per transition, by name."""
        return {key: getattr(self, key) for key in TRANSITION_KEYS}

    @property
    def digest(self) -> str:
        """SHA-256 of all tensors, in hexadecimal: the same for the same demonstrations."""
        found = hashlib.sha256()
        for key in (*TRANSITION_KEYS, "episode_lengths", "action_low", "action_high"):
            found.update(getattr(self, key).contiguous().numpy().tobytes())
        return found.hexdigest()

    def _select(self, index: Tensor, episode_lengths: Tensor, gaps: bool = False) -> Demonstrations:
        rows: dict[str, Any] = {key: value[index] for key, value in self.transitions.items()}
        return replace(self, episode_lengths=episode_lengths, subsampled=self.subsampled or gaps, **rows)

    def first(self, num_episodes: int | None = None, skip: int = 0) -> Demonstrations:
        """The first `num_episodes` episodes (None: all) after `skip`; `expert_return` stays that of the expert.

        Raises:
            UserError: fewer than one, or more than there are.
        """
        left = self.num_episodes - skip
        if skip < 0 or left < 1:
            raise UserError(f"{skip} demonstrations to be skipped: there are {self.num_episodes}, skip fewer, or none.")
        num_episodes = left if num_episodes is None else num_episodes
        if not 1 <= num_episodes <= left:
            there = f"there are {self.num_episodes}" + (f", {skip} of them skipped" if skip else "")
            raise UserError(f"{num_episodes} demonstrations asked for: {there}, take 1 or more.")
        start = int(self.episode_lengths[:skip].sum())
        lengths = self.episode_lengths[skip : skip + num_episodes]
        return self._select(torch.arange(start, start + int(lengths.sum())), lengths)

    def subsample(self, every: int, seed: int = 0) -> Demonstrations:
        """Every `every`-th transition of each episode, from a random first step: the imitation literature's protocol.

        Ho and Ermon, "Generative Adversarial Imitation Learning", NeurIPS 2016, keep one in 20 on MuJoCo; the random
        first step is from Kostrikov's GAIL. It is uniform in 0 .. every - 1, or in the whole of a shorter episode, so
        that every episode keeps a transition. `episode_lengths` becomes the counts kept.

        Raises:
            UserError: `every` is below 1.
        """
        if every < 1:
            raise UserError(f"Cannot keep every {every}th transition: the factor must be at least 1.")
        generator = torch.Generator().manual_seed(seed)
        kept: list[Tensor] = []
        start = 0
        for length in self.episode_lengths.tolist():
            offset = int(torch.randint(min(every, length), (), generator=generator))
            kept.append(torch.arange(start + offset, start + length, every))
            start += length
        return self._select(torch.cat(kept), torch.tensor([len(index) for index in kept]), gaps=every > 1)

    def with_action_noise(self, std: float, seed: int = 0) -> Demonstrations:
        """Sub-optimal data: Gaussian noise of deviation `std` on the actions, clipped to [-1, 1].

        Nothing else changes: the states that follow are still those of the clean actions.

        Raises:
            UserError: `std` is negative or not finite, or there are no actions.
        """
        if not self.action_size:
            raise UserError("The demonstrations have no actions to which noise could be added.")
        if not 0 <= std < math.inf:
            raise UserError(f"The deviation of the action noise must be 0 or more, found {std}.")
        noise = torch.randn(self.action.shape, generator=torch.Generator().manual_seed(seed))
        return replace(self, action=(self.action + std * noise).clamp(-1, 1))

    def to_dict(self) -> dict[str, Any]:
        """The file's contents, as at the top of this module."""
        spec = {"observation_size": self.observation_size, "action_size": self.action_size}
        optional = {key: getattr(self, key) for key in _OPTIONAL if getattr(self, key)}
        return {
            "format": FORMAT,
            "version": VERSION,
            "env_id": self.env_id,
            "spec": spec | {"action_low": self.action_low.clone(), "action_high": self.action_high.clone()},
            # cloned because torch.save writes the whole storage behind a view
            "transitions": {key: value.clone() for key, value in self.transitions.items()},
            "episode_lengths": self.episode_lengths.clone(),
            **{key: None if (value := getattr(self, key)) is None else float(value) for key in _RETURNS},
            **optional,
        }

    @classmethod
    def from_dict(cls, state: Any) -> Demonstrations:
        """The inverse of `to_dict`.

        Raises:
            UserError: another format or version, a missing key (its name), another dtype, or an invalid value.
        """
        if not isinstance(state, dict) or not is_exactly(state.get("format"), FORMAT):
            raise UserError(f"This is not a file of demonstrations: {COLLECT} writes one.")
        if not is_exactly(state.get("version"), VERSION):
            raise UserError(f"Version {state.get('version')} of the format is unknown: this rlopt reads {VERSION}.")
        spec, transitions = _require(state, "spec", dict), _require(state, "transitions", dict)
        for key, value in {**transitions, "episode_lengths": state.get("episode_lengths"), **spec}.items():
            dtype = _DTYPES.get(key, torch.float32)
            if isinstance(value, Tensor) and value.dtype != dtype:
                raise UserError(f"'{key}' must be {dtype}, found {value.dtype}: write the file again with {COLLECT}.")
        demonstrations = cls(
            env_id=_require(state, "env_id", str),
            **{key: _require(transitions, key, Tensor) for key in TRANSITION_KEYS},
            episode_lengths=_require(state, "episode_lengths", Tensor),
            action_low=_require(spec, "action_low", Tensor),
            action_high=_require(spec, "action_high", Tensor),
            **{key: _require(state, key, float) for key in _RETURNS if state.get(key) is not None},
            **{key: _require(state, key, kind) for key, kind in _OPTIONAL.items() if key in state},
        )
        for key in ("observation", "action"):
            size, found = _require(spec, f"{key}_size", int), list(getattr(demonstrations, key).shape)
            if found[1] != size:
                raise UserError(f"'{key}' must have shape {[found[0], size]}, as '{key}_size' says, found {found}.")
        return demonstrations


def _require(mapping: dict, key: str, kind: type) -> Any:
    if key not in mapping:
        raise UserError(f"The key '{key}' is missing: write the file again with {COLLECT}.")
    if not isinstance(mapping[key], kind):
        found = type(mapping[key]).__name__
        raise UserError(f"'{key}' must be a {kind.__name__}, found a {found}: write the file again with {COLLECT}.")
    return mapping[key]
