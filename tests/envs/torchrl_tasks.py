"""TorchRL environments for tests: one whose every number is known, and TorchRL's own pendulum with one observation vector."""

import torch
from tensordict import TensorDict
from torchrl.data import Bounded, Composite, Unbounded
from torchrl.data.tensor_specs import Binary
from torchrl.envs import CatTensors, Compose, EnvBase, PendulumEnv, TransformedEnv, UnsqueezeTransform


class Steps(EnvBase):
    """Copy n's episode k ends, terminated, after 2 + (n + k) % 3 steps. Step t brings the reward t.
    An action at its highest ends it at once.

    It observes t, n, k, the action's first component in its own units, and a number that torch's global generator gave at the
    reset. All of it lies in one tensor that every step and reset writes over, as in a simulator. After an end it bears no step.

    Args:
        num_envs: N.
        device: the CPU.
        ends: "terminated", "done" (which says no more than that) or "never".
        success: whether it says that an episode of three steps is one.
        dtype: of what it observes.
    """

    def __init__(self, num_envs, device="cpu", ends="terminated", success=False, dtype=torch.float32):
        super().__init__(device=device, batch_size=[num_envs])
        self.ends, self.success, self.stepped = ends, success, 0
        self.over = torch.zeros(num_envs, dtype=torch.bool)
        self.seen = torch.zeros(num_envs, 5, dtype=dtype)
        self.seen[:, 1] = torch.arange(num_envs)
        self.seen[:, 2] = -1
        self.observation_spec = Composite(
            observation=Unbounded((num_envs, 5), dtype=dtype), shape=(num_envs,), device=device
        )
        bounds = [torch.tensor(bound).expand(num_envs, 2).contiguous() for bound in ([-1.0, 0.0], [3.0, 10.0])]
        self.action_spec = Bounded(*bounds, shape=(num_envs, 2), dtype=torch.float32)
        self.reward_spec = Unbounded((num_envs, 1), dtype=dtype)
        flag = Binary(1, shape=(num_envs, 1), dtype=torch.bool)
        self.done_spec = Composite(done=flag, terminated=flag.clone(), shape=(num_envs,))

    def _set_seed(self, seed):
        torch.manual_seed(seed)  # as many do
        self.seen[:, 2] = -1

    def _reset(self, tensordict, **kwargs):
        mask = None if tensordict is None else tensordict.get("_reset", None)
        mask = torch.ones(self.batch_size, dtype=torch.bool) if mask is None else mask.view(-1)
        self.over[mask] = False
        self.seen[mask, 0] = self.seen[mask, 3] = 0
        self.seen[mask, 2] += 1
        self.seen[mask, 4] = torch.rand(len(mask), dtype=self.seen.dtype)[mask]
        return TensorDict({"observation": self.seen}, self.batch_size)

    def _step(self, tensordict):
        if self.over.any():
            raise RuntimeError("an episode that is over is stepped")
        self.stepped += 1
        self.seen[:, 0] += 1
        self.seen[:, 3] = tensordict["action"][:, 0]
        t, n, k = self.seen[:, :3].T
        self.over = ((t >= 2 + (n + k) % 3) | (self.seen[:, 3] == 3)) & (self.ends != "never")
        end = self.over.unsqueeze(-1)
        outcome = {"observation": self.seen, "reward": t.unsqueeze(-1).clone(), "done": end}
        outcome["terminated"] = end & (self.ends == "terminated")
        if self.success:  # an episode of three steps is one
            outcome["success"] = end & (t == 3).unsqueeze(-1)
        return TensorDict(outcome, self.batch_size)


def steps(num_envs, device, **kwargs):
    return Steps(num_envs, device, **kwargs)


def six_steps() -> EnvBase:
    """An environment of six copies, of which a process has only one."""
    return Steps(6)


def pendulum(num_envs, device):
    """TorchRL's pendulum: the angle and its speed."""
    names = ["th", "thdot"]
    columns = UnsqueezeTransform(dim=-1, in_keys=names, in_keys_inv=names)
    return TransformedEnv(
        PendulumEnv(device=device), Compose(columns, CatTensors(in_keys=names, out_key="observation", del_keys=False))
    )


def play(env, actions):
    """Step through actions `[T, N, A]`; the TensorDicts of all steps, stacked to `[N, T]`."""
    state, played = env.reset(), []
    for action in actions:
        step, state = env.step_and_maybe_reset(state.set("action", action))
        played.append(step)
    return torch.stack(played, dim=1)
