"""Files of earlier versions: the names that settings and states had in them."""

from collections.abc import Mapping
from typing import Any

RENAMED = {
    "policy_tau": "actor_ema_tau",
    "expert_share": "expert_ratio",
    "recent_share": "recent_ratio",
    "reward_slope": "lipschitz_constant",
    "anneal": "lr_decay",
}
"""Settings by their former name; the flags of these names still work."""
_REMOVED = ("reward_hidden_sizes", "reward_learning_rate", "use_environment_reward", "freeze_reward")
_REWARD = {
    "reward_net": "net",
    "mean_reward_net": "scoring_net",
    "reward_optimizer": "optimizer",
    "reward_generator": "generator",
    "reward_weight": "mean_weight",
    "policy_ends": "policy_termination_rate",
    "expert_ends": "expert_termination_rate",
    "highest_reward": "highest_reward",
}


def rename_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """An agent's or a loop's settings under today's names."""
    return {RENAMED.get(name, name): value for name, value in settings.items() if name not in _REMOVED}


def upgrade_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """An agent's settings under today's names, without options that had no effect."""
    new = rename_settings(settings)
    if settings.get("freeze_reward") or settings.get("use_environment_reward"):
        new |= {"expert_ratio": 0.0, "recent_ratio": 0.0, "expert_bound": False}
    if settings.get("use_environment_reward"):
        new |= {"standardize_observations": False, "entropy_backup": True}
    if new.get("inverse_eta") == 0:
        new.pop("mirror_period", None)
    if new.get("gradient_penalty") == 0:
        new.pop("lipschitz_constant", None)
    if new.get("average_reward") or new.get("entropy_backup"):
        new.pop("expert_bound", None)
    if "expert_batch_size" in new:
        new["expert_batch_size"] = max(
            new["expert_batch_size"], round(new.get("expert_ratio", 0) * new.get("batch_size", 0))
        )
    return new


def upgrade_agent(state: Mapping[str, Any], frozen: bool = False) -> dict[str, Any]:
    """An agent's state under today's names; `frozen`: its reward was."""
    if "mean_actor" in state:
        return {{"mean_actor": "ema_actor"}.get(name, name): value for name, value in state.items()}
    if "reward_net" not in state:
        return dict(state)
    reward = {new: state[old] for old, new in _REWARD.items()}
    if frozen:
        del reward["optimizer"]
    return {
        "sac": upgrade_agent(state["sac"]),
        "mirror_actor": state["mirror_actor"],
        "reward": reward,
        "rho": state["average_reward"],
        "num_updates": state["num_updates"],
    }


def upgrade_checkpoint(state: Any, observation_size: int) -> Any:
    """A checkpoint under today's names; anything else as it is."""
    if not isinstance(state, dict) or "agent" not in state:
        return state
    if "info" in state:
        state = {name: value for name, value in state.items() if name != "info"} | {
            "agent": upgrade_agent(state["agent"]),
            "metrics": state["info"],
        }
    if "elements" in state.get("replay", {}):
        state = {**state, "replay": _upgrade_replay(state["replay"], observation_size)}
    return state


def _upgrade_replay(replay: Mapping[str, Any], observation_size: int) -> dict[str, Any]:
    """Elements that had next observations `[n, S, 2O + A + 2]` as rows without, and these by themselves."""
    import torch

    new = {"count": 0, "newest": None, "latest": None, "generator": replay["generator"], "files": []}
    elements = replay["elements"]
    if elements is None:
        return new
    rest = elements[..., 2 * observation_size :]
    observation, following = elements[..., : 2 * observation_size].chunk(2, -1)
    where = torch.ones(elements.shape[:2]).nonzero()
    chunk = {"rows": torch.cat([observation, rest], -1), "where": where, "finals": following.flatten(0, 1)}
    return {**new, "count": len(elements), "elements": chunk}
