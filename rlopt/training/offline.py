"""The offline loop: demonstrations -> update."""

import math
from pathlib import Path

from rlopt.agents.agent import Agent, ExpertSource, Metrics, check_expert
from rlopt.logs.run_log import RunLog
from rlopt.training.devices import arithmetic_for
from rlopt.training.evaluation import Evaluator
from rlopt.training.monitor import History, Monitor
from rlopt.transition import Transition


def train_offline(
    agent: Agent,
    expert: ExpertSource,
    *,
    evaluator: Evaluator | None = None,
    eval_points: int = 10,
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
        log: where progress and metrics go; None: nowhere.
        seeds: the S seeds, for the names of columns; by default 0 to S-1.
        checkpoint: file that is written when training ends or is interrupted.
        resume: a checkpoint to go on from.

    Raises:
        NotFiniteError: a loss became NaN or infinite.
    """
    config, num_seeds = agent.config, agent.num_seeds
    check_expert(agent, expert)
    agent.fit_standardizers(*expert.observation_statistics())
    steps = max(math.ceil(len(expert) / config.batch_size), config.min_steps_per_epoch)
    monitor = Monitor(
        agent,
        unit="epochs",
        total=config.epochs,
        seeds=seeds or list(range(num_seeds)),
        evaluator=evaluator,
        eval_points=eval_points,
        every_report=True,
        log=log,
        checkpoint=checkpoint,
    )
    done = 0 if resume is None else monitor.restore(resume)
    with arithmetic_for(agent):
        monitor.start()
        try:
            for epoch in range(done + 1, config.epochs + 1):
                total: Metrics = {}
                for _ in range(steps):
                    (packed,) = expert.sample_packed(1, num_seeds, config.batch_size)
                    batch = Transition.unpack(packed.to(agent.device), agent.observation_size, agent.action_size)
                    for name, value in agent.update(batch).items():
                        total[name] = total[name] + value if name in total else value
                monitor.report(epoch, {name: value / steps for name, value in total.items()})
                done = epoch
        except KeyboardInterrupt:
            monitor.save(done)  # the updates of an unfinished epoch are kept, and the epoch is begun anew
            raise
    monitor.save(done)
    return monitor.history
