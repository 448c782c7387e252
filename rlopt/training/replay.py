"""The replay buffer: one time step of all seeds per element, next observations stored once."""

from collections import deque
from typing import Any

import torch
from tensordict import TensorDictBase
from torch import Tensor

from rlopt.states import check_form, check_tensor, set_generator
from rlopt.transition import Transition

RECENT_FRAMES = 10_000
"""Frames per seed that count as recent."""

Chunk = dict[str, Tensor]
"""Elements that follow one another, on the CPU: `rows` `[n, S, O + A + 2]`, and where the next observation is no element's
observation (an episode ended): `where` `[k, 2]`, element and seed, with `finals` `[k, O]`."""


class SeedReplayBuffer:
    """Replay for S seeds at once, uniform or with a share of recent data: `len` counts transitions per seed.

    An element is one time step of one environment of every seed, `[S, O + A + 2]`: observation, action, reward, terminated.
    Its next observation is the observation of the element E places on, the same environment's next step. Only where these
    differ, because an episode ended, is the next observation stored by itself. So a transition takes about half of what it
    would with both observations. Elements lie in one tensor that is used as a ring.

    Args:
        capacity: transitions per seed; the oldest are overwritten.
        observation_size: O.
        action_size: A.
        num_seeds: S.
        num_envs: E, environments per seed.
        seed: of the sampled indices.
        device: where the transitions live and indices are drawn.
    """

    def __init__(
        self,
        capacity: int,
        observation_size: int,
        action_size: int,
        *,
        num_seeds: int = 1,
        num_envs: int = 1,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        self.capacity, self.num_seeds, self.num_envs = capacity, num_seeds, num_envs
        self.observation_size, self.action_size = observation_size, action_size
        self.device = torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.count = 0
        """Elements that were ever stored; element i lies in place i modulo the places."""
        self.places = capacity + num_envs  # the newest step's next observations wait in the places of the next elements
        # `empty` takes memory as it is filled
        self.rows = torch.empty(self.places, num_seeds, observation_size + action_size + 2, device=self.device)
        self.final_of = torch.zeros(self.places, num_seeds, dtype=torch.int32, device=self.device)
        """Which row of `finals` is the next observation; 0: none."""
        self.finals = torch.zeros(1, observation_size, device=self.device)
        self.free: list[int] = []
        """Rows of `finals` that are not in use."""
        self.used: deque[tuple[int, int]] = deque()
        """Elements with a row of `finals`, oldest first."""
        self.latest: Tensor | None = None
        """Next observations of the newest step `[S*E, O]`, seed-major, where they were collected."""

    def __len__(self) -> int:
        return min(self.count, self.capacity)

    def extend(self, rollout: TensorDictBase) -> None:
        """Store a collector batch `[S*E, T]`, seed-major: E*T elements, at most the capacity."""
        data = Transition.from_tensordict(rollout)
        reward, terminated = data.reward.unsqueeze(-1), data.terminated.unsqueeze(-1)
        rows = torch.cat([data.observation, data.action, reward, terminated], dim=-1)  # [S*E, T, F]
        if self.latest is not None:
            self.latest = self.latest.to(data.observation.device)  # a stored one is on the CPU
            ended = (self.latest != data.observation[:, 0]).any(-1).view(self.num_seeds, -1)  # [S, E]
            seed, env = ended.nonzero(as_tuple=True)
            self._set_finals(self.count - self.num_envs + env, seed, self.latest[seed * self.num_envs + env])
        ended = (data.next_observation[:, :-1] != data.observation[:, 1:]).any(-1)  # [S*E, T - 1]
        of_all, step = ended.nonzero(as_tuple=True)
        seed, env = of_all // self.num_envs, of_all % self.num_envs
        steps = rows.view(self.num_seeds, self.num_envs, *rows.shape[1:]).permute(2, 1, 0, 3)  # [T, E, S, F]
        first = self.count
        self._append(steps.flatten(0, 1))
        self._set_finals(first + step * self.num_envs + env, seed, data.next_observation[of_all, step])
        self._set_latest(data.next_observation[:, -1].clone())

    def sample(self, num_updates: int, batch_size: int, recent_ratio: float = 0.0) -> Tensor:
        """Batches `[U, S, B, 2O + A + 2]` for U updates as `Transition.pack` packs them, with replacement.

        `recent_ratio` of every batch is of the newest `RECENT_FRAMES` alone (after Wang and Ross, 2019, arXiv 1906.04009),
        spread evenly over it, so that any part of a batch has that share of them; the rest is of all.
        """
        shape, size = (num_updates, batch_size), self.observation_size
        # every 1 / recent_ratio-th
        recent = (torch.arange(batch_size + 1, device=self.device) * recent_ratio).floor().diff() > 0
        age = torch.where(recent, self._draw(min(RECENT_FRAMES, len(self)), shape), self._draw(len(self), shape))
        place = (self.count - 1 - age) % self.places
        rows = self._gather(place)  # [U, B, S, F]
        following = self._gather((place + self.num_envs) % self.places)[..., :size]
        final = self.final_of[place]  # [U, B, S]
        if self.device.type == "cpu":
            ended = final > 0
            following[ended] = self.finals[final[ended]]
        else:  # without a size that depends on data, for which a GPU would have to be waited for
            following = torch.where((final > 0).unsqueeze(-1), self.finals[final], following)
        packed = rows.new_empty(num_updates, self.num_seeds, batch_size, size + rows.shape[-1])
        packed[..., :size] = rows[..., :size].transpose(1, 2)
        packed[..., size : 2 * size] = following.transpose(1, 2)
        packed[..., 2 * size :] = rows[..., size:].transpose(1, 2)
        return packed

    def _draw(self, high: int, shape: tuple[int, int]) -> Tensor:
        return torch.randint(high, shape, device=self.device, generator=self.generator)

    def _gather(self, place: Tensor) -> Tensor:
        """The elements at places `[U, B]`: `[U, B, S, F]`."""
        return self.rows.index_select(0, place.flatten()).view(*place.shape, *self.rows.shape[1:])

    def _append(self, elements: Tensor) -> None:
        """Write elements `[n, S, F]` over the oldest ones, and free what only these needed."""
        place = torch.arange(self.count, self.count + len(elements)) % self.places
        self.count += len(elements)
        place = place.to(self.device)
        self.rows[place] = elements.to(self.device, non_blocking=True)
        self.final_of[place] = 0
        while self.used and self.used[0][0] < self.count - self.capacity:
            self.free.append(self.used.popleft()[1])

    def _set_finals(self, element: Tensor, seed: Tensor, observation: Tensor) -> None:
        """Give elements `[k]` of seeds `[k]` the next observations `[k, O]`."""
        if not len(element):
            return
        short = len(element) - len(self.free)
        if short > 0:
            old = len(self.finals)
            more = max(short, old)  # twice as many, so that few copies are made
            self.finals = torch.cat([self.finals, self.finals.new_zeros(more, self.observation_size)])
            self.free.extend(range(old, old + more))
        rows = [self.free.pop() for _ in range(len(element))]
        numbers = element.tolist()  # at once: each number of a GPU's by itself would be waited for
        self.used.extend(sorted(zip(numbers, rows, strict=True), key=lambda pair: pair[0]))
        index = torch.tensor(rows, device=self.device)
        self.finals[index] = observation.to(self.device)
        self.final_of[(element % self.places).to(self.device), seed.to(self.device)] = index.int()

    def _set_latest(self, observation: Tensor) -> None:
        """Take the next observations `[S*E, O]` of the newest step: they are the next elements' observations."""
        self.latest = observation
        elements = observation.new_zeros(self.num_envs, *self.rows.shape[1:])
        elements[..., : self.observation_size] = observation.view(self.num_seeds, self.num_envs, -1).transpose(0, 1)
        place = (torch.arange(self.count, self.count + self.num_envs) % self.places).to(self.device)
        self.rows[place] = elements.to(self.device)
        self.final_of[place] = 0

    @property
    def settled(self) -> int:
        """How many elements will not change any more: whether the newest step ended an episode, the next one tells."""
        return max(0, self.count - self.num_envs)

    def chunk(self, first: int, last: int) -> Chunk:
        """The elements from number `first` to before `last`, which is at most `settled`."""
        place = (torch.arange(first, last) % self.places).to(self.device)
        final = self.final_of[place]
        where = final.nonzero()
        finals = self.finals[final[where[:, 0], where[:, 1]]]
        return {"rows": self.rows[place].cpu(), "where": where.cpu(), "finals": finals.cpu()}

    def append(self, chunk: Chunk) -> None:
        """Store elements that `chunk` returned. Raises ValueError if they are of another buffer."""
        check_tensor(chunk["rows"], "elements", (None, *self.rows.shape[1:]))
        check_tensor(chunk["where"], "places of ends", (None, 2), torch.int64)
        check_tensor(chunk["finals"], "last observations", (len(chunk["where"]), self.observation_size))
        sizes = torch.tensor([len(chunk["rows"]), self.num_seeds])
        if ((chunk["where"] < 0) | (chunk["where"] >= sizes)).any():
            raise ValueError("places of ends are outside the elements")
        first = self.count
        self._append(chunk["rows"])
        element, seed = chunk["where"].unbind(1)
        self._set_finals(first + element, seed, chunk["finals"])

    def state_dict(self) -> dict[str, Any]:
        """All but the settled elements, for which there is `chunk`."""
        newest = self.rows[(torch.arange(self.settled, self.count) % self.places).to(self.device)].cpu()
        state = {"count": self.count, "newest": newest if self.count else None, "latest": self.latest}
        return {**state, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, after the settled elements were appended to an empty buffer."""
        check_form(state["count"], self.count, "count")
        if state["newest"] is not None:
            check_tensor(state["newest"], "the newest elements", (self.num_envs, *self.rows.shape[1:]))
            self._append(state["newest"].to(self.device))
        if state["count"] != self.count:
            raise ValueError(f"{self.count} elements in place of {state['count']}")
        if state["latest"] is not None:
            check_tensor(
                state["latest"], "the latest observations", (self.num_seeds * self.num_envs, self.observation_size)
            )
            self._set_latest(state["latest"])
        set_generator(self.generator, state["generator"])
