"""Where the work is done: the chosen device, and how many CPU threads suit it."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from rlopt.agents.precision import precision_of
from rlopt.errors import UserError, warn


def choose_device(name: str) -> torch.device:
    """The device called `name`; CPU, with one warning line, for CUDA on a machine without it.

    Raises UserError for a name that is no device and for a CUDA device that this machine does not have.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device {name!r} is no device: use cpu, cuda or cuda:0.") from error
    if device.type == "mps":
        raise UserError(
            f"--device {name} is not supported, as nobody has tried rlopt on Apple's GPUs: use --device cpu."
        )
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name} is not supported: use cpu, cuda or cuda:0.")
    if device.type == "cuda" and not torch.cuda.is_available():
        warn("No CUDA device found: training on the CPU (say --device cpu to choose it).")
        return torch.device("cpu")
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UserError(f"--device {name} does not exist: this machine has {count}, cuda:0 to cuda:{count - 1}.")
    return device


def check_default_dtype() -> None:
    """Raise UserError if torch makes tensors of another type than float32, which is that of all data here."""
    if torch.get_default_dtype() != torch.float32:
        raise UserError(
            f"torch's default type is {torch.get_default_dtype()}, and rlopt trains in float32: before the agent is made, "
            "call torch.set_default_dtype(torch.float32)."
        )


def set_up_cpu() -> None:
    """Keep freed memory, and set up this thread."""
    _keep_freed_memory()
    set_up_thread()


def set_up_thread() -> None:
    """Flush denormals, and use no other thread for an operation of torch.

    Threads that share one operation wait for each other and spin: beside two busy processes one seed of width 256 was
    updated at a fourth of its speed with two threads, at seven tenths with one. Several cores are used by groups of seeds
    (`seed_groups`), which wait only after all updates of a collector batch.
    """
    # Adam's second moments decay into numbers that the processor handles a hundred times slower than zero
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)


def arithmetic_for(agent: Any) -> AbstractContextManager[None]:
    """`arithmetic_set_up` for an agent's networks."""
    return arithmetic_set_up(precision_of(agent.config, agent.device))


@contextmanager
def arithmetic_set_up(precision: str = "float32") -> Iterator[None]:
    """`set_up_cpu`, and TF32 products on CUDA if `precision` is "tf32", for a block: a notebook gets its own settings back."""
    threads, tf32 = torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32
    set_up_cpu()
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
