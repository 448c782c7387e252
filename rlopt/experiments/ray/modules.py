"""The user's own modules, which other machines do not have."""

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

from rlopt.agents.methods import Method
from rlopt.envs.spec import EnvSpec
from rlopt.experiments.ray.packing import Packed, tar_of


def own_modules(specs: Iterable[EnvSpec], methods: Iterable[Method], root: Path) -> Packed | None:
    """The modules below `root` that environments and methods come from; None: there are none.

    Those that they import themselves come along if they are in the same package.
    """
    files: dict[str, bytes] = {}
    for name in {name.partition(".")[0] for name in _names(specs, methods)}:
        files.update(_files(name, root.resolve()))
    if not files:
        return None
    return Packed(tuple(sorted(files)), tar_of(sorted(files.items())))


def _names(specs: Iterable[EnvSpec], methods: Iterable[Method]) -> Iterator[str]:
    for spec in specs:
        yield from (part for part in spec.env_id.split(":")[:-1] if part != "torchrl")
        yield getattr(spec.source, "__module__", "")
    for method in methods:
        yield getattr(method.agent, "__module__", "")


def _files(name: str, root: Path) -> Iterator[tuple[str, bytes]]:
    try:
        found = importlib.util.find_spec(name) if name not in ("", "rlopt", "__main__") else None
    except (ImportError, ValueError):
        return
    if found is None or found.origin is None or not Path(found.origin).resolve().is_relative_to(root):
        return
    origin = Path(found.origin).resolve()
    if "site-packages" in origin.parts:
        return
    places = sorted(origin.parent.rglob("*.py")) if found.submodule_search_locations else [origin]
    above = origin.parent.parent if found.submodule_search_locations else origin.parent
    for path in places:
        yield path.relative_to(above).as_posix(), path.read_bytes()
