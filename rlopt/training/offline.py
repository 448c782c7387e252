"""The offline loop: demonstrations -> update."""

import math
from pathlib import Path
from typing import Any

from rlopt.agents.agent import Agent, ExpertSource, Metrics, check_expert
from rlopt.logs.run_log import RunLog
from rlopt.states import check_form, check_metrics
from rlopt.training.devices import arithmetic_for
from rlopt.training.evaluation import Evaluator
from rlopt.training.monitor import History, Monitor
from rlopt.training.stopping import stop_when_asked
from rlopt.transition import Transition


def train_offline(
    agent: Agent,
    expert: ExpertSource,
    *,
    evaluator: Evaluator | None = None,
    eval_points: int = 10,
    checkpoint_points: int = 10,
    log: RunLog | None = None,
    seeds: list[int] | None = None,
    checkpoint: Path | None = None,
    resume: Path | None = None,
) -> History:
    """Train an agent on demonstrations alone, for the epochs of its config.

    An epoch is as many updates as one pass over the data takes, and at least `min_steps_per_epoch`: otherwise 100
    epochs over five short demonstrations would be some 400 updates, too few for a fair baseline.

    Args:
        agent: BC, or any other whose config has `epochs` and `min_steps_per_epoch`.
        expert: the demonstrations.
        evaluator: plays evaluations; None: none are played, and `History.returns` stays empty.
        eval_points: evaluations during training, evenly spaced.
        checkpoint_points: checkpoints, likewise.
        log: where progress and metrics go; None: nowhere.
        seeds: the S seeds, for the names of columns; by default 0 to S-1.
        checkpoint: file that is written at even intervals and when training is stopped.
        resume: a checkpoint to go on from.

    Raises:
        NotFiniteError: a loss became NaN or infinite.
    """
    config, num_seeds = agent.config, agent.num_seeds
    check_expert(agent, expert)
    agent.fit_standardizers(*expert.observation_statistics())
    steps = max(math.ceil(len(expert) / config.batch_size), config.min_steps_per_epoch)
    epoch = _Epoch()
    parts: dict[str, Any] = {"loop": epoch}
    if hasattr(expert, "state_dict"):
        parts["expert"] = expert
    monitor = Monitor(
        agent,
        unit="epochs",
        total=config.epochs,
        seeds=seeds or list(range(num_seeds)),
        evaluator=evaluator,
        eval_points=eval_points,
        checkpoint_points=checkpoint_points,
        every_report=True,
        log=log,
        checkpoint=checkpoint,
        parts=parts,
    )
    done = 0 if resume is None else monitor.restore(resume)
    with arithmetic_for(agent), stop_when_asked() as stop:
        monitor.start()
        while done < config.epochs:
            while epoch.steps < steps and not stop.requested:
                (packed,) = expert.sample_packed(1, num_seeds, config.batch_size)
                batch = Transition.unpack(packed.to(agent.device), agent.observation_size)
                epoch.add(agent.update(batch))
            if epoch.steps == steps:
                done += 1
                monitor.report(done, epoch.finish())
            if stop.requested:
                monitor.save(done)
                raise KeyboardInterrupt
    return monitor.history


class _Epoch:
    """The epoch that is under way: how many updates it has had, and the sums of what they reported."""

    def __init__(self) -> None:
        self.steps = 0
        self.sums: Metrics = {}

    def add(self, metrics: Metrics) -> None:
        """Count an update."""
        self.steps += 1
        self.sums = {name: self.sums[name] + value if name in self.sums else value for name, value in metrics.items()}

    def finish(self) -> Metrics:
        """The means over the epoch; the next one begins."""
        means = {name: value / self.steps for name, value in self.sums.items()}
        self.steps, self.sums = 0, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """Tensors and primitives."""
        return {"steps": self.steps, "sums": self.sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        check_form(state["steps"], self.steps, "steps")
        check_metrics(state["sums"])
        self.steps, self.sums = state["steps"], dict(state["sums"])
