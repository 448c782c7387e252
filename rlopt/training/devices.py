"""Where the work is done: the chosen device, and how many CPU threads suit it."""

import ctypes
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from rlopt.errors import UserError

# One matrix product of an update below this many multiplications is done before a second thread has woken up.
_WORTH_A_THREAD = 10_000_000


def choose_device(name: str) -> torch.device:
    """The device called `name`; CPU, with one warning line, for CUDA on a machine without it.

    Raises UserError for a name that is no device and for a CUDA device that this machine does not have.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device {name!r} is no device: use cpu, cuda or cuda:0.") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name} is not supported: use cpu, cuda or cuda:0.")
    if device.type == "cuda" and not torch.cuda.is_available():
        logging.getLogger("rlopt").warning("No CUDA device found: training on the CPU (say --device cpu to choose it).")
        return torch.device("cpu")
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UserError(f"--device {name} does not exist: this machine has {count}, cuda:0 to cuda:{count - 1}.")
    return device


def set_up_cpu(num_seeds: int, batch_size: int, width: int, device: torch.device | str = "cpu") -> None:
    """Flush denormals, keep freed memory, and use one thread for small networks, all cores for large ones.

    Beside a GPU this processor only acts, which takes small products.

    Threads that wait for work spin; on a busy machine small networks were ten times slower with two threads than with
    one. A thread count that the user chose (OMP_NUM_THREADS) is left alone.

    Args:
        num_seeds: S.
        batch_size: B.
        width: of the widest hidden layer.
        device: where the updates run.
    """
    # Adam's second moments decay into numbers that the processor handles a hundred times slower than zero
    torch.set_flush_denormal(True)
    _keep_freed_memory()
    if "OMP_NUM_THREADS" not in os.environ:
        large = torch.device(device).type == "cpu" and num_seeds * batch_size * width**2 >= _WORTH_A_THREAD
        torch.set_num_threads(_AVAILABLE_THREADS if large else 1)


_AVAILABLE_THREADS = torch.get_num_threads()


def arithmetic_for(agent: Any) -> AbstractContextManager[None]:
    """`arithmetic_set_up` for an agent's networks."""
    config = agent.config
    sizes = (agent.num_seeds, config.batch_size, max(config.hidden_sizes))
    return arithmetic_set_up(*sizes, agent.device, getattr(config, "matmul_precision", "float32"))


@contextmanager
def arithmetic_set_up(
    num_seeds: int, batch_size: int, width: int, device: torch.device | str = "cpu", precision: str = "float32"
) -> Iterator[None]:
    """`set_up_cpu`, and TF32 products on CUDA if `precision` is "tf32", for a block: a notebook gets its own settings back."""
    threads, tf32 = torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32
    set_up_cpu(num_seeds, batch_size, width, device)
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)
        torch.backends.cuda.matmul.allow_tf32 = tf32


def _keep_freed_memory() -> None:
    """Stop glibc from giving an update's tensors back to the system, to fault them in again at the next update.

    Five stacked seeds of width 256 lost a fifth of their time to that.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc's; musl has none
        m_trim_threshold, m_mmap_threshold = -1, -3
        libc.mallopt(m_mmap_threshold, 32 << 20)  # the most that glibc accepts
        libc.mallopt(m_trim_threshold, 512 << 20)
