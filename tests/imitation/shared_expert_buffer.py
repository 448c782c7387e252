"""What the tests of the expert buffer share: rows that can be told apart, and sources that give them."""

import torch
from tensordict import TensorDict

N = 10


def rows(n=N, start=0):
    """Row i: observation (i, -i), action i / 1024, next observation (i + 1, -i - 1), terminated where i is odd."""
    i = torch.arange(start, start + n, dtype=torch.float32).unsqueeze(-1)
    observation = torch.cat([i, -i], dim=-1)
    return {
        "observation": observation,
        "action": i / 1024,
        "next_observation": observation + torch.tensor([1.0, -1.0]),
        "terminated": i.squeeze(-1) % 2 == 1,
    }


def nested(n=N, start=0):
    """The same in TorchRL's keys, with others beside them, as a TensorDict of batch [n]."""
    data = rows(n, start)
    return TensorDict(
        {
            "observation": data["observation"],
            "action": data["action"],
            "step_count": torch.arange(n),
            "terminated": torch.ones(n, 1, dtype=torch.bool),  # of the state before: never to be read
            "next": {
                "observation": data["next_observation"],
                "reward": torch.ones(n, 1),
                "terminated": data["terminated"].unsqueeze(-1),
            },
        },
        batch_size=[n],
    )


class Manager:
    def __init__(self, buffer):
        self.buffer = buffer


class Uniform:
    """Takes a batch size; `answer` says what a sample looks like."""

    def __init__(self, answer=nested):
        self.answer, self.sizes = answer, []

    def sample(self, batch_size):
        self.sizes.append(batch_size)
        return self.answer(batch_size)


def index(sample):
    """Which row each transition is, after checking that all of its parts are of that row."""
    i = sample["observation"][..., 0]
    torch.testing.assert_close(sample["observation"][..., 1], -i)
    torch.testing.assert_close(sample["action"], i.unsqueeze(-1) / 1024)
    torch.testing.assert_close(sample["next", "observation"], torch.stack([i + 1, -i - 1], dim=-1))
    assert torch.equal(sample["next", "terminated"].squeeze(-1), i % 2 == 1)
    return i.int().tolist()
