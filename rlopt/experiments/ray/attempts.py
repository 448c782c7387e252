"""Whether a cell that failed is tried again, and what is said of it."""

from dataclasses import dataclass

from rlopt.errors import UserError

TRIES = 3
"""Without a new checkpoint in between."""


def cause_of(error: BaseException) -> BaseException:
    """Of an error that Ray brought from another machine, the one that was raised there: Ray's text is a traceback."""
    return getattr(error, "cause", None) or error


def sentence_of(error: BaseException) -> str:
    """What to say of an error."""
    cause = cause_of(error)
    text = " ".join(str(cause).split())
    if type(cause).__module__.partition(".")[0] == "ray":  # a paragraph on where Ray keeps its logs
        text = text.partition(". ")[0]
    return text if isinstance(cause, UserError) and text else f"{type(cause).__name__}: {text}".removesuffix(": ")


@dataclass
class Attempts:
    """The tries of one cell."""

    number: int = 1
    """Of the try that runs, or comes next."""
    failures: int = 0
    """Since the last checkpoint."""
    last: str = ""
    """What the last one failed with."""

    def progressed(self) -> None:
        """A checkpoint came."""
        self.failures = 0

    def failed(self, error: BaseException) -> bool:
        """Note a failure; whether to try again.

        A sentence for the user, said twice in a row, is not by chance: wrong input, or a loss that becomes NaN.
        """
        sentence = sentence_of(error)
        by_chance = not isinstance(cause_of(error), UserError) or sentence != self.last
        self.failures, self.last = self.failures + 1, sentence
        again = by_chance and self.failures < TRIES
        self.number += again
        return again
