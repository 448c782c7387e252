"""The table of methods: saving, results, pictures, W&B, stages and the comparison read it. A new method is one line in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rlopt.agents.agent import Agent
from rlopt.agents.bc import BC
from rlopt.agents.gail import GAIL
from rlopt.agents.ipmd import IPMD
from rlopt.agents.iqlearn import IQLearn
from rlopt.agents.sac import SAC
from rlopt.agents.sqil import SQIL
from rlopt.config import BCConfig, IPMDConfig, SACConfig
from rlopt.errors import UserError
from rlopt.peer_config import GAILConfig, IQLearnConfig, SQILConfig


@dataclass(frozen=True)
class Method:
    """A way to learn, as the library knows it."""

    name: str
    """In folders, files, flags and results: "ipmd"."""
    title: str
    """In pictures and tables: "IPMD"."""
    agent: Callable[..., Agent]
    """The class of its agents."""
    config: Callable[..., Any]
    """The class of their settings."""
    colour: str
    """In pictures."""
    wandb_project: str
    """On Weights & Biases."""
    model_file: str
    """The trained model's name in its run folder; with `{seed}` in it, one file for each seed beside the run folders."""
    seed: int = 42
    """The default seed."""
    online: bool = True
    """Whether it gathers experience (and counts frames), or learns from demonstrations alone (and counts epochs)."""
    from_demonstrations: bool = True
    """Whether it learns from demonstrations."""
    from_states: Mapping[str, Any] | None = None
    """Settings with which it learns from demonstrations without actions; None: it cannot."""

    @property
    def unit(self) -> str:
        """What its training counts."""
        return "frames" if self.online else "epochs"


METHODS: dict[str, Method] = {}
"""By name, in the order of tables and pictures."""


def register(method: Method) -> None:
    """Add a method, or replace the one of its name."""
    METHODS[method.name] = method


# Okabe and Ito's palette, which colour-blind readers can tell apart.
register(
    Method("sac", "SAC", SAC, SACConfig, "#0072B2", "RLOpt-ExpertData", "sac_expert.pt", from_demonstrations=False)
)
STATES = {"reward_inputs": "ss", "expert_ratio": 0.0}
register(
    Method("ipmd", "IPMD", IPMD, IPMDConfig, "#D55E00", "RLOpt-IPMD", "ipmd_model.pt", seed=43, from_states=STATES)
)
register(Method("bc", "BC", BC, BCConfig, "#009E73", "RLOpt-BC", "bc_policy_seed{seed}.pt", seed=44, online=False))
PAIRS = {"reward_inputs": "ss"}
register(Method("gail", "GAIL", GAIL, GAILConfig, "#CC79A7", "RLOpt-GAIL", "gail_model.pt", seed=45, from_states=PAIRS))
register(Method("iqlearn", "IQ-Learn", IQLearn, IQLearnConfig, "#E69F00", "RLOpt-IQLearn", "iqlearn_model.pt", seed=46))
register(Method("sqil", "SQIL", SQIL, SQILConfig, "#56B4E9", "RLOpt-SQIL", "sqil_model.pt", seed=47))


def get_method(name: str) -> Method:
    """The method of this name. Raises UserError, with the names there are, for another."""
    if name not in METHODS:
        raise UserError(f"There is no method {name!r}: choose from {', '.join(METHODS)}.")
    return METHODS[name]


def method_of(agent: Agent) -> Method:
    """The method that an agent belongs to. Raises UserError if its class is not registered."""
    for method in METHODS.values():
        if type(agent) is method.agent:
            return method
    raise UserError(f"{type(agent).__name__} is not registered: add it with rlopt.agents.register(Method(...)).")
