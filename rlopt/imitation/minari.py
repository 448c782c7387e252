"""Demonstrations from Minari datasets and back. Minari is an extra: `pip install 'rlopt[minari]'`."""

import math
import re
import warnings
from types import ModuleType
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor

from rlopt.errors import UserError
from rlopt.imitation.demonstrations import Demonstrations

PREFIX = "minari:"
"""Of the name of a dataset in place of a path: `minari:ID`."""


def read_minari(source: str) -> Demonstrations:
    """The demonstrations of `minari:ID`."""
    return from_minari(source.removeprefix(PREFIX))


def _import_minari() -> ModuleType:
    try:
        import minari
    except ImportError as error:
        raise UserError("Minari is not installed: pip install 'rlopt[minari]'.") from error
    return minari


def from_minari(dataset: Any, *, random_return: float | None = None) -> Demonstrations:
    """Demonstrations from a Minari dataset, its actions scaled from the bounds of its action space to [-1, 1].

    An action beyond the bounds counts as the bound, as in the environment. `expert_return` is the dataset's reference
    score or, without one, the mean return of its episodes.

    Args:
        dataset: a `minari.MinariDataset`, or the id of one on this machine.
        random_return: mean return of uniformly random actions, for a dataset without a reference score for it.

    Raises:
        UserError: no Minari, no such dataset, no episodes, a space that is not a vector, actions without bounds, or no
            `random_return`.
    """
    minari = _import_minari()
    if isinstance(dataset, str):
        try:
            dataset = minari.load_dataset(dataset)
        except FileNotFoundError as error:
            raise UserError(f"Minari dataset {dataset} is not here: minari download {dataset}.") from error
    space = dataset.action_space
    for box in (dataset.observation_space, space):
        if not isinstance(box, gym.spaces.Box) or len(box.shape) != 1:
            raise UserError(f"{dataset.id} has the space {box}: rlopt needs a one-dimensional Box.")
    if not space.is_bounded():
        raise UserError(f"{dataset.id} has the action space {space}: rlopt needs finite bounds.")
    scores = dataset.storage.metadata
    random_return = scores.get("ref_min_score") if random_return is None else random_return
    if random_return is None:
        raise UserError(f"{dataset.id} does not say what random actions return: pass random_return=...")
    episodes = list(dataset.iterate_episodes())
    if not episodes:
        raise UserError(f"{dataset.id} has no episodes: choose another dataset.")

    def rows(parts: list) -> Tensor:
        return torch.cat([torch.as_tensor(part) for part in parts])

    low, high = torch.as_tensor(space.low), torch.as_tensor(space.high)
    action = 2 * (rows([episode.actions for episode in episodes]) - low) / (high - low) - 1
    reward = rows([episode.rewards for episode in episodes])
    return Demonstrations(
        env_id=scores.get("env_id") or (dataset.env_spec.id if dataset.env_spec else dataset.id),
        # an episode of T steps has T + 1 observations
        observation=rows([episode.observations[:-1] for episode in episodes]),
        action=action.clamp(-1, 1),
        next_observation=rows([episode.observations[1:] for episode in episodes]),
        reward=reward,
        terminated=rows([episode.terminations for episode in episodes]),
        truncated=rows([episode.truncations for episode in episodes]),
        episode_lengths=torch.tensor([len(episode) for episode in episodes]),
        action_low=low,
        action_high=high,
        expert_return=float(scores.get("ref_max_score", float(reward.double().sum()) / len(episodes))),
        random_return=float(random_return),
    )


def to_minari(demonstrations: Demonstrations, dataset_id: str) -> Any:
    """Write a Minari dataset, actions in the environment's units, and return it; `from_minari` is the inverse.

    Args:
        demonstrations: whole episodes.
        dataset_id: for example `"pendulum/expert-v0"`.

    Raises:
        UserError: no Minari, an id that is malformed or taken, or episodes with gaps (after `subsample`).
    """
    minari = _import_minari()
    from minari.data_collector.episode_buffer import EpisodeBuffer

    if not re.fullmatch(r"[-\w/]+-v\d+", dataset_id):
        raise UserError(f"The Minari id '{dataset_id}' must end in a version, for example pendulum/expert-v0.")
    d, lengths = demonstrations, demonstrations.episode_lengths.tolist()
    action = (d.action_low + (d.action + 1) / 2 * (d.action_high - d.action_low)).clamp(d.action_low, d.action_high)
    episodes = []
    for episode in zip(*(value.split(lengths) for value in (d.transitions | {"action": action}).values()), strict=True):
        observation, action, next_observation, *signals = episode
        if not torch.equal(observation[1:], next_observation[:-1]):
            raise UserError("Minari stores whole episodes and these have gaps: write them before subsample().")
        observations = torch.cat([observation, next_observation[-1:]])
        reward, terminated, truncated = (signal.numpy() for signal in signals)
        episodes.append(
            EpisodeBuffer(
                observations=observations.numpy(),
                actions=action.numpy(),
                rewards=reward,
                terminations=terminated,
                truncations=truncated,
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Minari asks for an author, a permalink, an evaluation env
        try:
            dataset = minari.create_dataset_from_buffers(
                dataset_id,
                episodes,
                env=gym.spec(d.env_id) if d.env_id in gym.registry else None,
                observation_space=gym.spaces.Box(-math.inf, math.inf, (d.observation_size,)),
                action_space=gym.spaces.Box(d.action_low.numpy(), d.action_high.numpy()),
            )
        except ValueError as error:
            raise UserError(f"Minari refuses the dataset: {error}") from error
    scores = {"ref_max_score": float(d.expert_return), "ref_min_score": float(d.random_return)}
    dataset.storage.update_metadata(scores | {"env_id": d.env_id})
    return dataset
