"""What an expert did, as a value: check, select, subsample, add action noise. `files` writes and reads it.

`expert_buffer.pt` is a plain dict of tensors and primitives, so that reading it never runs code from it:

    {"format": "rlopt-demonstrations", "version": 1, "env_id", "episode_lengths", "expert_return", "random_return",
     "spec":        {"observation_size", "action_size", "action_low", "action_high"},
     "transitions": {"observation", "action", "next_observation", "reward", "terminated", "truncated"}}

Shape letters: `N` transitions, `M` episodes, `O` observation, `A` action.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from rlopt.errors import UserError

FORMAT = "rlopt-demonstrations"
VERSION = 1
COLLECT = "scripts/01_collect_expert_data.py"
TRANSITION_KEYS = ("observation", "action", "next_observation", "reward", "terminated", "truncated")


def validate_transitions(transitions: Mapping[str, Tensor]) -> None:
    """Check shapes and values: `observation`, `next_observation` `[N, O]`, `action` `[N, A]`, any other key `[N]`.

    Raises:
        UserError: a wrong shape (the key, expected and found), NaN or infinity (the key and how many), or no data.
    """
    for key in ("observation", "action"):
        if transitions[key].ndim != 2:
            raise UserError(f"'{key}' must have shape [transitions, size], found {list(transitions[key].shape)}.")
    (n, observation_size), action_size = transitions["observation"].shape, transitions["action"].shape[1]
    if 0 in (n, observation_size, action_size):
        raise UserError(f"There is no data: {n} transitions of {observation_size} observations, {action_size} actions.")
    sizes = {"observation": [observation_size], "next_observation": [observation_size], "action": [action_size]}
    for key, value in transitions.items():
        expected, found = [n, *sizes.get(key, [])], list(value.shape)
        if found != expected:
            raise UserError(f"'{key}' must have shape {expected} to go with 'observation', found {found}.")
        bad = value.numel() - int(value.isfinite().sum())
        if bad:
            raise UserError(
                f"'{key}' holds NaN or infinity in {bad} of {value.numel()} values: remove those transitions."
            )


def actions_out_of_range(action: Tensor) -> str | None:
    """A sentence that says how many of the actions `[N, A]` leave [-1, 1] by more than rounding, or None."""
    count = int((action.abs() > 1 + 1e-6).any(dim=-1).sum())
    formula = "2 * (action - low) / (high - low) - 1"
    return f"{count} of {len(action)} actions lie outside [-1, 1]: scale them, {formula}." if count else None


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """Transitions of whole episodes (of some of their steps, after `subsample`), in the order they happened.

    Tensors are moved to the CPU, cast to the dtypes below and checked, so that an instance is always valid.

    Raises:
        UserError: a field is wrong; the message names it and says what was expected.
    """

    env_id: str
    observation: Tensor  # [N, O] float32
    action: Tensor  # [N, A] float32 in [-1, 1]; in the environment's units low + (a + 1) / 2 * (high - low)
    next_observation: Tensor  # [N, O] float32; at an episode's end its true last observation, not a reset one
    reward: Tensor  # [N] float32, the environment's; no learner reads it
    terminated: Tensor  # [N] bool, a final state of the task
    truncated: Tensor  # [N] bool, a time limit
    episode_lengths: Tensor  # [M] int64, sums to N
    action_low: Tensor  # [A] float32, the environment's bounds
    action_high: Tensor  # [A] float32
    expert_return: float  # mean undiscounted return of an episode
    random_return: float  # the same for uniformly random actions

    def __post_init__(self) -> None:
        """Cast, then check."""
        dtypes = {"terminated": torch.bool, "truncated": torch.bool, "episode_lengths": torch.int64}
        for key in (*TRANSITION_KEYS, "episode_lengths", "action_low", "action_high"):
            value = torch.as_tensor(getattr(self, key)).detach().to("cpu", dtypes.get(key, torch.float32))
            object.__setattr__(self, key, value)  # the way into a frozen dataclass while it is made
        validate_transitions(self.transitions)
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
        for key in ("expert_return", "random_return"):
            if not math.isfinite(getattr(self, key)):
                raise UserError(f"'{key}' must be a finite number, found {getattr(self, key)}.")

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
        """A."""
        return self.action.shape[1]

    @property
    def transitions(self) -> dict[str, Tensor]:
        """The six tensors that have one row per transition, by name."""
        return {key: getattr(self, key) for key in TRANSITION_KEYS}

    def _select(self, index: Tensor, episode_lengths: Tensor) -> Demonstrations:
        rows: dict[str, Any] = {key: value[index] for key, value in self.transitions.items()}
        return replace(self, episode_lengths=episode_lengths, **rows)

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
        return self._select(torch.cat(kept), torch.tensor([len(index) for index in kept]))

    def with_action_noise(self, std: float, seed: int = 0) -> Demonstrations:
        """Sub-optimal data: Gaussian noise of deviation `std` on the actions, clipped to [-1, 1].

        Nothing else changes: the states that follow are still those of the clean actions.

        Raises:
            UserError: `std` is negative or not finite.
        """
        if not 0 <= std < math.inf:
            raise UserError(f"The deviation of the action noise must be 0 or more, found {std}.")
        noise = torch.randn(self.action.shape, generator=torch.Generator().manual_seed(seed))
        return replace(self, action=(self.action + std * noise).clamp(-1, 1))

    def to_dict(self) -> dict[str, Any]:
        """The file's contents, as at the top of this module."""
        spec = {"observation_size": self.observation_size, "action_size": self.action_size}
        return {
            "format": FORMAT,
            "version": VERSION,
            "env_id": self.env_id,
            "spec": spec | {"action_low": self.action_low.clone(), "action_high": self.action_high.clone()},
            # cloned because torch.save writes the whole storage behind a view
            "transitions": {key: value.clone() for key, value in self.transitions.items()},
            "episode_lengths": self.episode_lengths.clone(),
            "expert_return": float(self.expert_return),
            "random_return": float(self.random_return),
        }

    @classmethod
    def from_dict(cls, state: Any) -> Demonstrations:
        """The inverse of `to_dict`.

        Raises:
            UserError: another format or version, a missing key (its name), or an invalid value.
        """
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise UserError(f"This is not a file of demonstrations: {COLLECT} writes one.")
        if state.get("version") != VERSION:
            raise UserError(f"Version {state.get('version')} of the format is unknown: this rlopt reads {VERSION}.")
        spec, transitions = _require(state, "spec", dict), _require(state, "transitions", dict)
        demonstrations = cls(
            env_id=_require(state, "env_id", str),
            **{key: _require(transitions, key, Tensor) for key in TRANSITION_KEYS},
            episode_lengths=_require(state, "episode_lengths", Tensor),
            action_low=_require(spec, "action_low", Tensor),
            action_high=_require(spec, "action_high", Tensor),
            expert_return=float(_require(state, "expert_return", float)),
            random_return=float(_require(state, "random_return", float)),
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
