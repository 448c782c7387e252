"""What is trained, and how long it is measured."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a contestant trains; all of them at one update per frame."""

    env_id: str
    batch_size: int
    width: int  # of two hidden layers, of actor and critics
    warmup_frames: int  # random actions before the first update, per seed
    buffer_size: int = 100_000
    num_seeds: int = 1  # rlopt alone trains more than one
    block: int = 1  # frames between two blocks of as many updates, where the contestant lets it be chosen
    matmul_precision: str = "auto"  # of rlopt; others use float32
    compiled: bool = True  # rlopt's updates, by torch.compile, as in every long run
    workers: int | None = None  # threads that share rlopt's seeds; None: as many as cores
    env_workers: int = 0  # processes that step rlopt's environments, beside the one that trains
    device: str = "cpu"  # of networks and replay buffer


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long measurements take."""

    rounds: int = 5
    turn_seconds: float = 4.0  # of a contestant's turn in training: about as long for everyone, whatever its speed
    warmup_frames: int = 2_000  # of random actions, per seed
    seconds: float = 0.3  # of a turn in the tables of rlopt alone
    sweep_seeds: tuple[int, ...] = (1, 2, 5, 10, 20)
    sweep_sizes: tuple[int, ...] = (64, 256)  # widths, and batch sizes
    copies: tuple[int, ...] = (1, 5, 20, 64)  # of the environment, in the table of collection
    compiled: bool = True  # rlopt's updates, which takes some 20 seconds for each of a table's rows


FULL = Effort()
_TINY = {"sweep_seeds": (1, 2), "sweep_sizes": (64,), "copies": (1, 5)}
QUICK = Effort(rounds=2, turn_seconds=0.2, warmup_frames=64, seconds=0.01, compiled=False, **_TINY)
