"""Copies of a gymnasium environment, stepped one after the other, each episode from a seed of its own."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlopt.envs.running import Running, episode_seed
from rlopt.envs.spec import EnvSpec
from rlopt.envs.watchdog import Watchdog
from rlopt.errors import UserError


class Copies:
    """N environments; `observation`, `reward`, `terminated`, `truncated`, `info` are those of the latest step.

    An episode is decided by the seed of its reset and its actions alone, so that `bring_back` can repeat it.

    Args:
        spec: of the environment.
        reset_seeds: N seeds of the first episodes; those of later ones follow from them.
        first: the number of the first environment, for messages.
    """

    def __init__(self, spec: EnvSpec, reset_seeds: Sequence[int], first: int = 0):
        self.spec, self.reset_seeds, self.first = spec, list(reset_seeds), first
        self.envs = [spec.make() for _ in reset_seeds]
        n = len(self.envs)
        self.observation = np.zeros((n, spec.observation_size), np.float32)
        self.reward = np.zeros(n)
        self.terminated, self.truncated = np.zeros(n, bool), np.zeros(n, bool)
        self.info: list[Mapping[str, Any]] = [{}] * n
        self.episode = np.full(n, -1)
        """The number of each environment's episode."""
        self.length = np.zeros(n, np.int64)
        """Steps of the running episode."""
        self.watchdog = Watchdog(spec.env_id, first)

    def begin(self, number: int) -> None:
        """Begin the next episode of an environment."""
        self.episode[number] += 1
        self.reset(number, episode_seed(self.reset_seeds[number], int(self.episode[number])))

    def reset(self, number: int, seed: int) -> None:
        """Reset an environment with a seed."""
        self.length[number] = 0
        self.watchdog.call(number)
        try:
            self.observation[number], _ = self.envs[number].reset(seed=seed)
            if self.spec.starts_alike:  # the seed may decide the starts that are drawn after it
                self.observation[number], _ = self.envs[number].reset()
        except Exception as error:  # an environment can raise anything
            raise self._failure(number, "reset()", error) from error
        finally:
            self.watchdog.since = None

    def step(self, action: np.ndarray) -> None:
        """Step every environment with `[N, A]` in [-1, 1]. Raises UserError for an exception, NaN or infinity."""
        self.step_some(range(len(self.envs)), action)

    def step_some(self, numbers: Sequence[int], action: np.ndarray) -> None:
        """As `step`, of the environments with these n numbers and actions `[n, A]`."""
        columns: tuple[Any, ...] = (self.observation, self.reward, self.terminated, self.truncated, self.info)
        number = 0
        try:
            for number, own in zip(numbers, self.spec.to_env_units(action), strict=True):
                self.watchdog.call(number)
                for column, value in zip(columns, self.envs[number].step(own), strict=True):
                    column[number] = value
                self.length[number] += 1
        except Exception as error:  # likewise
            raise self._failure(number, "step()", error) from error
        finally:
            self.watchdog.since = None
        if not (np.isfinite(self.observation).all() and np.isfinite(self.reward).all()):
            self._complain()

    def bring_back(self, running: Running) -> None:
        """Repeat the episodes in which the environments were. One that does not come back begins anew, with a warning."""
        lost = 0
        for number in range(len(self.envs)):
            self.episode[number] = int(running.episodes[number]) - 1
            self.begin(number)
            actions, ended = running.steps_of(number), False
            for action in actions:
                self.step_some([number], action[None])
                ended = bool(self.terminated[number] or self.truncated[number])
                if ended:
                    break
            same = np.array_equal(self.observation[number], running.observation[number].numpy())
            if len(actions) and (ended or not same):
                lost += 1
                self.begin(number)
        if lost:
            logging.getLogger("rlopt").warning(
                f"{lost} of {len(self.envs)} environments of {self.spec.env_id} do not come back to where they were with the "
                "same seed and actions: they begin a new episode, and the run is not the one that it would have been."
            )

    def close(self) -> None:
        """Close the environments."""
        self.watchdog.close()
        for env in self.envs:
            env.close()

    def _failure(self, number: int, what: str, error: Exception) -> UserError:
        reason = " ".join(str(error).split()).rstrip(".")
        return UserError(
            f"{self.spec.env_id}: {what} of environment number {self.first + number} fails after {self.length[number]} steps "
            f"of an episode: {type(error).__name__}{': ' * bool(reason)}{reason}."
        )

    def _complain(self) -> None:
        for what, values in (("observation", self.observation), ("reward", self.reward[:, None])):
            for index in np.flatnonzero(~np.isfinite(values).all(axis=1))[:1]:
                raise UserError(
                    f"{self.spec.env_id} gave NaN or infinity as its {what}, in environment number {self.first + index} at "
                    f"step {self.length[index]} of an episode: the environment has to be mended."
                )
