"""What the online loop itself remembers from one collector batch to the next: its part of a checkpoint."""

from typing import Any

from tensordict import TensorDictBase
from torchrl.collectors import Collector

from rlopt.config import TrainingConfig
from rlopt.envs.running import RunningEpisodes
from rlopt.states import check_form
from rlopt.training.collectors import BehaviorPolicy, collect


class LoopState:
    """Where the environments and the behaviour policy are, and which part of an update is due.

    Args:
        behavior: the policy that collects.
        num_envs: S*E.
        come_back: whether the environments can be brought back to where they were.
    """

    def __init__(self, behavior: BehaviorPolicy, num_envs: int, come_back: bool = True):
        self.behavior, self.come_back = behavior, come_back
        self.running = RunningEpisodes(num_envs)
        self.updates_due = 0.0
        self.before: dict[str, Any] = {}
        """The behaviour policy as it was before the batch that is being collected: what a failure there leaves behind."""

    def collect(self, collector: Collector) -> TensorDictBase:
        """The next batch `[S*E, T]`. Raises UserError if an environment fails, or a process that steps some has ended."""
        rollout = collect(collector)
        if self.come_back:
            self.running.extend(rollout)
        return rollout

    def updates(self, config: TrainingConfig, frames: int) -> int:
        """How many whole updates are due after a batch that ended at `frames`; the rest of one waits for the next."""
        if frames >= config.warmup_frames:
            self.updates_due += config.frames_per_batch * config.updates_per_frame
        whole, self.updates_due = divmod(self.updates_due, 1)
        return int(whole)

    def finish_batch(self) -> None:
        """Everything of a batch is done."""
        self.before = self.behavior.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Tensors and primitives."""
        return {"behavior": self.before, "running": self.running.state_dict(), "updates_due": self.updates_due}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; the behaviour policy's by `restore_behavior`.

        Raises ValueError if it is of other environments or another policy.
        """
        check_form(state["behavior"], self.behavior.state_dict(), "the behaviour policy")
        check_form(state["updates_due"], self.updates_due, "updates that are due")
        self.before, self.updates_due = state["behavior"], state["updates_due"]
        layers = self.behavior.actor.mlp.layers
        sizes = layers[0].weight.shape[1], layers[-1].weight.shape[-1] // 2
        self.running.load_state_dict(state["running"], *sizes)

    def restore_behavior(self) -> None:
        """Let the policy go on as it was; after the collector was made, which asks it for an action."""
        if self.before:  # not so after a checkpoint of an earlier version
            self.behavior.load_state_dict(self.before)
