"""The Ray cluster: how it is reached, what its machines have, and what a cell may ask of them."""

import logging
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rlopt.cores import available_workers
from rlopt.errors import UserError
from rlopt.experiments.cells import Resources
from rlopt.experiments.ray.mail import Mailbox
from rlopt.experiments.ray.perform import Order, Outcome, perform

LOCAL = "local"


class Cluster:
    """A connection to Ray. Raises UserError if Ray is not installed, or is not there.

    Args:
        address: of its head node, "auto" for the one that this machine belongs to, or "local": one that starts here.
        cpus: cores of one that starts here; None: all that this process may use.
    """

    def __init__(self, address: str = LOCAL, cpus: int | None = None):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        logging.getLogger("ray").setLevel(logging.ERROR)
        try:
            import ray
        except ImportError as error:
            raise UserError("Ray is not installed: pip install 'rlopt[ray]'.") from error
        self.ray: Any = ray
        how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address == LOCAL:
            how |= {"num_cpus": cpus or available_workers(), "include_dashboard": False}
        ends = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=address, **how)
        except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
            why = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
            raise UserError(
                f"There is no Ray at {address} that lets this command in ({why}): start it, set RAY_AUTH_MODE=token "
                "if it asks for its token (docs/cluster.md), or leave the address out."
            ) from error
        signal.signal(signal.SIGTERM, ends)  # Ray's own ends the process at once
        # where the command runs: a machine that dies takes no message with it
        node = ray.get_runtime_context().get_node_id()
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        self.mailbox: Any = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
        self.perform = ray.remote(max_retries=0)(_perform)

    def close(self) -> None:
        """End the connection, and Ray if it was started here."""
        self.ray.shutdown()

    def largest(self) -> dict[str, float]:
        """The most that a single machine has, by name of the resource."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        return {name: max(node.get(name, 0.0) for node in nodes) for name in ("CPU", "GPU", "memory")}

    def submit(self, order: Order, needed: Resources) -> Any:
        """Let a machine run a cell; returns Ray's reference of its outcome."""
        how = {"num_cpus": needed.cpus, "num_gpus": needed.gpus, "memory": needed.memory}
        return self.perform.options(**how).remote(self.mailbox, order)

    def messages(self) -> Sequence[Any]:
        """What cells have told since the last time."""
        return self.ray.get(self.mailbox.take.remote())

    def finished(self, references: Sequence[Any], seconds: float) -> list[Any]:
        """Those whose cells have ended, within this time."""
        done, _ = self.ray.wait(list(references), num_returns=len(references), timeout=seconds)
        return done

    def outcome(self, reference: Any) -> Outcome:
        """Of a cell that has ended. Raises what it raised, as Ray wraps it."""
        return self.ray.get(reference)

    def cancel(self, reference: Any) -> None:
        """Interrupt a cell, as Ctrl-C would."""
        self.ray.cancel(reference, force=False, recursive=False)


def _perform(mailbox: Any, order: Order) -> Outcome:
    return perform(order, mailbox.put.remote)


def fitted(cell: str, needed: Resources, largest: Mapping[str, float]) -> Resources:
    """What a cell asks for where no machine is larger than this: fewer cores make it slower, and nothing else.

    Raises UserError if its memory or its GPUs are more than any machine has: it would wait for ever.
    """
    gpus, memory = largest["GPU"], largest["memory"]
    if needed.gpus > gpus:
        raise UserError(
            f"{cell} needs {needed.gpus:g} GPUs, and no machine has more than {gpus:g}: lower --cell-gpus, or say --device cpu."
        )
    if needed.memory > memory:
        raise UserError(
            f"{cell} needs {needed.memory / 1e9:.1f} GB of memory, and no machine has more than {memory / 1e9:.1f}: "
            "lower --buffer-size or --cell-memory."
        )
    return replace(needed, cpus=max(1, min(needed.cpus, int(largest["CPU"]))))
