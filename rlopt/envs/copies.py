"""Copies of an environment that step together, each episode from a seed of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rlopt.envs.checks import close_env
from rlopt.envs.spec import EnvSpec, episode_seed
from rlopt.envs.versions import told
from rlopt.envs.watchdog import Watchdog
from rlopt.errors import ANYTHING, UserError, warn

if TYPE_CHECKING:
    from rlopt.envs.running import Running


SUCCESS = ("is_success", "success")
"""What `info` calls an episode's success by."""


class Copies(ABC):
    """N environments; `observation`, `reward`, `terminated`, `truncated`, `info` are those of the latest step.

    An episode is decided by the seed of its reset and its actions alone, so that `bring_back` can repeat it.

    Args:
        spec: of the environment.
        reset_seeds: N seeds of the first episodes; those of later ones follow from them.
        first: the number of the first environment, for messages.
    """

    def __init__(self, spec: EnvSpec, reset_seeds: Sequence[int], first: int = 0):
        self.spec, self.reset_seeds, self.first = spec, list(reset_seeds), first
        n = len(self.reset_seeds)
        self.observation = np.zeros((n, spec.observation_size), np.float32)
        self.reward = np.zeros(n)
        self.terminated, self.truncated = np.zeros(n, bool), np.zeros(n, bool)
        self.info: list[Mapping[str, Any]] = [{}] * n
        self.episode = np.full(n, -1)
        """The number of each environment's episode."""
        self.length = np.zeros(n, np.int64)
        """Steps of the running episode."""

    def __len__(self) -> int:
        return len(self.reset_seeds)

    def begin(self, numbers: Sequence[int] | np.ndarray) -> None:
        """Begin the next episode of the environments with these numbers, ascending."""
        numbers = np.asarray(numbers)
        self.episode[numbers] += 1
        self.reset(numbers, [episode_seed(self.reset_seeds[number], int(self.episode[number])) for number in numbers])

    @abstractmethod
    def reset(self, numbers: Sequence[int] | np.ndarray, seeds: Sequence[int]) -> None:
        """Reset the environments with these numbers, ascending, each with a seed. Raises UserError for an exception."""

    def step(self, action: np.ndarray) -> None:
        """Step every environment with `[N, A]` in [-1, 1]. Raises UserError for an exception, NaN or infinity."""
        self.step_some(np.arange(len(self)), action)

    @abstractmethod
    def step_some(self, numbers: Sequence[int] | np.ndarray, action: np.ndarray) -> None:
        """As `step`, of the environments with these n numbers, ascending, and actions `[n, A]`."""

    def bring_back(self, running: Running) -> None:
        """Repeat the episodes in which the environments were. One that does not come back begins anew, with a warning."""
        everyone = np.arange(len(self))
        self.episode[:] = running.episodes.numpy() - 1
        self.begin(everyone)
        actions = [running.steps_of(number) for number in everyone.tolist()]
        lengths = np.array([len(own) for own in actions])
        ended = np.zeros(len(self), bool)
        for step in range(lengths.max()):
            numbers = everyone[(lengths > step) & ~ended]
            if len(numbers):
                self.step_some(numbers, np.stack([actions[number][step] for number in numbers]))
                ended[numbers] = self.terminated[numbers] | self.truncated[numbers]
        same = (self.observation == running.observation.numpy()).all(axis=1)
        lost = everyone[(lengths > 0) & (ended | ~same)]
        if len(lost):
            self.begin(lost)
            warn(
                f"{len(lost)} of {len(self)} environments of {self.spec.env_id} do not come back to where they were with the "
                "same seed and actions: they begin a new episode, and the run is not the one that it would have been."
            )

    @abstractmethod
    def close(self) -> None:
        """Close the environments."""


class LocalCopies(Copies):
    """Copies in this process: what an environment raises becomes one sentence, and one that hangs is reported."""

    def __init__(self, spec: EnvSpec, reset_seeds: Sequence[int], first: int = 0):
        super().__init__(spec, reset_seeds, first)
        self.number = 0
        """The environment that is stepped or reset now, for messages."""
        self.watchdog = Watchdog(spec.env_id, first)

    def reset(self, numbers: Sequence[int] | np.ndarray, seeds: Sequence[int]) -> None:  # noqa: D102
        numbers = np.asarray(numbers)
        self.length[numbers] = 0
        try:
            self._reset(numbers, seeds)
        except ANYTHING as error:  # an environment can raise anything
            raise self._failure("reset()", error) from error
        finally:
            self.watchdog.since = None

    def step_some(self, numbers: Sequence[int] | np.ndarray, action: np.ndarray) -> None:  # noqa: D102
        numbers = np.asarray(numbers)
        try:
            self._step(numbers, self.spec.to_env_units(action))
        except ANYTHING as error:  # likewise
            raise self._failure("step()", error) from error
        finally:
            self.watchdog.since = None
        if not (np.isfinite(self.observation).all() and np.isfinite(self.reward).all()):
            self._complain()

    def close(self) -> None:
        """Close the environments."""
        self.watchdog.close()

    @abstractmethod
    def _reset(self, numbers: np.ndarray, seeds: Sequence[int]) -> None:
        """Reset; what the environments observe goes into `observation`."""

    @abstractmethod
    def _step(self, numbers: np.ndarray, action: np.ndarray) -> None:
        """Step with actions `[n, A]` in the environment's units; the outcome goes into the columns, `length` counts on."""

    def _call(self, number: int) -> None:
        """The environment with this number is stepped or reset now."""
        self.number = number
        self.watchdog.call(number)

    def _failure(self, what: str, error: BaseException) -> UserError:
        return UserError(
            f"{self.spec.env_id}: {what} of environment number {self.first + self.number} fails after "
            f"{self.length[self.number]} steps of an episode: {told(error)}."
        )

    def _complain(self) -> None:
        for what, values in (("observation", self.observation), ("reward", self.reward[:, None])):
            for index in np.flatnonzero(~np.isfinite(values).all(axis=1))[:1]:
                raise UserError(
                    f"{self.spec.env_id} gave NaN or infinity as its {what}, in environment number {self.first + index} at "
                    f"step {self.length[index]} of an episode: the environment has to be mended."
                )


class GymnasiumCopies(LocalCopies):
    """N environments of gymnasium, stepped one after the other."""

    def __init__(self, spec: EnvSpec, reset_seeds: Sequence[int], first: int = 0):
        super().__init__(spec, reset_seeds, first)
        self.envs = [spec.make() for _ in self.reset_seeds]

    def _reset(self, numbers: np.ndarray, seeds: Sequence[int]) -> None:
        for number, seed in zip(numbers.tolist(), seeds, strict=True):
            self._call(number)
            self.observation[number], _ = self.envs[number].reset(seed=seed)
            if self.spec.starts_alike:  # the seed may decide the starts that are drawn after it
                self.observation[number], _ = self.envs[number].reset()

    def _step(self, numbers: np.ndarray, action: np.ndarray) -> None:
        columns: tuple[Any, ...] = (self.observation, self.reward, self.terminated, self.truncated, self.info)
        for number, own in zip(numbers.tolist(), action, strict=True):
            self._call(number)
            for column, value in zip(columns, self.envs[number].step(own), strict=True):
                column[number] = value
            self.length[number] += 1

    def close(self) -> None:
        """Close the environments."""
        super().close()
        for env in self.envs:
            close_env(env, self.spec.env_id)
