"""What `results.json` must be."""

import importlib.metadata
import itertools

import pytest

from .shared import FRAMES


def check_results(results, *, methods, finite):
    """DESIGN section 5's schema; scores are numbers only where the expert is better than the random policy."""
    number = (int, float)
    assert list(results) == [
        *("env", "device", "seeds", "demonstrations", "expert_return", "random_return"),
        *("methods", "reward_recovery", "versions", "config"),
    ]
    assert results["env"] == "Pendulum-v1"
    assert results["device"] == "cpu"
    assert results["seeds"] == [42, 43]
    assert isinstance(results["expert_return"], float)
    assert isinstance(results["random_return"], float)
    assert list(results["methods"]) == methods
    span = results["expert_return"] - results["random_return"]
    assert (span > 0) == finite
    for name, method in results["methods"].items():
        unit = "epochs" if name == "bc" else "frames"
        assert set(method) == {
            *("return_per_seed", "return_mean", "normalized_per_seed", "normalized_iqm", "normalized_ci95"),
            *(unit, f"{unit}_to_0.95", "area_per_seed"),
            *("wall_seconds", "success_rate", "success_rate_per_seed", "reward_recovery"),
        }
        assert method["success_rate"] is method["success_rate_per_seed"] is None  # Pendulum has no success
        assert len(method["return_per_seed"]) == len(method["normalized_per_seed"]) == 2
        assert len(method["normalized_ci95"]) == 2
        assert method["return_mean"] == pytest.approx(sum(method["return_per_seed"]) / 2)
        assert method[unit] == {"sac": FRAMES, "ipmd": results["config"]["ipmd_frames"], "bc": 2}[name]
        assert isinstance(method["wall_seconds"], number)
        assert method["wall_seconds"] > 0
        scores = method["normalized_per_seed"]
        if not finite:
            assert scores == method["normalized_ci95"] == [None, None]
            assert method["normalized_iqm"] is None
            continue
        low, high = method["normalized_ci95"]
        assert scores == pytest.approx(
            [(value - results["random_return"]) / span for value in method["return_per_seed"]]
        )
        order = [min(scores), low, method["normalized_iqm"], high, max(scores)]
        assert all(a <= b + 1e-9 for a, b in itertools.pairwise(order))
    assert {"pearson", "standardized_error"} <= set(results["reward_recovery"])
    assert -1 <= results["reward_recovery"]["pearson"] <= 1
    assert set(results["versions"]) == {"python", "rlopt", "torch", "torchrl", "tensordict", "gymnasium", "numpy"}
    assert results["versions"]["torch"] == importlib.metadata.version("torch")
    assert isinstance(results["config"], dict)
