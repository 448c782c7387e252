"""Dataclasses of settings that check themselves: types from the annotations, ranges from the class."""

from types import UnionType
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from rlopt.errors import UserError


def require(condition: bool, message: str) -> None:
    """Raise UserError with this message unless the condition holds."""
    if not condition:
        raise UserError(message)


def accepted_types(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a field's type: `int | None` is int and NoneType."""
    return get_args(hint) if isinstance(hint, UnionType) else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value has a field's type. True is no number, and half a batch no whole one."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple | list) and all(_fits(item, get_args(hint)[0]) for item in value)
    if hint in (int, float):
        return isinstance(value, (int, float) if hint is float else int) and not isinstance(value, bool)
    return isinstance(value, hint)


def require_positive(**values: float) -> None:
    """Raise UserError, naming the setting, for a value that is not positive and finite."""
    for name, value in values.items():
        require(0 < value < float("inf"), f"{name} must be positive and finite, and is {value}.")


class Checked:
    """Base of the config classes: checks the types of all fields, and the ranges that a class names."""

    positive: ClassVar[tuple[str, ...]] = ()
    """Fields that must be positive and finite, or None."""
    sections: ClassVar[tuple[str, ...]] = ()
    """Sections of an environment's preset that the class reads, later ones first in rank."""

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is ClassVar:
                continue
            value, choices = getattr(self, name), get_args(hint)
            if get_origin(hint) is Literal:
                require(value in choices, f"{name} must be one of {', '.join(choices)}, and is {value!r}.")
            right = any(_fits(value, kind) for kind in accepted_types(hint))
            require(right, f"{name} must be of type {getattr(hint, '__name__', hint)}, and is {value!r}.")
        require_positive(**{name: value for name in self.positive if (value := getattr(self, name)) is not None})
        hidden = getattr(self, "hidden_sizes", (1,))
        require(
            len(hidden) > 0 and all(width > 0 for width in hidden),
            f"hidden_sizes must hold at least one positive layer width, and is {hidden}.",
        )
